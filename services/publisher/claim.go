package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
)

// errTwin says that an equal text of the same Threads user is being published or looked for. Two equal posts could not
// be told apart afterwards, so the second waits.
var errTwin = errors.New("an equal post of this account is not yet settled")

// quotaFull says when the oldest use of the account's quota leaves the window.
type quotaFull struct {
	quota quota
	until time.Time
}

func (q quotaFull) Error() string {
	return fmt.Sprintf("the account's %s are used up until %s", q.quota, q.until)
}

// tooSoon says that an overdue post keeps its distance to the one of the same account before it.
type tooSoon struct{ until time.Time }

func (t tooSoon) Error() string { return "another post of the account went out just now" }

// errBusy says that somebody else holds the row of the post's account at this moment. Only this post comes back for it.
var errBusy = errors.New("the account is held by somebody else at this moment")

// A busy account is tried again a few times, within the time that a claim has before its call. Then the message comes again.
const (
	busyTries = 6
	busyPause = 5 * time.Millisecond // doubling
	busyAgain = 250 * time.Millisecond
)

// unlessBusy does again, a few times, what finds its account busy.
func unlessBusy(ctx context.Context, do func() error) error {
	err := do()
	for n, wait := 1, busyPause; errors.Is(err, errBusy) && n < busyTries && pause(ctx, wait); n, wait = n+1, 2*wait {
		err = do()
	}
	return err
}

// claim is what one claim asks for: was, as the worker read the row, and p, as it shall be.
type claim struct {
	was, p *Post
	late   bool          // overdue by so much that it keeps its distance
	over   time.Duration // until the call has ended, whatever came of it
}

// claim moves a ready post to publishing: from here to the answer it is this worker's, and nobody may edit or
// cancel it. The quota is reserved in the same transaction, under the account's row lock, so that two workers
// cannot both take the last place.
func (s *Service) claim(ctx context.Context, was *Post) (*Post, error) {
	now := s.now()
	p := *was
	p.State, p.Lease, p.LeaseUntil = events.StatePublishing, uuid.NewString(), now.Add(s.cfg.Lease)
	p.Attempt++
	p.ClaimedAt = now
	p.FinishedSeenAt, p.OnAbsent = time.Time{}, absentRetry
	p.WakeAt = now.Add(s.cfg.Lease + time.Second) // when this worker is gone, the next may ask
	p.ArmedAt = time.Time{}                       // the message in hand wakes it; if that is lost, the sweep does
	p.UpdatedAt = now
	p.tidy()
	c := claim{was: was, p: &p, late: p.turn() == 0 && now.Sub(p.PublishAt) > s.cfg.LateAfter, over: s.cfg.CallTimeout}
	if ahead := p.PublishAt.Sub(now); ahead > 0 {
		c.over += ahead
	}
	err := unlessBusy(ctx, func() error { return s.claims.Do(ctx, c) })
	if err == nil {
		return &p, nil
	}
	if !decided(err) { // it may have been made all the same; the next wake-up sees
		s.store.unheard.add(p.Lease, was)
		return nil, bus.Later(unheardAgain)
	}
	return nil, err
}

// decided says that a claim was judged, and not made.
func decided(err error) bool {
	for _, judgement := range []error{errBusy, errTwin, errLost} {
		if errors.Is(err, judgement) {
			return true
		}
	}
	return errors.As(err, new(errPaused)) || errors.As(err, new(quotaFull)) || errors.As(err, new(tooSoon)) || pg.Refused(err)
}

// claimBatch works many claims in one transaction; each is judged by itself.
func (s *store) claimBatch(ctx context.Context, items []claim, spacing time.Duration, now time.Time) []error {
	errs := make([]error, len(items))
	err := pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		clear(errs)
		ids, posts := make([]string, len(items)), make([]string, len(items))
		for i, c := range items {
			ids[i], posts[i] = c.p.AccountID, c.p.ID
		}
		locked, err := accounts.LockAll(ctx, tx, ids)
		if err != nil {
			return err
		}
		unsettled, err := s.unsettled(ctx, tx, locked.Connected)
		if err != nil {
			return err
		}
		usages, err := used(ctx, tx, ids, now, posts...)
		if err != nil {
			return err
		}
		var going []int
		taken := map[string]bool{}
		for i, c := range items {
			account, there := locked.Connected[c.p.AccountID]
			twin := twinKey{account.ProviderUserID, c.p.ContentHash}
			key := quotaOf{c.p.AccountID, c.p.spends()}
			u := usages[key]
			switch other := unsettled[twin]; {
			case taken[c.p.ID]: // two wake-ups of one post, side by side
				errs[i] = fmt.Errorf("claim: %w", errLost)
				continue
			case locked.Busy[c.p.AccountID]:
				errs[i] = errBusy
				continue
			case !there:
				errs[i] = fmt.Errorf("the account was taken away: %w", errLost)
				continue
			case account.Paused():
				errs[i] = errPaused{account}
				continue
			case other != "" && other != c.p.ID:
				errs[i] = errTwin
				continue
			case c.late && now.Sub(u.Latest) < spacing:
				errs[i] = tooSoon{until: u.Latest.Add(spacing)}
				continue
			case u.Used >= key.quota.total() && !u.has(c.p.ID, c.p.turn()):
				errs[i] = quotaFull{quota: key.quota, until: u.Oldest.Add(quotaWindow)}
				continue
			}
			taken[c.p.ID] = true
			unsettled[twin] = c.p.ID
			u.Latest = now
			if !u.has(c.p.ID, c.p.turn()) {
				u.Used++
			}
			if u.Oldest.IsZero() {
				u.Oldest = now
			}
			usages[key] = u
			going = append(going, i)
		}
		return s.writeClaims(ctx, tx, items, going, errs, now)
	})
	if err != nil {
		return batch.All(len(items), err)
	}
	return errs
}

