package posts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/pg"
)

// ErrDuplicateContent says that an equal text of the same Threads user is being published or looked for. Two equal posts could not
// be told apart afterwards, so the second waits.
var ErrDuplicateContent = errors.New("an equal post of this account is not yet settled")

// QuotaFullError says when the oldest use of the account's quota leaves the window.
type QuotaFullError struct {
	Quota Quota
	Until time.Time
}

func (q QuotaFullError) Error() string {
	return fmt.Sprintf("the account's %s are used up until %s", q.Quota, q.Until)
}

// SpacingError says that an overdue post keeps its distance to the one of the same account before it.
type SpacingError struct{ Until time.Time }

func (t SpacingError) Error() string { return "another post of the account went out just now" }

// ErrAccountBusy says that somebody else holds the row of the post's account at this moment. Only this post comes back for it.
var ErrAccountBusy = errors.New("the account is held by somebody else at this moment")

// Claim is what one claim asks for: was, as the worker read the row, and p, as it shall be.
type Claim struct {
	Old, Next *Post
	Late      bool          // overdue by so much that it keeps its distance
	CallLasts time.Duration // until the call has ended, whatever came of it
}

// Claim works many claims in one transaction; each is judged by itself.
func (s *Store) Claim(ctx context.Context, items []Claim, spacing time.Duration, now time.Time) []error {
	errs := make([]error, len(items))
	err := pg.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) error {
		clear(errs)
		ids, posts := make([]string, len(items)), make([]string, len(items))
		for i, c := range items {
			ids[i], posts[i] = c.Next.AccountID, c.Next.ID
		}
		locked, err := accounts.LockAll(ctx, tx, ids)
		if err != nil {
			return err
		}
		inDoubt, err := s.inDoubt(ctx, tx, locked.Connected)
		if err != nil {
			return err
		}
		usages, err := QuotaUsed(ctx, tx, ids, now, posts...)
		if err != nil {
			return err
		}
		var going []int
		taken := map[string]bool{}
		for i, c := range items {
			account, there := locked.Connected[c.Next.AccountID]
			content := contentKey{account.ProviderUserID, c.Next.ContentHash}
			key := AccountQuota{c.Next.AccountID, QuotaOf(c.Next)}
			u := usages[key]
			latest := u.LatestBut(c.Next.ID)
			switch other := inDoubt[content]; {
			case taken[c.Next.ID]: // two wake-ups of one post, side by side
				errs[i] = fmt.Errorf("claim: %w", ErrLost)
				continue
			case locked.Busy[c.Next.AccountID]:
				errs[i] = ErrAccountBusy
				continue
			case !there:
				errs[i] = fmt.Errorf("the account was taken away: %w", ErrLost)
				continue
			case account.Paused():
				errs[i] = AccountPausedError{account}
				continue
			case other != "" && other != c.Next.ID:
				errs[i] = ErrDuplicateContent
				continue
			case c.Late && now.Sub(latest) < spacing:
				errs[i] = SpacingError{Until: latest.Add(spacing)}
				continue
			case u.Used >= key.Quota.Total() && !u.Has(c.Next.ID, c.Next.CurrentPart()):
				errs[i] = QuotaFullError{Quota: key.Quota, Until: u.Oldest.Add(QuotaWindow)}
				continue
			}
			taken[c.Next.ID] = true
			inDoubt[content] = c.Next.ID
			u.Latest = now
			if !u.Has(c.Next.ID, c.Next.CurrentPart()) {
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

// contentKey is a text at a Threads user. Two of our users may have connected the same one.
type contentKey struct{ threadsUser, hash string }

// inDoubt finds the posts in doubt of the Threads users behind the accounts. Parked ones wait for a person, and others do
// not wait with them.
func (s *Store) inDoubt(ctx context.Context, tx bun.Tx, connected map[string]accounts.Account) (map[contentKey]string, error) {
	var users []string
	for _, a := range connected {
		users = append(users, a.ProviderUserID)
	}
	if len(users) == 0 {
		return map[contentKey]string{}, nil
	}
	var rows []struct {
		ID          string `bun:"id"`
		ThreadsUser string `bun:"provider_user_id"`
		ContentHash string `bun:"content_hash"`
	}
	// In the order of the index that is meant, for as long as the table is so small that any would do.
	const text = `SELECT p.id, p.content_hash, a.provider_user_id FROM social_connections AS a CROSS JOIN LATERAL (
			SELECT id, content_hash FROM posts WHERE account_id = a.id AND doubt AND state IN ('publishing', 'unconfirmed', 'ready')
			ORDER BY account_id, content_hash
		) AS p WHERE a.provider_user_id = ANY($1::text[])`
	if err := pg.Prepared(ctx, tx, text, []any{users}, &rows); err != nil {
		return nil, fmt.Errorf("look for equal posts: %w", err)
	}
	m := make(map[contentKey]string, len(rows))
	for _, r := range rows {
		m[contentKey{r.ThreadsUser, r.ContentHash}] = r.ID
	}
	return m, nil
}

// writeClaims is the conditional update of every claim that may go, and the reservation of those that went.
func (s *Store) writeClaims(ctx context.Context, tx bun.Tx, batch []Claim, going []int, errs []error, now time.Time) error {
	if len(going) == 0 {
		return nil
	}
	type row struct {
		ID        string       `bun:"id"`
		State     events.State `bun:"was_state"`
		Rev       int64        `bun:"was_rev"`
		Attempt   int          `bun:"was_attempt"`
		Lease     string       `bun:"lease"`
		Container string       `bun:"container_id"`
		Built     string       `bun:"built_from"`
		OverMs    int64        `bun:"over_ms"`
		WakeAt    time.Time    `bun:"wake_at,type:timestamptz"`
		UpdatedAt time.Time    `bun:"updated_at,type:timestamptz"`
	}
	rows := make([]row, len(going))
	for n, i := range going {
		was, p := batch[i].Old, batch[i].Next
		rows[n] = row{was.ID, was.State, was.Rev, was.Attempt, p.Lease, was.ContainerID, was.BuiltFrom, batch[i].CallLasts.Milliseconds(), p.WakeAt, now}
	}
	var won []struct {
		ID           string    `bun:"id"`
		CallDeadline time.Time `bun:"call_deadline"`
		ClaimedAt    time.Time `bun:"claimed_at"`
		DoubtSince   time.Time `bun:"doubt_since"`
	}
	// A post whose row somebody else holds is being moved: this claim has lost it, and the others do not wait for it.
	err := together{rows: &rows, list: "c", set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.
			Set("state = 'publishing'").Set("attempt = post.attempt + 1").
			Set("lease = c.lease").Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
			Set("updated_at = c.updated_at, wake_at = c.wake_at").
			// From here on a call may make it live. Kept by the database's clock: a look must find it whatever ours says.
			Set("claimed_at = clock_timestamp(), doubt = true, doubt_since = coalesce(post.doubt_since, clock_timestamp()), on_absent = ?", AbsentRetry).
			// By the database's clock, as the lease: whether a second call may be made must not hang on whose clock was set meanwhile.
			Set("call_deadline = clock_timestamp() + c.over_ms * interval '1 millisecond'").
			Set("armed_at = NULL, finished_seen_at = NULL").
			Where("post.state = c.was_state AND post.rev = c.was_rev AND post.attempt = c.was_attempt").
			// What is called is the container that the worker read.
			Where("coalesce(post.container_id, '') = c.container_id AND coalesce(post.built_from, '') = c.built_from AND NOT post.recalled").
			Where("post.lease IS NULL OR post.lease_until < now()").
			Returning("post.id, post.call_deadline, post.claimed_at, post.doubt_since")
	}}.in(ctx, tx, &won)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	claimed := make(map[string]int, len(won))
	for n, w := range won {
		claimed[w.ID] = n
	}
	var uses []QuotaUse
	for _, i := range going {
		p := batch[i].Next
		n, ok := claimed[p.ID]
		if !ok {
			errs[i] = fmt.Errorf("claim: %w", ErrLost)
			continue
		}
		p.UpdatedAt, p.Doubt = now, true
		p.ClaimedAt, p.CallDeadline, p.DoubtSince = won[n].ClaimedAt.UTC(), won[n].CallDeadline.UTC(), won[n].DoubtSince.UTC()
		uses = append(uses, QuotaUse{AccountID: p.AccountID, Quota: QuotaOf(p), At: now, PostID: p.ID, Part: p.CurrentPart()})
	}
	if len(uses) == 0 {
		return nil
	}
	return SpendQuota(ctx, tx, uses...)
}

// AccountPausedError says that the post's account is paused.
type AccountPausedError struct{ Account accounts.Account }

func (AccountPausedError) Error() string { return "the account is paused" }
