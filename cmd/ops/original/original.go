// Package original moves people in from the system that this one replaced: its tables SocialConnection and ScheduledTweet
// are read, never written. Connections go into the table of accounts, their tokens sealed. What is queued is scheduled by
// the command that the gateway sends, so every rule holds; what is over is emitted on EVENTS as imported, and the projector
// writes it. docs/moving.md is the way to go, step by step.
//
// It can be run again at any time, also after it was killed: ids follow from the original's, so what is here is known.
package original

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Overdue says what becomes of posts that were due and that the original has not marked as posted. It may have published
// them all the same: a crash of it came between the two.
type Overdue string

// What can become of them.
const (
	Hold    Overdue = "hold"    // they are parked: their owners look at the profile and say
	Publish Overdue = "publish" // they go out now, as late as publishWithin allows
	Fail    Overdue = "fail"    // they have failed
)

// Import is one run.
type Import struct {
	Source *Source
	Bus    *bus.Bus // nil in a dry run
	DB     *bun.DB
	Vault  *vault.Vault
	Log    *zap.Logger
	Now    func() time.Time // nil: time.Now

	// StoppedAt is when the original's backend was stopped for good. While it is zero, nothing that is queued is taken over:
	// two would publish it.
	StoppedAt time.Time
	// Overdue is for what was due by then.
	Overdue Overdue
	// Scopes are those that the original asked people for.
	Scopes []string
	// Page is how many rows are in hand at a time; zero: 500.
	Page int
	// DryRun looks and judges, and changes nothing.
	DryRun bool
	// Each is told what became of each row, Progress how many posts of all were looked at; both may be nil.
	Each     func(Row)
	Progress func(done, all int)

	report   *Report
	accounts map[string][]string // by user: their accounts here, as the original had them
	expired  map[string]bool     // accounts whose token had outlived itself
	media    map[string]string   // by account and media id: the original's post that has it
	seen     map[string]bool     // persons at Threads by user, of whom a connection was seen
	erased   map[string]bool     // users of the page who had an account erased
	emitted  bool
}

// drift is how far the clocks of the two systems may be apart.
const drift = 5 * time.Second

// Run does it. The report says what was done also where an error ended it.
func (i *Import) Run(ctx context.Context) (*Report, error) {
	if i.Now == nil {
		i.Now = time.Now
	}
	if i.Page == 0 {
		i.Page = 500
	}
	i.report = newReport(i.DryRun, i.Now())
	i.accounts, i.expired = map[string][]string{}, map[string]bool{}
	i.media, i.seen = map[string]string{}, map[string]bool{}
	err := i.run(ctx)
	i.report.Seconds = i.Now().Sub(i.report.started).Seconds()
	return i.report, err
}

func (i *Import) run(ctx context.Context) (err error) {
	if !i.StoppedAt.IsZero() {
		last, err := i.Source.stirred(ctx)
		if err != nil {
			return err
		}
		if last.After(i.StoppedAt.Add(drift)) {
			return fmt.Errorf("the original changed a row at %s, after it was stopped at %s: is its backend still running? "+
				"Stop it, and give the time of that", last.Format(time.RFC3339), i.StoppedAt.UTC().Format(time.RFC3339))
		}
	}
	if i.report.Others, err = i.Source.others(ctx); err != nil {
		return err
	}
	if i.report.Total, err = i.Source.total(ctx); err != nil {
		return err
	}
	connections := func(page []connection) error { return i.takeConnections(ctx, page) }
	if err := i.Source.eachConnection(ctx, i.Page, connections); err != nil {
		return err
	}
	posts := func(page []post) error { return i.takePosts(ctx, page) }
	if err := i.Source.eachPost(ctx, i.Page, posts); err != nil {
		return err
	}
	if err := i.settle(ctx); err != nil {
		return err
	}
	return i.expire(ctx)
}

// takeConnections takes a page of connections over. Those whose token is good are emitted at once; the others after their
// posts are here, which would be refused for an account that must be reconnected.
func (i *Import) takeConnections(ctx context.Context, page []connection) error {
	now := i.Now()
	users := make([]string, len(page))
	for n, c := range page {
		users[n] = c.UserID
	}
	erased, err := accounts.ErasedUsers(ctx, i.DB, users)
	if err != nil {
		return err
	}
	var good []connection
	for _, c := range page {
		if erased[c.UserID] {
			i.count(Row{Kind: "connection", ID: c.ID, Action: Skipped, Code: "erased"})
			continue
		}
		if reason := i.unusable(c); reason != "" {
			i.count(Row{Kind: "connection", ID: c.ID, Action: Skipped, Code: reason})
			continue
		}
		good = append(good, c)
	}
	ids := make([]string, len(good))
	if i.DryRun {
		if err := i.look(ctx, good, ids); err != nil {
			return err
		}
	} else {
		taken := make([]accounts.Taken, len(good))
		err := pg.InTx(ctx, i.DB, func(ctx context.Context, tx bun.Tx) error {
			for n, c := range good {
				a, became, err := accounts.TakeOver(ctx, tx, i.Vault, i.grant(c), c.since(now), now)
				if err != nil {
					return fmt.Errorf("take over connection %s: %w", c.ID, err)
				}
				ids[n], taken[n] = a.ID, became
			}
			return nil
		})
		if err != nil {
			return err
		}
		for n, c := range good {
			row := Row{Kind: "connection", ID: c.ID, OurID: ids[n], Action: Action(taken[n])}
			if taken[n] == accounts.TakenGone {
				row.Action, row.Code = Skipped, "disconnected"
			}
			i.count(row)
		}
	}
	var fresh []string
	for n, c := range good {
		i.accounts[c.UserID] = append(i.accounts[c.UserID], ids[n])
		if c.expires().After(now) {
			fresh = append(fresh, ids[n])
		} else {
			i.expired[ids[n]] = true
		}
	}
	return i.emit(ctx, fresh)
}

