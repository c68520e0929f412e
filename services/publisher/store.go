package publisher

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/pg"
)

// errLost says that someone else moved the post: drop what you hold, the row is right.
var errLost = errors.New("the post was moved by someone else")

// store is every statement on posts and post_attempts. A method works on the bun.IDB that it is given, so that it may be
// part of a transaction.
type store struct {
	db              *bun.DB // of those that are never part of a transaction: batches, and what takes, renews and ends a lease
	lease           time.Duration
	secondCallAfter time.Duration

	unheard unheard
}

// get reads a post. A missing one is a Fault NotFound.
func (s *store) get(ctx context.Context, db bun.IDB, id string) (*Post, error) {
	p := new(Post)
	err := db.NewSelect().Model(p).Where("id = ?", id).Scan(ctx)
	return found(p, err)
}

// readPosts reads many posts at once.
func (s *store) readPosts(ctx context.Context, items []batch.Read[Post]) []error {
	var rows []Post
	if err := s.db.NewSelect().Model(&rows).Where("id IN (?)", bun.List(batch.IDs(items))).Scan(ctx); err != nil {
		return batch.All(len(items), fmt.Errorf("read posts: %w", err))
	}
	byID := make(map[string]Post, len(rows))
	for _, p := range rows {
		byID[p.ID] = p
	}
	return batch.Give(items, byID)
}

// find reads a user's post by our id, by Threads' media id, or by the id that the original gave it. A foreign one answers
// like a missing one.
func (s *store) find(ctx context.Context, db bun.IDB, userID, id string) (*Post, error) {
	p := new(Post)
	id = events.PostIDOf(userID, id)
	q := db.NewSelect().Model(p).Where("user_id = ?", userID)
	if events.IsPostID(id) {
		q = q.Where("id = ?", id)
	} else {
		q = q.Where("media_id = ? OR parts @> ?::jsonb AND parts <> '[]'", id, `[{"mediaId":`+strconv.Quote(id)+`}]`)
	}
	// A post of ours may have been imported too; then ours is meant.
	return found(p, q.OrderExpr("kind = ?", events.KindImported).Limit(1).Scan(ctx))
}

func found(p *Post, err error) (*Post, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, events.Faultf(events.NotFound, "There is no post with this id among yours.")
	}
	if err != nil {
		return nil, fmt.Errorf("read post: %w", err)
	}
	return p, nil
}

// insert writes a new post. Where a replay of EVENTS has written it already, p becomes that row.
func (s *store) insert(ctx context.Context, db bun.IDB, p *Post) error {
	p.tidy()
	res, err := db.NewInsert().Model(p).On("CONFLICT (id) DO NOTHING").Exec(ctx)
	if err := won(res, err); err == nil || !errors.Is(err, errLost) {
		return err
	}
	there, err := s.get(ctx, db, p.ID)
	if err == nil {
		*p = *there
	}
	return err
}

// newStore is a store whose leases last so long.
func newStore(db *bun.DB, lease, secondCallAfter time.Duration) *store {
	return &store{db: db, lease: lease, secondCallAfter: secondCallAfter}
}

// acquire takes the lease of a post, if the post is as the caller read it and nobody works on it. The database's
// clock judges when an old lease has lapsed; LeaseUntil is the holder's own, earlier, idea of it. leasedAt is the
// database's time. A lease of ours of which nothing was heard is taken over.
func (s *store) acquire(ctx context.Context, p *Post, now time.Time) error {
	token := s.unheard.token(p)
	var at time.Time
	err := s.db.NewUpdate().Model((*Post)(nil)).
		Set("lease = ?", token).Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
		Where("id = ? AND state = ? AND rev = ?", p.ID, p.State, p.Rev).
		Where("lease IS NULL OR lease_until < now() OR lease = ?", token).
		Returning("clock_timestamp()").Scan(ctx, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = errLost
	} else if err != nil {
		s.unheard.add(token, nil)
	}
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	p.Lease, p.LeaseUntil, p.leasedAt = token, now.Add(s.lease), at
	return nil
}

