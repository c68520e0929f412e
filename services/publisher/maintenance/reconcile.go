package maintenance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Reconciler compares the rows of posts with EVENTS, with the alarms and with Threads, and says where they differ. Where
// one of the publisher's own moves would set it right, and no call to publish can come of what is not known, it can make
// that move. It never publishes, and never decides an outcome that is not known.
type Reconciler struct {
	Bus     *bus.Bus
	DB      *bun.DB
	Threads *threads.Client
	Vault   *vault.Vault
	// Publisher makes the moves by which a difference is mended; it need not run.
	Publisher Publisher

	SweepGrace time.Duration // how long after its wake-up time a post counts as overdue
	ArmHorizon time.Duration // how far ahead of its time a post has an alarm

	Mend  bool
	Since time.Time // how far back the lists of Threads are read, of a whole account
	Limit int       // at most so many posts of an account
	// Progress is called after each post of an account: how many were looked at, and about how many there are, by the accounts
	// that are done. It may be nil.
	Progress func(posts, about int)
	Now      func() time.Time // nil: time.Now
}

// Publisher is what reconcile may have a publisher do to a post.
type Publisher interface {
	// LookForLive treats the outcome of a post as unknown, which Threads says is live.
	LookForLive(ctx context.Context, p *posts.Post) error
	// RebuildContainer has the container of a post built anew.
	RebuildContainer(ctx context.Context, p *posts.Post) error
	// EmitChange emits the event that led to the post's revision. Emitting it again is the same event.
	EmitChange(ctx context.Context, p *posts.Post) error
}

const (
	// settled is how old a change must be to be compared: until then its worker may be about to emit it.
	settled = 10 * time.Second
	// soon is the time within which a post is woken and has no alarm.
	soon = 15 * time.Second
	// notVisibleFor is how long a fresh container may answer 24/4279009 to a status read.
	notVisibleFor = time.Minute
)

// Reconciled is what a comparison found.
type Reconciled struct {
	Accounts int  `json:"accounts"`
	Posts    int  `json:"posts"`
	Listed   int  `json:"listed"` // posts that Threads lists since the time asked for
	Cut      bool `json:"cut"`    // there are more posts than were looked at
	Mended   int  `json:"mended"`
	// Differences are in the order in which they were found.
	Differences []Discrepancy `json:"differences"`
}

// Discrepancy is something that is not as it should be.
type Discrepancy struct {
	AccountID string `json:"accountId"`
	PostID    string `json:"postId,omitempty"`
	MediaID   string `json:"mediaId,omitempty"`
	Check     string `json:"check"` // a word: row, event, alarm, container, media, text, elsewhere, threads, account
	Says      string `json:"says"`
	// Remark says that nothing is wrong: somebody may want to know.
	Remark bool `json:"remark,omitempty"`
	// Mend is what mending does about it; empty where that is left to a person.
	Mend   string `json:"mend,omitempty"`
	Mended bool   `json:"mended,omitempty"`
	// Failed says why it could not be mended.
	Failed string `json:"failed,omitempty"`
}

// Findings is how many differences are left that are more than a remark.
func (r *Reconciled) Findings() (n int) {
	for _, d := range r.Differences {
		if !d.Remark && !d.Mended {
			n++
		}
	}
	return n
}

// access is an account with its token in clear.
type access struct {
	token   threads.Token
	account accounts.Account
}

// reconciliation is one run.
type reconciliation struct {
	Reconciler

	store         *posts.Store
	ofAccounts    int // how many are compared; 0: one
	out           *Reconciled
	facts, alarms jetstream.Stream
	lost          map[string][]lostRow // by account, of those that were looked at
}

func (r Reconciler) begin(ctx context.Context) (run *reconciliation, err error) {
	if r.Now == nil {
		r.Now = time.Now
	}
	run = &reconciliation{Reconciler: r, store: posts.NewStore(r.DB, 0, 0), out: &Reconciled{Differences: []Discrepancy{}}, lost: map[string][]lostRow{}}
	if run.facts, err = r.Bus.JetStream().Stream(ctx, events.StreamEvents); err != nil {
		return nil, fmt.Errorf("find %s: %w", events.StreamEvents, err)
	}
	if run.alarms, err = r.Bus.JetStream().Stream(ctx, events.StreamPostAlarms); err != nil {
		return nil, fmt.Errorf("find %s: %w", events.StreamPostAlarms, err)
	}
	return run, nil
}