// twinKey is a text at a Threads user. Two of our users may have connected the same one.
type twinKey struct{ threadsUser, hash string }

// unsettled finds the posts in doubt of the Threads users behind the accounts. Parked ones wait for a person, and others do
// not wait with them.
func (s *store) unsettled(ctx context.Context, tx bun.Tx, connected map[string]accounts.Account) (map[twinKey]string, error) {
	var users []string
	for _, a := range connected {
		users = append(users, a.ProviderUserID)
	}
	if len(users) == 0 {
		return map[twinKey]string{}, nil
	}
	var rows []struct {
		ID          string `bun:"id"`
		ThreadsUser string `bun:"provider_user_id"`
		ContentHash string `bun:"content_hash"`
	}
	err := tx.NewRaw(`SELECT p.id, p.content_hash, a.provider_user_id FROM social_connections AS a JOIN posts AS p ON p.account_id = a.id
		WHERE a.provider_user_id IN (?) AND p.doubt AND p.state IN ('publishing', 'unconfirmed', 'ready')`, bun.List(users)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("look for equal posts: %w", err)
	}
	m := make(map[twinKey]string, len(rows))
	for _, r := range rows {
		m[twinKey{r.ThreadsUser, r.ContentHash}] = r.ID
	}
	return m, nil
}

// writeClaims is the conditional update of every claim that may go, and the reservation of those that went.
func (s *store) writeClaims(ctx context.Context, tx bun.Tx, batch []claim, going []int, errs []error, now time.Time) error {
	if len(going) == 0 {
		return nil
	}
	type row struct {
		ID      string       `bun:"id"`
		State   events.State `bun:"was_state"`
		Rev     int64        `bun:"was_rev"`
		Attempt int          `bun:"was_attempt"`
		Lease   string       `bun:"lease"`
		Built   string       `bun:"built_from"`
		OverMs  int64        `bun:"over_ms"`
		WakeAt  time.Time    `bun:"wake_at,type:timestamptz"`
	}
	rows, ids := make([]row, len(going)), make([]string, len(going))
	for n, i := range going {
		was, p := batch[i].was, batch[i].p
		ids[n] = was.ID
		rows[n] = row{was.ID, was.State, was.Rev, was.Attempt, p.Lease, was.BuiltFrom, batch[i].over.Milliseconds(), p.WakeAt}
	}
	var won []struct {
		ID           string    `bun:"id"`
		CallDeadline time.Time `bun:"call_deadline"`
		ClaimedAt    time.Time `bun:"claimed_at"`
		DoubtSince   time.Time `bun:"doubt_since"`
	}
	// A post whose row somebody else holds is being moved: this claim has lost it, and the others do not wait for it.
	err := tx.NewUpdate().With("c", tx.NewValues(&rows)).With("free", free(tx, ids)).Model((*Post)(nil)).TableExpr("c, free").
		Set("state = 'publishing'").Set("attempt = post.attempt + 1").
		Set("lease = c.lease").Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
		Set("updated_at = ?", now).Set("wake_at = c.wake_at").
		// From here on a call may make it live. Kept by the database's clock: a look must find it whatever ours says.
		Set("claimed_at = clock_timestamp(), doubt = true, doubt_since = coalesce(post.doubt_since, clock_timestamp()), on_absent = ?", absentRetry).
		// By the database's clock, as the lease: whether a second call may be made must not hang on whose clock was set meanwhile.
		Set("call_deadline = clock_timestamp() + c.over_ms * interval '1 millisecond'").
		Set("armed_at = NULL, finished_seen_at = NULL").
		Where("post.id = free.id AND post.id = c.id AND post.state = c.was_state AND post.rev = c.was_rev AND post.attempt = c.was_attempt").
		Where("coalesce(post.built_from, '') = c.built_from AND NOT post.recalled").
		Where("post.lease IS NULL OR post.lease_until < now()").
		Returning("post.id, post.call_deadline, post.claimed_at, post.doubt_since").Scan(ctx, &won)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	claimed := make(map[string]int, len(won))
	for n, w := range won {
		claimed[w.ID] = n
	}
	var uses []use
	for _, i := range going {
		p := batch[i].p
		n, ok := claimed[p.ID]
		if !ok {
			errs[i] = fmt.Errorf("claim: %w", errLost)
			continue
		}
		p.UpdatedAt, p.Doubt = now, true
		p.ClaimedAt, p.CallDeadline, p.DoubtSince = won[n].ClaimedAt.UTC(), won[n].CallDeadline.UTC(), won[n].DoubtSince.UTC()
		uses = append(uses, use{AccountID: p.AccountID, Quota: p.spends(), At: now, PostID: p.ID, Part: p.turn()})
	}
	if len(uses) == 0 {
		return nil
	}
	return spend(ctx, tx, uses...)
}