// now is the database's time.
func (s *store) now(ctx context.Context, db bun.IDB) (at time.Time, err error) {
	if err := db.NewRaw("SELECT clock_timestamp()").Scan(ctx, &at); err != nil {
		return at, fmt.Errorf("ask the database's time: %w", err)
	}
	return at, nil
}

// renew prolongs a lease that is still ours.
func (s *store) renew(ctx context.Context, p *Post) error {
	res, err := s.db.NewUpdate().Model((*Post)(nil)).
		Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
		Where("id = ? AND lease = ?", p.ID, p.Lease).Exec(ctx)
	return won(res, err)
}

// save writes one step: p replaces the row, provided that the row is still in was' state and rev and, where was
// holds a lease, that the lease is still the same. An owner's edit or cancel holds none; it wins over a worker by
// raising rev. Zero rows is errLost.
//
// The place of a quota that a move gives back goes in the same transaction.
func (s *store) save(ctx context.Context, db bun.IDB, was, p *Post) error {
	place := freed(was, p)
	if place == nil {
		return s.write(ctx, db, was, p)
	}
	return pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		if err := s.write(ctx, tx, was, p); err != nil {
			return err
		}
		return giveBack(ctx, tx, *place)
	})
}

func (s *store) write(ctx context.Context, db bun.IDB, was, p *Post) error {
	if !mayMove(was.State, p.State) {
		return fmt.Errorf("post %s: no way from %s to %s", p.ID, was.State, p.State)
	}
	if err := keepsDoubt(was, p); err != nil {
		return err
	}
	p.tidy()
	q := db.NewUpdate().Model(p).
		ExcludeColumn("id", "user_id", "account_id", "created_at", "told_rev", "recalled").
		// attempt too: a call that came back to ready left state and rev as they were, and who read the row before it
		// must lose.
		Where("id = ? AND state = ? AND rev = ? AND attempt = ?", was.ID, was.State, was.Rev, was.Attempt)
	if was.Lease != "" {
		q = q.Where("lease = ?", was.Lease)
	}
	q = s.guard(q, was, p)
	switch {
	case p.Lease == "":
		q = q.Value("lease_until", "NULL")
	case p.Lease == was.Lease:
		q = q.Value("lease_until", "lease_until") // renewals run beside us
	default: // a claim takes its lease in the same statement
		q = q.Value("lease_until", "now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
			Where("lease IS NULL OR lease_until < now()")
	}
	if err := won(q.Exec(ctx)); err != nil {
		return fmt.Errorf("move post from %s to %s: %w", was.State, p.State, err)
	}
	return nil
}

// move saves one step together with what was tried in it.
func (s *store) move(ctx context.Context, was, p *Post, tried ...events.Attempt) error {
	if len(tried) == 0 {
		return s.save(ctx, s.db, was, p)
	}
	return pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if err := s.save(ctx, tx, was, p); err != nil {
			return err
		}
		return s.note(ctx, tx, p.ID, tried...)
	})
}

// note adds to a post's attempt log.
func (s *store) note(ctx context.Context, db bun.IDB, postID string, tried ...events.Attempt) error {
	return insertAttempts(ctx, db, attemptRows(postID, tried))
}

func attemptRows(postID string, tried []events.Attempt) []attempt {
	rows := make([]attempt, len(tried))
	for i, t := range tried {
		rows[i] = attempt{PostID: postID, At: t.At, Phase: t.Phase, TookMs: t.TookMs, OK: t.OK, Message: t.Message,
			Code: t.Code, Subcode: t.Subcode, TraceID: t.TraceID}
	}
	return rows
}

func insertAttempts(ctx context.Context, db bun.IDB, rows []attempt) error {
	if _, err := db.NewInsert().Model(&rows).ExcludeColumn("id").Exec(ctx); err != nil {
		return fmt.Errorf("note attempts: %w", err)
	}
	return nil
}