// look says what would become of connections.
func (i *Import) look(ctx context.Context, good []connection, ids []string) error {
	users := []string{""}
	for _, c := range good {
		users = append(users, c.UserID)
	}
	var rows []accounts.Account
	if err := i.DB.NewSelect().Model(&rows).Where("user_id IN (?)", bun.List(users)).Scan(ctx); err != nil {
		return fmt.Errorf("read the accounts that are here: %w", err)
	}
	there := map[string]accounts.Account{}
	for _, a := range rows {
		there[a.UserID+" "+a.ProviderUserID] = a
	}
	for n, c := range good {
		a, known := there[c.UserID+" "+c.ProviderUserID]
		row := Row{Kind: "connection", ID: c.ID, OurID: a.ID, Action: Taken}
		ids[n] = events.OriginalAccountID(c.UserID, c.ProviderUserID)
		if known {
			ids[n], row.Action = a.ID, Known
			if a.Status == events.ConnectionDisconnected {
				row.Action, row.Code = Skipped, "disconnected"
			}
		}
		i.count(row)
	}
	return nil
}

// unusable is why a connection cannot be taken over, or empty.
func (i *Import) unusable(c connection) string {
	switch {
	case c.UserID == "":
		return "no_user"
	case c.ProviderUserID == "" || strings.Trim(c.ProviderUserID, "0123456789") != "":
		return "threads_user_invalid"
	case c.AccessToken == "":
		return "no_token"
	}
	// The latest comes first; what follows of the same person is an older grant.
	key := c.UserID + " " + c.ProviderUserID
	if i.seen[key] {
		return "connected_twice"
	}
	i.seen[key] = true
	return ""
}

func (i *Import) grant(c connection) accounts.Grant {
	return accounts.Grant{
		UserID: c.UserID, ProviderUserID: c.ProviderUserID, Username: c.Username, Scopes: i.Scopes,
		Token: threads.Token(c.AccessToken), ExpiresAt: c.expires(),
	}
}

// expires is when the token dies. Where the original did not write it down, it is as if the token came with the row's last
// change: Threads says so itself when that is wrong.
func (c connection) expires() time.Time {
	if c.ExpiresAt.IsZero() && !c.UpdatedAt.IsZero() {
		return c.UpdatedAt.Add(60 * 24 * time.Hour)
	}
	return c.ExpiresAt
}

// since is when the person allowed it, as far as anybody knows.
func (c connection) since(now time.Time) time.Time {
	if c.CreatedAt.IsZero() || c.CreatedAt.After(now) {
		return now
	}
	return c.CreatedAt
}

// emit emits what became of accounts.
func (i *Import) emit(ctx context.Context, ids []string) error {
	if i.DryRun {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, id := range ids {
		g.Go(func() error { return accounts.EmitChange(ctx, i.DB, i.Bus.Emit, id) })
	}
	return g.Wait()
}

// expire says of the accounts whose token had outlived itself that they must be reconnected. Their posts are here by now,
// and wait for that.
func (i *Import) expire(ctx context.Context) error {
	i.report.ReconnectRequired = len(i.expired)
	if i.DryRun {
		return nil
	}
	var ids []string
	for id := range i.expired {
		if _, err := accounts.Expire(ctx, i.DB, id, i.Now()); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	return i.emit(ctx, ids)
}

var credential = regexp.MustCompile(`(?i)\b(access_token|refresh_token|client_secret|input_token|fb_exchange_token|code)=[^&\s"']+` +
	`|\b(TH|EA|IG)[A-Za-z]*[|A-Za-z0-9_-]{24,}|\bBearer\s+\S+`)

// clean is a message of the original's without what looks like a credential, of which its log of errors may be full.
func clean(message string) string {
	message = credential.ReplaceAllString(strings.ToValidUTF8(message, "�"), "[removed]")
	if r := []rune(message); len(r) > 1000 {
		message = string(r[:999]) + "…"
	}
	return message
}

// errAway says that nobody does what was commanded.
var errAway = errors.New("the publisher has not answered within a minute; what was sent is stored and will be done. " +
	"Start the publisher and run this again")
