// Package commands is the record of what became of each command. A service notes a command in the very
// transaction of the row it changes; a redelivery, or a repeat under the same Idempotency-Key, is answered from
// here, so a command delivered twice says the same twice.
package commands

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/wire"
)

// Command is what is noted of a command. Never its body.
type Command struct {
	bun.BaseModel `bun:"table:commands"`

	ID         string          `bun:"id,pk"`
	UserID     string          `bun:"user_id"`
	Key        string          `bun:"key,nullzero"`
	BodyHash   string          `bun:"body_hash"`
	Type       string          `bun:"type"`
	PostID     string          `bun:"post_id,nullzero"`
	Outcome    json.RawMessage `bun:"outcome,type:jsonb,nullzero"`
	OutcomeTo  string          `bun:"outcome_to"`
	CreatedAt  time.Time       `bun:"created_at"`
	FinishedAt time.Time       `bun:"finished_at,nullzero"`
}

// New notes a command from its message. postID may be empty.
func New(m events.Meta, cmd events.Command, postID string) Command {
	return Command{
		ID: m.ID, UserID: cmd.Actor(), Key: m.Key, BodyHash: m.BodyHash, Type: cmd.Type(),
		PostID: postID, OutcomeTo: m.OutcomeTo,
	}
}

// begin notes the command, inside the caller's transaction. It returns the earlier record when this command, or
// another with the same user, key and body, was noted before; then the caller changes nothing. The same key with
// another body is a Fault KeyReused.
//
// Two deliveries at once meet at the unique index: the second waits for the first's transaction and then finds
// its record.
func begin(ctx context.Context, db bun.IDB, c Command, now time.Time) (prior *Command, err error) {
	c.CreatedAt = now.UTC()
	res, err := db.NewInsert().Model(&c).On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("note command: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return nil, err
	}
	p := new(Command)
	q := db.NewSelect().Model(p).Where("id = ?", c.ID)
	if c.Key != "" {
		q = q.WhereOr("user_id = ? AND key = ?", c.UserID, c.Key)
	}
	// Both could match only when they are one row: the id is made from user, key and body.
	if err := q.Limit(1).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the earlier command: %w", err)
	}
	if p.BodyHash != c.BodyHash || p.UserID != c.UserID {
		return nil, KeyReused()
	}
	return p, nil
}

// End writes an outcome into a record that is about to be noted: nobody is to be told of it later. result is what the command made; nil
// with a fault.
func (c *Command) End(o events.Outcome, result any, now time.Time) (err error) {
	if o.Fault == nil {
		if o.Result, err = wire.Encode(result); err != nil {
			return fmt.Errorf("encode result: %w", err)
		}
	}
	c.Outcome, err = kept(o)
	c.OutcomeTo, c.FinishedAt = "", now.UTC()
	return err
}