// Run compares a post (by our id or by Threads' media id), an account, or, without an id, every connected account.
func (r Reconciler) Run(ctx context.Context, id string) (*Reconciled, error) {
	run, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	if id == "" {
		var ids []string
		err := r.DB.NewSelect().Model((*accounts.Account)(nil)).Column("id").Where("status <> ?", events.ConnectionDisconnected).Order("id").Scan(ctx, &ids)
		if err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		run.ofAccounts = len(ids)
		var failed []error
		for _, id := range ids {
			a, err := accounts.Get(ctx, r.DB, id)
			if errors.Is(err, pg.ErrNotFound) { // erased meanwhile
				continue
			}
			if err == nil {
				err = run.account(ctx, a)
			}
			if ctx.Err() != nil {
				return run.out, ctx.Err()
			}
			if err != nil { // the others are compared all the same
				failed = append(failed, fmt.Errorf("account %s: %w", id, err))
			}
		}
		return run.out, errors.Join(failed...)
	}
	switch a, err := accounts.Get(ctx, r.DB, id); {
	case err == nil:
		return run.out, run.account(ctx, a)
	case !errors.Is(err, pg.ErrNotFound):
		return nil, err
	}
	p, err := posts.FindAny(ctx, r.DB, id)
	if errors.Is(err, pg.ErrNotFound) {
		return run.out, run.lostPost(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	run.out.Posts = 1
	return run.out, run.post(ctx, p, run.open(ctx, p.AccountID), nil)
}

// found notes a difference and, where that is wanted and can be done, mends it.
func (r *reconciliation) found(ctx context.Context, d Discrepancy, mend func(context.Context) error) {
	if r.Mend && mend != nil {
		if err := mend(ctx); errors.Is(err, posts.ErrLost) {
			d.Failed = "it moved just now; look again"
		} else if err != nil {
			d.Failed = err.Error()
		} else {
			d.Mended = true
			r.out.Mended++
		}
	}
	r.out.Differences = append(r.out.Differences, d)
}

// open gives access to an account at Threads, tried with a first call. nil where there is none; that is noted.
func (r *reconciliation) open(ctx context.Context, accountID string) *access {
	d := Discrepancy{AccountID: accountID, Check: "threads"}
	a := access{}
	var err error
	if a.account, err = accounts.Get(ctx, r.DB, accountID); err == nil {
		if a.token, err = a.account.Open(r.Vault, r.Now()); err == nil {
			_, err = r.Threads.Me(ctx, a.token)
		}
	}
	if err == nil {
		return &a
	}
	d.Says = "Threads could not be asked: " + reason(err)
	r.found(ctx, d, nil)
	return nil
}

func reason(err error) string {
	if e := new(threads.Error); errors.As(err, &e) && e.Sentence != "" {
		return e.Sentence
	}
	if f := new(events.Fault); errors.As(err, &f) {
		return f.Message
	}
	return err.Error()
}

// account compares an account, its posts, and what Threads lists of it.
func (r *reconciliation) account(ctx context.Context, account accounts.Account) error {
	r.out.Accounts++
	if account.EmittedRev < account.Rev && r.Now().Sub(account.UpdatedAt) > settled {
		r.found(ctx, Discrepancy{AccountID: account.ID, Check: "account", Says: "A change of the account is not on EVENTS.", Mend: "emit it"},
			func(ctx context.Context) error { return accounts.EmitChange(ctx, r.DB, r.Bus.Emit, account.ID) })
	}
	if account.Paused() {
		r.found(ctx, Discrepancy{AccountID: account.ID, Check: "account", Remark: true,
			Says: fmt.Sprintf("The account is paused since %s; its posts wait until it is resumed.", account.PausedAt.UTC().Format(time.RFC3339))}, nil)
	}
	list, err := posts.LatestOfAccount(ctx, r.DB, account.ID, r.Limit+1)
	if err != nil {
		return err
	}
	if len(list) > r.Limit {
		list, r.out.Cut = list[:r.Limit], true
	}
	a := r.open(ctx, account.ID)
	var listed map[string]threads.Media
	if a != nil {
		listed, err = r.listed(ctx, *a, r.Since, time.Time{})
		if err != nil {
			r.found(ctx, Discrepancy{AccountID: account.ID, Check: "threads", Says: "The account's posts could not be listed: " + reason(err)}, nil)
		}
		r.out.Listed += len(listed)
	}
	for i := range list {
		p, old := &list[i], posts.Ended(&list[i]) && list[i].PublishAt.Before(r.Since)
		look := a
		if old {
			look = nil // of what is older than that, only our own side
		}
		if err := r.post(ctx, p, look, listed); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil { // the others are compared all the same
			r.found(ctx, Discrepancy{AccountID: account.ID, PostID: p.ID, Check: "row", Says: "The post could not be compared: " + reason(err)}, nil)
		}
		r.out.Posts++
		if r.Progress != nil {
			done := float64(r.out.Accounts-1) + float64(i+1)/float64(len(list)) // accounts
			r.Progress(r.out.Posts, int(float64(r.out.Posts)/done*float64(max(r.ofAccounts, 1))))
		}
	}
	lost, err := r.lostRows(ctx, account.ID)
	if err != nil {
		return err
	}
	if err := r.sayLost(ctx, lost); err != nil {
		return err
	}
	return r.elsewhere(ctx, account, list, listed)
}

// elsewhere says which posts Threads lists that no row of anybody knows: a Threads account may be connected by several users, and each
// sees the posts of all.
func (r *reconciliation) elsewhere(ctx context.Context, account accounts.Account, list []posts.Post, listed map[string]threads.Media) error {
	sharing, err := accounts.SharingThreadsAccount(ctx, r.DB, account.ProviderUserID)
	if err != nil {
		return err
	}
	ids := slices.Sorted(maps.Keys(listed))
	known, err := posts.RowsByMediaID(ctx, r.DB, sharing, ids)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return known[id] != "" })
	if len(ids) == 0 {
		return nil
	}
	lost := map[string]string{} // by media id
	for _, id := range sharing {
		rows, err := r.lostRows(ctx, id)
		if err != nil {
			return err
		}
		for i := range rows {
			for _, mediaID := range posts.LiveMediaIDs(&rows[i].post) {
				lost[mediaID] = rows[i].post.ID
			}
		}
	}
	of := account.ID
	if account.Username != "" {
		of = "@" + account.Username + " (" + account.ID + ")"
	}
	for _, id := range ids {
		if lost[id] != "" {
			continue // said of its own account
		}
		m := listed[id]
		d := Discrepancy{AccountID: account.ID, MediaID: id, Check: "elsewhere", Remark: true}
		d.Says = fmt.Sprintf("Threads lists a post of %s, of %s, that is none of ours: it was published elsewhere.", of, stamp(m.Timestamp))
		for i := range list {
			if p := &list[i]; !posts.IsFinal(p.State) && p.Doubt && posts.Matches(p, m) {
				d.Remark = false
				d.Says = fmt.Sprintf("Threads lists a post of %s, of %s, that no row has; it could be %s, whose outcome is not known.", of, stamp(m.Timestamp), p.ID)
			}
		}
		r.found(ctx, d, nil)
	}
	return nil
}

