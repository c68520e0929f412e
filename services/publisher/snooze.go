package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
)

// snooze sees to it that a post is looked at again at a time that its row knows. A short wait is left to the message in
// hand, while those are few; any other gets an alarm.
func (s *Service) snooze(ctx context.Context, p *Post, at time.Time) error {
	wait := at.Sub(s.now())
	switch {
	case wait > s.cfg.ArmHorizon:
		return nil // the sweep arms it as its time comes near
	case s.inHand.take(wait):
		return bus.Later(wait)
	}
	return s.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), at, p.Rev)
}

// inHand counts the messages that wait at NATS to be delivered again. Each counts against the durable's MaxAckPending, for
// all processes together: 20,000 of them, and nobody is woken any more.
type inHand struct{ waiting atomic.Int64 }

// mostInHand is how many of a process may wait so.
const mostInHand = 1000

// take says whether one more message may wait so long. Up to tooNear it does: an alarm that is set so late hangs on the
// server's timer, which a step of the clock can stop for as long (reference nats.md §1.8).
func (h *inHand) take(wait time.Duration) bool {
	if !mayWaitInHand(wait, h.waiting.Load()) {
		return false
	}
	h.waiting.Add(1)
	time.AfterFunc(wait, func() { h.waiting.Add(-1) })
	return true
}

func mayWaitInHand(wait time.Duration, waiting int64) bool {
	return wait <= tooNear && waiting < mostInHand
}

// noPlace puts off a post that found no place. Nothing is held meanwhile.
func (s *Service) noPlace(ctx context.Context, p *Post, again time.Duration) error {
	if again <= time.Second && s.inHand.take(again) {
		return bus.Later(again)
	}
	return s.delay(ctx, p, again)
}

// delay moves a post's wake-up and nothing else. It is written together with others: they come by the thousand.
func (s *Service) delay(ctx context.Context, p *Post, wait time.Duration) error {
	at := s.now().Add(max(wait, 10*time.Millisecond))
	if err := s.delays.Do(ctx, delayed{p, at}); err != nil {
		return err
	}
	if err := s.snooze(ctx, p, at); err != nil {
		return err
	}
	return errSnoozed
}

// errSnoozed says that a post is looked at again later, and nothing is to be done until then.
var errSnoozed = errors.New("the post is looked at again later")

type delayed struct {
	p  *Post
	at time.Time
}

// delayBatch moves the wake-ups of posts that are as they were read. A row that somebody else holds is not waited for.
func (s *store) delayBatch(ctx context.Context, items []delayed) []error {
	type row struct {
		ID      string       `bun:"id"`
		State   events.State `bun:"was_state"`
		Rev     int64        `bun:"was_rev"`
		Attempt int          `bun:"was_attempt"`
		At      time.Time    `bun:"at,type:timestamptz"`
	}
	rows := make([]row, len(items))
	for i, d := range items {
		rows[i] = row{d.p.ID, d.p.State, d.p.Rev, d.p.Attempt, d.at.UTC()}
	}
	var ids []string
	free := s.db.NewSelect().Model((*Post)(nil)).Column("id").Where("id IN (SELECT id FROM d)").For("UPDATE SKIP LOCKED")
	err := s.db.NewUpdate().With("d", s.db.NewValues(&rows)).With("free", free).Model((*Post)(nil)).TableExpr("d JOIN free USING (id)").
		Set("wake_at = d.at, armed_at = d.at").
		Where("post.id = d.id AND post.state = d.was_state AND post.rev = d.was_rev AND post.attempt = d.was_attempt").
		Where("post.lease IS NULL OR post.lease_until < now()").
		Returning("post.id").Scan(ctx, &ids)
	if err != nil {
		return batch.All(len(items), fmt.Errorf("put posts off: %w", err))
	}
	moved := make(map[string]bool, len(ids))
	for _, id := range ids {
		moved[id] = true
	}
	errs := make([]error, len(items))
	for i, d := range items {
		if !moved[d.p.ID] {
			errs[i] = fmt.Errorf("put a post off: %w", errLost)
		}
	}
	return errs
}

// spaceOut has overdue posts of an account go out Spacing apart, the earliest first: each gets a time of its own, from the
// one on at which the next may go. Were they all to come back then, each would be claimed and refused again for every one
// that goes.
func (s *Service) spaceOut(ctx context.Context, p *Post, from time.Time) error {
	if wait := from.Sub(s.now()); wait < s.cfg.Spacing/2 {
		return s.delay(ctx, p, wait) // its turn has come, but for the others' jitter
	}
	if err := s.spacings.Do(ctx, spacing{p.AccountID, from}); err != nil {
		return err
	}
	return errLost // its row has another time now
}

type spacing struct {
	account string
	from    time.Time
}

// spaceOutBatch spaces each account once.
func (s *Service) spaceOutBatch(ctx context.Context, batch []spacing) []error {
	from := map[string]time.Time{}
	for _, b := range batch {
		from[b.account] = clock.Latest(from[b.account], b.from)
	}
	failed := map[string]error{}
	for account, at := range from {
		failed[account] = s.store.spaceOut(ctx, s.db, account, at, s.now().Add(-s.cfg.LateAfter), s.cfg.Spacing)
	}
	errs := make([]error, len(batch))
	for i, b := range batch {
		errs[i] = failed[b.account]
	}
	return errs
}

// spaceOut moves back the wake-ups of an account's ready posts that were due before late. Who has its time already keeps
// it, and nobody is moved beyond the end of the time within which it may be published.
func (s *store) spaceOut(ctx context.Context, db bun.IDB, account string, from, late time.Time, apart time.Duration) error {
	_, err := db.NewRaw(`
		WITH free AS (
			SELECT id FROM posts
			WHERE account_id = ?0 AND state NOT IN ('published', 'failed', 'cancelled') AND publish_at < ?3 AND state = 'ready'
			FOR UPDATE SKIP LOCKED
		), line AS (
			SELECT id, ?1::timestamptz + (row_number() OVER (ORDER BY publish_at, id) - 1) * ?2 * interval '1 millisecond' AS at,
				publish_at + (publish_within + 1) * interval '1 second' AS missed
			FROM posts
			WHERE account_id = ?0 AND state NOT IN ('published', 'failed', 'cancelled') AND publish_at < ?3
				AND state = 'ready' AND parts->0->>'mediaId' IS NULL AND (lease IS NULL OR lease_until < now())
		)
		UPDATE posts SET wake_at = least(line.at, line.missed), armed_at = NULL FROM line JOIN free USING (id)
		WHERE posts.id = line.id AND posts.state = 'ready' AND (posts.lease IS NULL OR posts.lease_until < now())
			AND posts.wake_at < least(line.at, line.missed) - ?2 / 2 * interval '1 millisecond'`,
		account, from, apart.Milliseconds(), late).Exec(ctx)
	if err != nil {
		return fmt.Errorf("space the overdue posts of an account: %w", err)
	}
	return nil
}