type attempt struct {
	bun.BaseModel `bun:"table:post_attempts"`

	ID      int64     `bun:"id,pk"`
	PostID  string    `bun:"post_id"`
	At      time.Time `bun:"at"`
	Phase   string    `bun:"phase"`
	TookMs  float64   `bun:"took_ms"`
	OK      bool      `bun:"ok"`
	Message string    `bun:"message"`
	Code    int       `bun:"code"`
	Subcode int       `bun:"subcode"`
	TraceID string    `bun:"trace_id"`
}

// maxAttempts is how many attempts of a post are shown, the latest. Beside the largest post they fit into one answer: a
// sentence that quotes Threads has some five hundred letters at most.
const maxAttempts = 200

// attempts reads a post's attempt log, the latest, oldest first.
func (s *store) attempts(ctx context.Context, db bun.IDB, postID string) ([]events.Attempt, error) {
	var rows []attempt
	err := db.NewSelect().Model(&rows).Where("post_id = ?", postID).OrderExpr("id DESC").Limit(maxAttempts).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	out := make([]events.Attempt, len(rows))
	for i, r := range rows {
		out[len(rows)-1-i] = events.Attempt{At: r.At.UTC(), Phase: r.Phase, TookMs: r.TookMs, OK: r.OK, Message: r.Message,
			Code: r.Code, Subcode: r.Subcode, TraceID: r.TraceID}
	}
	return out, nil
}

// known returns those of the media ids that some row of the account already has: they are no candidates when a
// lost answer is looked for. Rows that were imported do not count: what was imported may be the very post looked for.
func (s *store) known(ctx context.Context, db bun.IDB, accountID string, mediaIDs []string) (map[string]bool, error) {
	var ids []string
	if len(mediaIDs) == 0 {
		return nil, nil
	}
	err := db.NewSelect().Model((*Post)(nil)).Column("media_id").
		Where("account_id = ? AND media_id IN (?) AND kind <> ?", accountID, bun.List(mediaIDs), events.KindImported).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("read known media ids: %w", err)
	}
	var parts []string
	err = db.NewRaw(`SELECT part->>'mediaId' FROM posts, jsonb_array_elements(parts) AS part
		WHERE account_id = ? AND parts <> '[]' AND part->>'mediaId' IN (?)`, accountID, bun.List(mediaIDs)).Scan(ctx, &parts)
	if err != nil {
		return nil, fmt.Errorf("read known media ids of chains: %w", err)
	}
	m := make(map[string]bool, len(ids)+len(parts))
	for _, id := range append(ids, parts...) {
		m[id] = true
	}
	return m, nil
}

// tidy makes a row fit for Postgres: empty lists instead of NULL, and no finer time than microseconds, so that
// what we hold and what we read back are equal.
func (p *Post) tidy() {
	if p.Media == nil {
		p.Media = []events.Media{}
	}
	if p.Children == nil {
		p.Children = []string{}
	}
	if p.Parts == nil {
		p.Parts = []events.Part{}
	}
	for _, t := range []*time.Time{&p.PublishAt, &p.CalledAt, &p.AcceptedAt, &p.DeleteRequestedAt, &p.DeletedAt, &p.CreatedAt,
		&p.UpdatedAt, &p.WakeAt, &p.ArmedAt, &p.ContainerAt, &p.ClaimedAt, &p.CallDeadline, &p.FinishedSeenAt, &p.DoubtSince} {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
}

// won turns an update of no rows into errLost.
func won(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return errLost
	}
	return nil
}

// free selects, and locks, those of the posts that nobody else holds.
func free(tx bun.Tx, ids []string) *bun.SelectQuery {
	return tx.NewSelect().Model((*Post)(nil)).Column("id").Where("id IN (?)", bun.List(ids)).For("UPDATE SKIP LOCKED")
}
