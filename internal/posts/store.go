package posts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/pg"
)

// ErrLost says that someone else moved the post: drop what you hold, the row is right.
var ErrLost = errors.New("the post was moved by someone else")

// Store is every statement on posts and post_attempts. A method works on the bun.IDB that it is given, so that it may be
// part of a transaction.
type Store struct {
	DB              *bun.DB // of those that are never part of a transaction: batches, and what takes, renews and ends a lease
	lease           time.Duration
	secondCallAfter time.Duration

	Unacknowledged Unacknowledged
}

// Get reads a post. A missing one is a Fault NotFound.
func (s *Store) Get(ctx context.Context, db bun.IDB, id string) (*Post, error) {
	p := new(Post)
	err := db.NewSelect().Model(p).Where("id = ?", id).Scan(ctx)
	return found(p, err)
}

// ReadMany reads many posts at once.
func (s *Store) ReadMany(ctx context.Context, items []batch.Read[Post]) []error {
	var rows []Post
	if err := pg.Read(ctx, s.DB, &rows, batch.IDs(items)); err != nil {
		return batch.All(len(items), fmt.Errorf("read posts: %w", err))
	}
	byID := make(map[string]Post, len(rows))
	for _, p := range rows {
		byID[p.ID] = p
	}
	return batch.Give(items, byID)
}

// Find reads a user's post by our id, by Threads' media id, or by the id that the original gave it. A foreign one answers
// like a missing one.
func (s *Store) Find(ctx context.Context, db bun.IDB, userID, id string) (*Post, error) {
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

// Insert writes a new post. Where a replay of EVENTS has written it already, p becomes that row.
func (s *Store) Insert(ctx context.Context, db bun.IDB, p *Post) error {
	p.Canonicalize()
	res, err := db.NewInsert().Model(p).On("CONFLICT (id) DO NOTHING").Exec(ctx)
	if err := Changed(res, err); err == nil || !errors.Is(err, ErrLost) {
		return err
	}
	there, err := s.Get(ctx, db, p.ID)
	if err == nil {
		*p = *there
	}
	return err
}

// NewStore is a store whose leases last so long.
func NewStore(db *bun.DB, lease, secondCallAfter time.Duration) *Store {
	return &Store{DB: db, lease: lease, secondCallAfter: secondCallAfter}
}

// Now is the database's time.
func (s *Store) Now(ctx context.Context, db bun.IDB) (at time.Time, err error) {
	if err := db.NewRaw("SELECT clock_timestamp()").Scan(ctx, &at); err != nil {
		return at, fmt.Errorf("ask the database's time: %w", err)
	}
	return at, nil
}

// Save writes one step: p replaces the row, provided that the row is still in was' state and rev and, where was
// holds a lease, that the lease is still the same. An owner's edit or cancel holds none; it wins over a worker by
// raising rev. Zero rows is ErrLost.
//
// The place of a quota that a move gives back goes in the same transaction.
func (s *Store) Save(ctx context.Context, db bun.IDB, was, p *Post) error {
	place := freed(was, p)
	if place == nil {
		return s.write(ctx, db, was, p)
	}
	return pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		if err := s.write(ctx, tx, was, p); err != nil {
			return err
		}
		return FreeQuota(ctx, tx, *place)
	})
}

func (s *Store) write(ctx context.Context, db bun.IDB, was, p *Post) error {
	if !mayMove(was.State, p.State) {
		return fmt.Errorf("post %s: no way from %s to %s", p.ID, was.State, p.State)
	}
	if err := keepsDoubt(was, p); err != nil {
		return err
	}
	p.Canonicalize()
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
	if err := Changed(q.Exec(ctx)); err != nil {
		return fmt.Errorf("move post from %s to %s: %w", was.State, p.State, err)
	}
	return nil
}

// TakeBackRecall lets a post go out again whose account was disconnected.
func (s *Store) TakeBackRecall(ctx context.Context, db bun.IDB, id string) error {
	if _, err := db.NewUpdate().Model((*Post)(nil)).Set("recalled = false").Where("id = ?", id).Exec(ctx); err != nil {
		return fmt.Errorf("take a recall back: %w", err)
	}
	return nil
}

// AddAttempts adds to a post's attempt log.
func (s *Store) AddAttempts(ctx context.Context, db bun.IDB, postID string, tried ...asks.Attempt) error {
	return insertAttempts(ctx, db, attemptRows(postID, tried))
}

func attemptRows(postID string, tried []asks.Attempt) []AttemptRow {
	rows := make([]AttemptRow, len(tried))
	for i, t := range tried {
		rows[i] = AttemptRow{PostID: postID, At: t.At, Phase: t.Phase, TookMs: t.TookMs, OK: t.OK, Message: t.Message,
			Code: t.Code, Subcode: t.Subcode, TraceID: t.TraceID}
	}
	return rows
}

func insertAttempts(ctx context.Context, db bun.IDB, rows []AttemptRow) error {
	if _, err := db.NewInsert().Model(&rows).ExcludeColumn("id").Exec(ctx); err != nil {
		return fmt.Errorf("note attempts: %w", err)
	}
	return nil
}

type AttemptRow struct {
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

// Attempts reads a post's attempt log, the latest, oldest first.
func (s *Store) Attempts(ctx context.Context, db bun.IDB, postID string) ([]asks.Attempt, error) {
	var rows []AttemptRow
	err := db.NewSelect().Model(&rows).Where("post_id = ?", postID).OrderExpr("id DESC").Limit(maxAttempts).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	out := make([]asks.Attempt, len(rows))
	for i, r := range rows {
		out[len(rows)-1-i] = asks.Attempt{At: r.At.UTC(), Phase: r.Phase, TookMs: r.TookMs, OK: r.OK, Message: r.Message,
			Code: r.Code, Subcode: r.Subcode, TraceID: r.TraceID}
	}
	return out, nil
}

// Changed turns an update of no rows into ErrLost.
func Changed(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return ErrLost
	}
	return nil
}
