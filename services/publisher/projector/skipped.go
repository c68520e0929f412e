package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
)

// Skipped is an event that stays on EVENTS and is not in the tables: it could not be read, or its values have no place there.
type Skipped struct {
	bun.BaseModel `bun:"table:skipped_events" json:"-"`

	Seq       uint64    `bun:"seq,pk" json:"seq"` // on EVENTS
	Type      string    `bun:"type" json:"type"`
	PostID    string    `bun:"post_id" json:"postId,omitempty"` // empty: it is of no post
	AccountID string    `bun:"account_id" json:"accountId,omitempty"`
	Why       string    `bun:"why" json:"why"`
	SkippedAt time.Time `bun:"skipped_at" json:"skippedAt"`
	DroppedAt time.Time `bun:"dropped_at,nullzero" json:"-"` // an operator says that it need not be applied
}

// maxWhy is how many bytes of a reason are kept.
const maxWhy = 500

// skippedFor is the event without its message, to be noted.
func (e Event) skippedFor(why error) Event {
	e.Message, e.unfit = nil, why
	return e
}

// note is what is kept of a skipped event. What a foreign hand may have put on EVENTS must have a place in the table itself.
func (e Event) note(now time.Time) Skipped {
	account, post := e.about()
	return Skipped{
		Seq: e.Seq, Type: storable(e.typ), PostID: storable(post), AccountID: storable(account), Why: storable(e.unfit.Error()), SkippedAt: now.UTC(),
	}
}

// about is whom the event is about, by its subject: threads.evt.post.ACCOUNT.POST.FACT or threads.evt.account.ACCOUNT.FACT.
func (e Event) about() (account, post string) {
	switch parts := strings.Split(e.subject, "."); {
	case len(parts) == 6 && parts[2] == "post":
		return parts[3], parts[4]
	case len(parts) == 5 && parts[2] == "account":
		return parts[3], ""
	}
	return "", ""
}

// storable is a text that Postgres takes.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), maxWhy)], "\x00", ""), "")
}

func insertSkipped(ctx context.Context, db bun.IDB, notes []Skipped) error {
	if len(notes) == 0 {
		return nil
	}
	if _, err := db.NewInsert().Model(&notes).On("CONFLICT (seq) DO NOTHING").Exec(ctx); err != nil {
		return fmt.Errorf("note skipped events: %w", err)
	}
	return nil
}

// said counts and logs events that were skipped for good: the transaction that moved past them is committed.
func (r *Projector) said(notes []Skipped) {
	for _, n := range notes {
		eventsSkipped.Inc()
		r.Log.Error("event skipped; it stays on EVENTS", zap.Uint64("seq", n.Seq), zap.String("type", n.Type), zap.String("post_id", n.PostID),
			zap.String("account_id", n.AccountID), zap.String("error", n.Why))
	}
}

// CountSkipped counts the events that are on EVENTS and not in the tables. first is the lowest sequence, 0 when there is none.
func CountSkipped(ctx context.Context, db bun.IDB) (n int, first uint64, err error) {
	if err := db.NewRaw("SELECT count(*), coalesce(min(seq), 0) FROM skipped_events WHERE dropped_at IS NULL").Scan(ctx, &n, &first); err != nil {
		return 0, 0, fmt.Errorf("count skipped events: %w", err)
	}
	return n, first, nil
}

// ListSkipped reads them, in their order on EVENTS.
func ListSkipped(ctx context.Context, db bun.IDB) ([]Skipped, error) {
	all, err := listNotes(ctx, db)
	return withoutDropped(all), err
}

// listNotes reads them with those that were dropped.
func listNotes(ctx context.Context, db bun.IDB) ([]Skipped, error) {
	list := []Skipped{}
	if err := db.NewSelect().Model(&list).Order("seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read skipped events: %w", err)
	}
	return list, nil
}

func withoutDropped(list []Skipped) []Skipped {
	return slices.DeleteFunc(list, func(s Skipped) bool { return !s.DroppedAt.IsZero() })
}

// DropSkipped has a skipped event counted no longer and says whether it was. It stays on EVENTS, and is remembered for the
// next rebuild.
func DropSkipped(ctx context.Context, db bun.IDB, seq uint64) (there bool, err error) {
	res, err := db.NewUpdate().Model((*Skipped)(nil)).Set("dropped_at = now()").Where("seq = ? AND dropped_at IS NULL", seq).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("drop a skipped event: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// applySkipped applies what was skipped and can be applied now, and takes its note away; also that of an event that is no
// longer on EVENTS. It says how many notes it took away.
func (r *Projector) applySkipped(ctx context.Context) (gone int, err error) {
	list, err := ListSkipped(ctx, r.DB)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	stream, err := r.Bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("find EVENTS: %w", err)
	}
	for _, s := range list {
		var evs []Event
		m, err := stream.GetMsg(ctx, s.Seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // purged, or erased: nothing is left to apply
		case err != nil:
			return gone, fmt.Errorf("read EVENTS at %d: %w", s.Seq, err)
		default:
			ev, err := events.Decode(m.Header.Get(events.HeaderType), m.Data)
			if err != nil {
				continue
			}
			evs = []Event{{Seq: s.Seq, Message: ev}}
		}
		err = pg.InTx(ctx, r.DB, func(ctx context.Context, tx bun.Tx) error {
			evs, err := r.withoutErased(ctx, tx, evs)
			if err != nil {
				return err
			}
			for _, e := range evs {
				if _, err := r.Apply(ctx, tx, e.Message); err != nil {
					return err
				}
			}
			if _, err := tx.NewDelete().Model((*Skipped)(nil)).Where("seq = ?", s.Seq).Exec(ctx); err != nil {
				return fmt.Errorf("take the note of an event away: %w", err)
			}
			return nil
		})
		switch {
		case pg.Unfit(err):
		case err != nil:
			return gone, err
		default:
			gone++
		}
	}
	return gone, nil
}

// mergeSkipped is what is noted and what was found besides, by sequence, without what was dropped.
func mergeSkipped(noted, found []Skipped) []Skipped {
	known := make(map[uint64]bool, len(noted))
	for _, s := range noted {
		known[s.Seq] = true
	}
	for _, s := range found {
		if !known[s.Seq] {
			noted = append(noted, s)
		}
	}
	slices.SortFunc(noted, func(a, b Skipped) int { return int(a.Seq) - int(b.Seq) }) //nolint:gosec // a stream sequence fits
	return withoutDropped(noted)
}
