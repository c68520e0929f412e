// Package bulk schedules many posts from one file.
package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/posts"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

const (
	RouteImport = "/api/threads/post/import"

	maxRows       = 500
	MaxImport     = 2 << 20 // bytes
	importsAtOnce = 16
	importWithin  = 50 * time.Second
)

// Handlers take files of posts.
type Handlers struct {
	Bus      *bus.Bus
	Commands *command.Sender
	Edge     *edge.Edge
}

type importPostsInput struct {
	command.Idempotent
	Preview bool `query:"preview" doc:"Only say what would become of each row; nothing is stored."`
	RawBody []byte

	contentType string
}

// Resolve notes how the file is written.
func (in *importPostsInput) Resolve(ctx huma.Context) []error {
	in.contentType = ctx.Header("Content-Type")
	return in.Idempotent.Resolve(ctx)
}

// ImportedRow is what became of a row, or would.
type ImportedRow struct {
	Row    int    `json:"row" doc:"Counted from 1; the header line of a CSV and empty rows do not count."`
	Line   int    `json:"line" doc:"The line of the file at which the row begins, counted from 1."`
	Status string `json:"status" enum:"valid,accepted,refused,pending" doc:"valid: of a preview. pending: on disk, and its outcome is at commandId."`

	ID          string     `json:"id,omitempty" doc:"The post."`
	CommandID   string     `json:"commandId,omitempty"`
	Repeated    bool       `json:"repeated,omitempty" doc:"The row was imported before, and is that post; it is not posted again."`
	ScheduledAt *time.Time `json:"scheduledAt,omitempty"`
	events.Zoned
	Errors   []edge.Flaw `json:"errors,omitempty"`
	Warnings []edge.Flaw `json:"warnings,omitempty"`
}

// Imported is what became of a file.
type Imported struct {
	Preview  bool          `json:"preview"`
	Accepted int           `json:"accepted" doc:"Rows that are accepted, or, in a preview, would be."`
	Refused  int           `json:"refused"`
	Pending  int           `json:"pending"`
	Rows     []ImportedRow `json:"rows"`
}

type importPostsOutput struct{ Body Imported }

// ImportPosts schedules many posts from a file, row by row. A row that is refused stops no other. The same row twice is the
// same post, be it in a file that was sent again whole or with its mistakes mended: each row's key follows from what it
// says, and from the request's key where there is one. Of rows that say the same in one file each is a post.
func (h *Handlers) ImportPosts(ctx context.Context, in *importPostsInput) (*importPostsOutput, error) {
	rows, err := readRows(in.contentType, in.RawBody)
	if err != nil {
		return nil, err
	}
	if err := h.Edge.SpendRows(ctx, len(rows), in.Preview); err != nil {
		return nil, err
	}
	if err := keysOf(rows, in.IdempotencyKey); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, importWithin)
	defer cancel()
	out := Imported{Preview: in.Preview, Rows: make([]ImportedRow, len(rows))}
	g := new(errgroup.Group)
	g.SetLimit(importsAtOnce)
	for i, row := range rows {
		g.Go(func() error {
			result := ImportedRow{Row: i + 1, Line: row.line}
			if in.Preview {
				h.previewRow(ctx, row, &result)
			} else {
				h.importRow(ctx, row, &result)
			}
			out.Rows[i] = result
			return nil
		})
	}
	_ = g.Wait() // each row has its own outcome
	for _, row := range out.Rows {
		switch row.Status {
		case "refused":
			out.Refused++
		case "pending":
			out.Pending++
		default:
			out.Accepted++
		}
	}
	return &importPostsOutput{Body: out}, nil
}

// row is one post of a file.
type row struct {
	line int // of the file, at which it begins
	post posts.ScheduledDraft
	err  error // it cannot be read
	key  rowKey
}

// rowKey is the Idempotency-Key of a row.
type rowKey struct {
	stem  string
	named bool // the client named a key; then a refusal stands, as with any other request
}

// keysOf gives the rows their keys.
func keysOf(rows []row, named string) error {
	seen := map[string]int{}
	for i := range rows {
		if rows[i].err != nil {
			continue
		}
		body, err := json.Marshal(rows[i].post)
		if err != nil {
			return fmt.Errorf("encode a row: %w", err)
		}
		seen[string(body)]++
		rows[i].key = rowKey{fmt.Sprintf("%s\n%d\n%s", named, seen[string(body)], body), named != ""}
	}
	return nil
}