// listed is what Threads lists of an account in a time: posts, and replies where they may be read.
func (r *reconciliation) listed(ctx context.Context, a access, since, until time.Time) (map[string]threads.Media, error) {
	lists := []func(context.Context, threads.Token, threads.ListQuery) (threads.Page, error){r.Threads.Posts}
	if a.account.HasScope(threads.ScopeReadReplies) {
		lists = append(lists, r.Threads.Replies)
	}
	if until.After(r.Now()) {
		until = time.Time{}
	}
	all := map[string]threads.Media{}
	for _, list := range lists {
		read, err := threads.ReadAll(ctx, list, a.token, threads.ListQuery{Since: since, Until: until})
		for _, m := range read {
			all[m.ID] = m
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// post compares one post. listed may hold it already, as Threads shows it.
func (r *reconciliation) post(ctx context.Context, p *posts.Post, a *access, listed map[string]threads.Media) error {
	if p.Lease != "" && p.LeaseUntil.After(r.Now()) || r.Now().Sub(p.UpdatedAt) < settled {
		return nil // somebody is at it: what is seen now would be half a move
	}
	disputed, err := r.againstEvents(ctx, p)
	if err != nil || disputed == all {
		return err // what else the row says is not to be relied on, least of all for mending
	}
	if disputed == wishes {
		if a != nil {
			r.media(ctx, p, *a, listed)
		}
		return nil
	}
	if err := r.againstAlarms(ctx, p); err != nil {
		return err
	}
	if a != nil {
		r.container(ctx, p, *a)
		r.media(ctx, p, *a, listed)
	}
	return nil
}

func (r *reconciliation) of(p *posts.Post, check, format string, args ...any) Discrepancy {
	return Discrepancy{AccountID: p.AccountID, PostID: p.ID, MediaID: p.MediaID, Check: check, Says: fmt.Sprintf(format, args...)}
}

// look has the publisher look at a post now. The sweep does the waking.
func (r *reconciliation) look(p *posts.Post) func(context.Context) error {
	return func(ctx context.Context) error {
		return posts.WakeUnchanged(ctx, r.DB, p, r.Now().Add(-2*r.SweepGrace))
	}
}

const mendLook = "have the publisher look at it now"

// container looks at what was built for a post that is not live.
func (r *reconciliation) container(ctx context.Context, p *posts.Post, a access) {
	if p.ContainerID == "" || posts.IsFinal(p.State) || p.State == events.StateParked {
		return
	}
	status, err := r.Threads.ContainerStatus(ctx, a.token, p.ContainerID)
	lost := threads.ClassOf(err) == threads.NotFound || threads.ClassOf(err) == threads.NotReady && r.Now().Sub(p.ContainerAt) > notVisibleFor
	if err != nil && !lost {
		r.found(ctx, r.of(p, "threads", "Its container could not be read: %s", reason(err)), nil)
		return
	}
	switch {
	case status.Status == threads.StatusPublished && p.State == events.StateUnconfirmed:
		d := r.of(p, "container", "Threads says that it is live, and the publisher is still looking for its id.")
		d.Mend = mendLook
		r.found(ctx, d, r.look(p))
	case status.Status == threads.StatusPublished && posts.IsOpen(p.State):
		d := r.of(p, "container", "The row says %s, but Threads says that its container is published.", p.State)
		d.Mend = "treat its outcome as unknown: the publisher looks for it before anything else"
		r.found(ctx, d, func(ctx context.Context) error {
			return r.Publisher.LookForLive(ctx, p)
		})
	case (lost || status.Status == threads.StatusExpired || status.Status == threads.StatusError) && p.State == events.StateReady && !p.Doubt:
		d := r.of(p, "container", "The row says ready, but Threads no longer has its container, or could not process it.")
		d.Mend = "have it built anew"
		r.found(ctx, d, func(ctx context.Context) error { return r.Publisher.RebuildContainer(ctx, p) })
	case lost && p.Doubt:
		r.found(ctx, r.of(p, "container", "Threads no longer knows its container, and a call was made for it; the publisher looks for it at %s.", stamp(p.WakeAt)), nil)
	}
}

// media looks whether what the row calls live is there, with its words.
func (r *reconciliation) media(ctx context.Context, p *posts.Post, a access, listed map[string]threads.Media) {
	texts := map[string]string{p.MediaID: p.Text}
	for _, part := range p.Parts {
		texts[part.MediaID] = part.Text
	}
	for _, id := range posts.LiveMediaIDs(p) {
		d := r.of(p, "media", "")
		d.MediaID = id
		m, there := listed[id]
		var err error
		if !there {
			m, err = r.Threads.Media(ctx, a.token, id)
		}
		switch {
		case err == nil && p.Kind != events.KindRepost && posts.Normalise(texts[id]) != posts.Normalise(m.Text):
			d.Check, d.Says = "text", "Threads shows other words than the row has."
			r.found(ctx, d, nil)
		case err == nil:
		case !threads.IsDeleted(err):
			d.Check, d.Says = "threads", "The post could not be read: "+reason(err)
			r.found(ctx, d, nil)
		default:
			r.vanished(ctx, p, a, d)
		}
	}
}

// vanished handles a live post that Threads does not know any more. It counts as deleted only where the account's list of
// that time can be read as well, and does not have it.
func (r *reconciliation) vanished(ctx context.Context, p *posts.Post, a access, d Discrepancy) {
	d.Says = "The row says that it is live, but Threads does not know it any more."
	at := clock.Latest(p.AcceptedAt, p.PublishAt)
	switch list, err := r.listed(ctx, a, p.PublishAt.Add(-posts.LookBack), at.Add(24*time.Hour)); {
	case !p.DeleteRequestedAt.IsZero():
		d.Says += " Its deletion was asked for."
		d.Mend = mendLook
		r.found(ctx, d, r.look(p))
	case p.Options.Ghost:
		d.Says += " It was a ghost post; those vanish after a day."
		d.Remark = true
		r.found(ctx, d, nil)
	case err != nil || p.IsReply() && !a.account.HasScope(threads.ScopeReadReplies):
		d.Says += " The list that would have it cannot be read, so it is left as it is."
		r.found(ctx, d, nil)
	case list[d.MediaID].ID != "":
		d.Says += " Yet its list has it: Threads contradicts itself; look again later."
		r.found(ctx, d, nil)
	default:
		d.Mend = "emit that it was deleted on Threads; the projector marks the row"
		r.found(ctx, d, func(ctx context.Context) error {
			return r.Bus.Emit(ctx, events.DeletedOnThreads{Heard: events.Heard{UserID: p.UserID, AccountID: p.AccountID, MediaID: d.MediaID, At: r.Now().UTC()}})
		})
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