// kept is an outcome as its record keeps it: of a post without the members that are null, which are a quarter of one that was accepted.
func kept(o events.Outcome) (_ json.RawMessage, err error) {
	o.Done = true
	if members := membersOfPost(o.Result); members != nil {
		maps.DeleteFunc(members, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
		if o.Result, err = wire.Encode(members); err != nil {
			return nil, fmt.Errorf("encode result: %w", err)
		}
	}
	body, err := wire.Encode(o)
	if err != nil {
		return nil, fmt.Errorf("encode outcome: %w", err)
	}
	return body, nil
}

// membersOfPost are those of a result that is a post, and nil of another.
func membersOfPost(result json.RawMessage) (members map[string]json.RawMessage) {
	var id string
	if json.Unmarshal(result, &members) != nil || json.Unmarshal(members["id"], &id) != nil || !events.IsPostID(id) || members["rev"] == nil {
		return nil
	}
	return members
}

// Done reads the outcome of a record.
func (c *Command) Done() (events.Outcome, bool) {
	o := events.Outcome{CommandID: c.ID}
	if len(c.Outcome) == 0 {
		return o, false
	}
	if err := json.Unmarshal(c.Outcome, &o); err != nil {
		return events.Outcome{CommandID: c.ID}, false // we wrote it; a torn one counts as not yet written
	}
	if membersOfPost(o.Result) == nil {
		return o, true
	}
	var p events.Post
	if json.Unmarshal(o.Result, &p) == nil { // else a later version made it, and it stays as it is kept
		if whole, err := wire.Encode(p); err == nil {
			o.Result = whole
		}
	}
	return o, true
}

// Finish writes how the command ended. The first outcome stays.
func Finish(ctx context.Context, db bun.IDB, o events.Outcome, now time.Time) error {
	body, err := kept(o)
	if err != nil {
		return err
	}
	_, err = db.NewUpdate().Model((*Command)(nil)).
		Set("outcome = ?::jsonb", string(body)).Set("finished_at = ?", now.UTC()).
		Where("id = ? AND outcome IS NULL", o.CommandID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("finish command: %w", err)
	}
	return nil
}

// FinishForPost ends every command of the given type that still waits for this post, and returns them, so that
// the caller can tell whoever waits (OutcomeTo). fault and result are as in an Outcome; with a fault, a result is the post that it
// befell.
func FinishForPost(ctx context.Context, db bun.IDB, postID string, types []string, fault *events.Fault, result any,
	now time.Time) ([]Command, error) {
	var waiting []Command
	err := db.NewSelect().Model(&waiting).
		Where("post_id = ? AND outcome IS NULL AND type IN (?)", postID, bun.List(types)).For("UPDATE").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("find waiting commands: %w", err)
	}
	for i := range waiting {
		o := events.Outcome{CommandID: waiting[i].ID, Done: true, Fault: fault}
		if result != nil {
			if o.Result, err = wire.Encode(result); err != nil {
				return nil, fmt.Errorf("encode result: %w", err)
			}
		}
		if waiting[i].Outcome, err = kept(o); err != nil {
			return nil, err
		}
		if err := Finish(ctx, db, o, now); err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

// Awaited returns those of the posts for which a command still waits.
func Awaited(ctx context.Context, db bun.IDB, postIDs []string) (ids []string, err error) {
	const text = "SELECT post_id FROM commands WHERE post_id = ANY($1::text[]) AND outcome IS NULL ORDER BY post_id"
	if err := pg.Prepared(ctx, db, text, []any{postIDs}, &ids); err != nil {
		return nil, fmt.Errorf("find waiting commands: %w", err)
	}
	return ids, nil
}

// Find reads the record of a command, or nil when it was never noted.
func Find(ctx context.Context, db bun.IDB, id string) (*Command, error) {
	c := new(Command)
	err := db.NewSelect().Model(c).Where("id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read command: %w", err)
	}
	return c, nil
}

// KeyReused refuses another request under a key that was used before.
func KeyReused() *events.Fault {
	return events.Faultf(events.KeyReused, "This Idempotency-Key was used before with another request; use a new key for a new request.")
}

// Get is the outcome of a user's command. A foreign id answers exactly like a missing one. A key that was used for another
// request is the outcome KeyReused, however often it is asked.
func Get(ctx context.Context, db bun.IDB, q asks.GetCommand) (events.Outcome, error) {
	c := new(Command)
	err := db.NewSelect().Model(c).Where("id = ? AND user_id = ?", q.ID, q.UserID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		if q.Key != "" {
			reused, err := db.NewSelect().Model((*Command)(nil)).
				Where("user_id = ? AND key = ? AND body_hash <> ?", q.UserID, q.Key, q.BodyHash).Exists(ctx)
			if err != nil {
				return events.Outcome{}, fmt.Errorf("look for the key: %w", err)
			}
			if reused {
				return events.Outcome{CommandID: q.ID, Done: true, Fault: KeyReused()}, nil
			}
		}
		return events.Outcome{}, events.Faultf(events.NotFound, "There is no command with this id among yours.")
	}
	if err != nil {
		return events.Outcome{}, fmt.Errorf("read command: %w", err)
	}
	o, _ := c.Done()
	return o, nil
}