// refusalsKept is how often a row that was refused is judged anew when it comes again: what was wrong may be mended by now.
const refusalsKept = 20

// change is the request of a row. Each try after a refusal has a key of its own.
func (k rowKey) change(try int) command.Change {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", try, k.stem))
	return command.Change{Idempotent: command.Idempotent{IdempotencyKey: "import " + hex.EncodeToString(sum[:])}}
}

// known looks whether a row was imported before. change is the request to make: the one that was accepted, or is under
// way, or a new one where the row was refused.
func (h *Handlers) known(ctx context.Context, r row, cmd events.SchedulePost) (change command.Change, accepted bool, err error) {
	for try := range refusalsKept {
		change = r.key.change(try)
		o, err := change.Options(cmd.UserID, r.post)
		if err != nil {
			return change, false, err
		}
		outcome, done := h.Commands.OutcomeOfRepeat(ctx, cmd, o)
		if !done || outcome.Fault == nil || r.key.named {
			return change, done && outcome.Fault == nil, nil
		}
	}
	return change, false, nil
}

// command is what the row asks for.
func (r row) command(user string) (cmd events.SchedulePost, err error) {
	if r.err != nil {
		return cmd, r.err
	}
	draft, err := r.post.Event()
	if err != nil {
		return cmd, err
	}
	cmd.PublishAt, draft.Zoned, err = times.ParseSchedule("/scheduledAt", r.post.ScheduledAt, r.post.Clock)
	first := r.key.change(0) // the post is the same, whichever try is accepted
	cmd.UserID, cmd.Draft, cmd.PostID = user, draft, first.PostID(user)
	return cmd, err
}

func (h *Handlers) previewRow(ctx context.Context, r row, out *ImportedRow) {
	cmd, err := r.command(signin.UserOf(ctx))
	if err == nil {
		_, out.Repeated, err = h.known(ctx, r, cmd)
	}
	if out.Repeated {
		out.ID = cmd.PostID
	}
	var v asks.Validation
	if err == nil {
		v, err = bus.Ask[asks.Validation](ctx, h.Bus, asks.ValidatePost{UserID: cmd.UserID, Draft: cmd.Draft, PublishAt: cmd.PublishAt})
	}
	if err != nil {
		out.refuse(err)
		return
	}
	out.Status, out.ScheduledAt, out.Zoned = "valid", &cmd.PublishAt, cmd.Draft.Zoned
	out.Warnings = posts.FieldErrorsFrom(v.Warnings, r.post.HasMediaURL())
	if !v.Valid && !out.Repeated {
		out.Status, out.Errors = "refused", posts.FieldErrorsFrom(v.Errors, r.post.HasMediaURL())
	}
}

func (h *Handlers) importRow(ctx context.Context, r row, out *ImportedRow) {
	cmd, err := r.command(signin.UserOf(ctx))
	if err != nil {
		out.refuse(err)
		return
	}
	change, repeated, err := h.known(ctx, r, cmd)
	if err != nil {
		out.refuse(err)
		return
	}
	post, commandID, err := command.Send[events.Post](ctx, h.Commands, &change, cmd, r.post)
	switch {
	case err != nil && r.post.HasMediaURL():
		out.refuse(posts.FromMediaURL(err))
	case err != nil:
		out.refuse(err)
	case post == nil:
		out.Status, out.CommandID, out.ID = "pending", commandID, cmd.PostID
	default:
		out.Status, out.ID, out.Repeated, out.ScheduledAt, out.Zoned = "accepted", post.ID, repeated, &post.ScheduledAt, post.Zoned
	}
}

func (r *ImportedRow) refuse(err error) {
	p := edge.FromError(err)
	r.Status, r.Errors = "refused", p.Errors
	if len(r.Errors) == 0 {
		r.Errors = []edge.Flaw{{Pointer: "", Detail: p.Detail, Code: string(p.Code)}}
	}
	var later *edge.UnknownOutcome
	if errors.As(err, &later) { // it may be stored all the same
		r.Status, r.CommandID = "pending", later.CommandID
	}
}
