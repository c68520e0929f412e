package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
)

const (
	routeImport = "/api/threads/post/import"

	maxRows       = 500
	maxImport     = 2 << 20 // bytes
	importsAtOnce = 16
	importWithin  = 50 * time.Second

	typeCSV   = "text/csv"
	typeLines = "application/x-ndjson"
)

type importPostsInput struct {
	Idempotent
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
	Row    int    `json:"row" doc:"Counted from 1; the header line of a CSV does not count."`
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

// importPosts schedules many posts from a file, row by row. A row that is refused stops no other. The same row twice is the
// same post, be it in a file that was sent again whole or with its mistakes mended: each row's key follows from what it
// says, and from the request's key where there is one. Of rows that say the same in one file each is a post.
func (s *Service) importPosts(ctx context.Context, in *importPostsInput) (*importPostsOutput, error) {
	rows, err := readRows(in.contentType, in.RawBody)
	if err != nil {
		return nil, err
	}
	if err := s.spendRows(ctx, len(rows), in.Preview); err != nil {
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
			result := ImportedRow{Row: i + 1}
			if in.Preview {
				s.previewRow(ctx, row, &result)
			} else {
				s.importRow(ctx, row, &result)
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
	post ScheduledDraft
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
func (k rowKey) change(try int) Change {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", try, k.stem))
	return Change{Idempotent: Idempotent{IdempotencyKey: "import " + hex.EncodeToString(sum[:])}}
}

// known looks whether a row was imported before. change is the request to make: the one that was accepted, or is under
// way, or a new one where the row was refused.
func (s *Service) known(ctx context.Context, r row, cmd events.SchedulePost) (change Change, accepted bool, err error) {
	for try := range refusalsKept {
		change = r.key.change(try)
		o, err := change.options(cmd.UserID, r.post)
		if err != nil {
			return change, false, err
		}
		outcome, done := s.outcomeOfRepeat(ctx, cmd, o)
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
	draft, err := r.post.event()
	if err != nil {
		return cmd, err
	}
	cmd.PublishAt, draft.Zoned, err = parseScheduleTime("/scheduledAt", r.post.ScheduledAt, r.post.Clock)
	first := r.key.change(0) // the post is the same, whichever try is accepted
	cmd.UserID, cmd.Draft, cmd.PostID = user, draft, first.postID(user)
	return cmd, err
}

func (s *Service) previewRow(ctx context.Context, r row, out *ImportedRow) {
	cmd, err := r.command(userOf(ctx))
	if err == nil {
		_, out.Repeated, err = s.known(ctx, r, cmd)
	}
	if out.Repeated {
		out.ID = cmd.PostID
	}
	var v events.Validation
	if err == nil {
		v, err = bus.Ask[events.Validation](ctx, s.bus, events.ValidatePost{UserID: cmd.UserID, Draft: cmd.Draft, PublishAt: cmd.PublishAt})
	}
	if err != nil {
		out.refuse(err)
		return
	}
	out.Status, out.ScheduledAt, out.Zoned = "valid", &cmd.PublishAt, cmd.Draft.Zoned
	out.Warnings = fieldErrorsFrom(v.Warnings, r.post.hasMediaURL())
	if !v.Valid && !out.Repeated {
		out.Status, out.Errors = "refused", fieldErrorsFrom(v.Errors, r.post.hasMediaURL())
	}
}

func (s *Service) importRow(ctx context.Context, r row, out *ImportedRow) {
	cmd, err := r.command(userOf(ctx))
	if err != nil {
		out.refuse(err)
		return
	}
	change, repeated, err := s.known(ctx, r, cmd)
	if err != nil {
		out.refuse(err)
		return
	}
	post, commandID, err := send[events.Post](ctx, s, &change, cmd, r.post)
	switch {
	case err != nil && r.post.hasMediaURL():
		out.refuse(fromMediaURL(err))
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

func readRows(contentType string, body []byte) (rows []row, err error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; err == nil && charset != "" && !strings.EqualFold(charset, "utf-8") {
		err = errors.New("another charset")
	}
	switch {
	case err == nil && kind == typeCSV:
		rows, err = readCSV(body)
	case err == nil && (kind == typeLines || kind == "application/jsonl" || kind == "application/x-jsonlines"):
		rows = readLines(body)
	default:
		return nil, edge.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "This content type is not taken here",
			"Send the posts as text/csv or as application/x-ndjson, in UTF-8.")
	}
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows) > maxRows {
		words := fmt.Sprintf("A file has 1 to %d posts.", maxRows)
		return nil, events.Faultf(events.Invalid, "%s", words).At("", "row_count", words)
	}
	return rows, nil
}

func readLines(body []byte) (rows []row) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(rows) > maxRows {
			return rows // too many already
		}
		r := row{err: strictly(line)}
		if r.err == nil {
			dec := json.NewDecoder(bytes.NewReader(line))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&r.post); err != nil {
				r.err = lineFault(err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// strictly refuses what the bodies of other requests may not have either.
func strictly(line []byte) error {
	var tree any
	if err := edge.ReadStrictly(line, &tree); err != nil {
		return lineFault(err)
	}
	return nil
}

func lineFault(err error) error {
	words := "This line is not a post as JSON writes it."
	pointer, code := "", "not_json"
	var typed *json.UnmarshalTypeError
	switch name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case errors.As(err, &typed):
		pointer, code, words = "/"+strings.ReplaceAll(strings.TrimPrefix(typed.Field, "Draft."), ".", "/"), "wrong_type", "This field is of another type."
	case unknown:
		if field, err := strconv.Unquote(name); err == nil && len(field) < 40 && plausibleID(field) {
			pointer = "/" + field
		}
		code, words = "unknown_field", "This field is not known here; take it out, or check its spelling."
	}
	return events.Faultf(events.Invalid, "%s", words).At(pointer, code, words)
}

// columns are what a CSV may have; the header line names them, in any order.
var columns = map[string]func(p *ScheduledDraft, value string) error{
	"text":           func(p *ScheduledDraft, v string) error { p.Text = v; return nil },
	"scheduledAt":    func(p *ScheduledDraft, v string) error { p.ScheduledAt = LocalTime(v); return nil },
	"timeZone":       func(p *ScheduledDraft, v string) error { p.TimeZone = v; return nil },
	"fold":           func(p *ScheduledDraft, v string) error { n, err := strconv.Atoi(v); p.Fold = &n; return err },
	"mediaUrl":       func(p *ScheduledDraft, v string) error { p.MediaURL = &v; return nil },
	"accountId":      func(p *ScheduledDraft, v string) error { p.AccountID = v; return nil },
	"replyTo":        func(p *ScheduledDraft, v string) error { p.ReplyTo = v; return nil },
	"quotePostId":    func(p *ScheduledDraft, v string) error { p.QuotePostID = v; return nil },
	"topicTag":       func(p *ScheduledDraft, v string) error { p.TopicTag = v; return nil },
	"linkAttachment": func(p *ScheduledDraft, v string) error { p.LinkAttachment = v; return nil },
	"replyControl":   func(p *ScheduledDraft, v string) error { p.ReplyControl = v; return nil },
	"location":       func(p *ScheduledDraft, v string) error { p.Location = v; return nil },
	"ghost":          func(p *ScheduledDraft, v string) (err error) { p.Ghost, err = strconv.ParseBool(v); return err },
	"spoilerMedia":   func(p *ScheduledDraft, v string) (err error) { p.SpoilerMedia, err = strconv.ParseBool(v); return err },
	"publishWithin":  func(p *ScheduledDraft, v string) (err error) { p.PublishWithin, err = strconv.Atoi(v); return err },
}

func columnNames() string { return strings.Join(slices.Sorted(maps.Keys(columns)), ", ") }

func readCSV(body []byte) (rows []row, err error) {
	if !validText(body) {
		const words = "The file is not UTF-8 text; save it so."
		return nil, events.Faultf(events.Invalid, words).At("", "not_utf8", words)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	header, err := r.Read()
	if err != nil {
		return nil, csvFault(err)
	}
	for i, name := range header {
		header[i] = strings.TrimSpace(name)
		if columns[header[i]] == nil {
			const words = "The header line names a column that is not known here; docs/api.md has the list."
			return nil, events.Faultf(events.Invalid, words).At("/"+strconv.Itoa(i), "unknown_column", words)
		}
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, csvFault(err)
		}
		if len(rows) > maxRows {
			return rows, nil // too many already
		}
		rows = append(rows, rowOf(header, record))
	}
}

func rowOf(header, record []string) (r row) {
	for i, value := range record {
		if value == "" {
			continue // left out
		}
		if err := columns[header[i]](&r.post, value); err != nil {
			const words = "This value is not of the kind that the column takes."
			r.err = events.Faultf(events.Invalid, words).At("/"+header[i], "wrong_type", words)
		}
	}
	return r
}

func validText(body []byte) bool {
	return bytes.Equal(body, bytes.ToValidUTF8(body, nil)) && !bytes.ContainsRune(body, 0)
}

func csvFault(err error) error {
	words := "The file is not well-formed CSV."
	var at *csv.ParseError
	if errors.As(err, &at) {
		words = fmt.Sprintf("The file is not well-formed CSV at line %d.", at.Line)
	}
	return events.Faultf(events.Invalid, "%s", words).At("", "not_csv", words)
}

// fileOfPosts documents the body of an import.
func (o *operation) fileOfPosts() *operation {
	o.MaxBodyBytes = maxImport
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		typeCSV:   {Schema: &huma.Schema{Type: huma.TypeString, Description: "A header line, then a post a line. Columns: " + columnNames() + "."}},
		typeLines: {Schema: &huma.Schema{Type: huma.TypeString, Description: "A JSON object a line, each as the body of schedulePost."}},
	}}
	o.Errors = append(o.Errors, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge)
	return o
}
