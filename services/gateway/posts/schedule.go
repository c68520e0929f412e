package posts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

// ScheduledDraft is a post for later.
type ScheduledDraft struct {
	Draft
	ScheduledAt times.LocalTime `json:"scheduledAt" doc:"When, to the millisecond: RFC 3339 with Z or an offset; or, beside timeZone, a time on the clocks there."`
	times.Clock
}

type schedulePostInput struct {
	command.Change
	Body ScheduledDraft
}

// SchedulePost accepts a post for later.
func (h *Handlers) SchedulePost(ctx context.Context, in *schedulePostInput) (*command.Answer, error) {
	draft, err := in.Body.Event()
	if err != nil {
		return nil, err
	}
	user := signin.UserOf(ctx)
	at, zoned, err := times.ParseSchedule("/scheduledAt", in.Body.ScheduledAt, in.Body.Clock)
	if err != nil {
		return nil, err
	}
	draft.Zoned = zoned
	cmd := events.SchedulePost{PostID: in.PostID(user), UserID: user, Draft: draft, PublishAt: at}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, in.Body)
	return created(post, id, cmd.PostID, in.Body.HasMediaURL(), err)
}

type listPostsInput struct {
	AccountID string        `query:"accountId" doc:"Only posts of this account."`
	Status    events.Status `query:"status" enum:"QUEUED,POSTED,FAILED,CANCELLED,DELETED" doc:"Left out: all."`
	Limit     int           `query:"limit" minimum:"1" maximum:"1000" doc:"1 to 1000. Left out: 1000."`
	After     string        `query:"after" doc:"The cursor of the page before; its Link header has it in place."`

	query url.Values
}

// Resolve keeps the query, from which the address of the next page is made.
func (in *listPostsInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.query = u.Query()
	return nil
}

type listPostsOutput struct {
	Link string `header:"Link" doc:"The next page, where there is one: <…>; rel=\"next\"."`
	Body []events.Post
}

// pagesAtMost bounds what one list is put together from: some 16 MiB.
const pagesAtMost = 32

// ListPosts lists posts, the earliest scheduled first. The original's clients know of no pages, so the list is put together
// from as many as it takes: a message carries some hundred posts, and this route promises a thousand.
func (h *Handlers) ListPosts(ctx context.Context, in *listPostsInput) (*listPostsOutput, error) {
	q := asks.ListPosts{UserID: signin.UserOf(ctx), AccountID: in.AccountID, Status: in.Status, Limit: in.Limit, After: in.After}
	wanted := cmp.Or(in.Limit, usualList)
	if err := h.Edge.SpendPage(ctx, wanted, false); err != nil {
		return nil, err
	}
	out := &listPostsOutput{Body: []events.Post{}} // [] on the wire, not null
	for range pagesAtMost {
		list, err := bus.Ask[asks.PostList](ctx, h.Bus, q)
		if err != nil {
			return nil, err
		}
		out.Body = append(out.Body, list.Posts...)
		if q.After = list.Next; list.Next == "" || len(out.Body) >= wanted {
			break
		}
		q.Limit = wanted - len(out.Body)
	}
	if q.After != "" {
		in.query.Set("after", q.After)
		out.Link = fmt.Sprintf(`<%s?%s>; rel="next"`, RouteSchedule, in.query.Encode())
	}
	return out, nil
}

// usualList is how many posts are listed where nobody says how many.
const usualList = 1000

// Edit changes a scheduled post. What is left out stays as it is.
type Edit struct {
	Text        field[string]          `json:"text,omitzero"`
	MediaURL    field[string]          `json:"mediaUrl,omitzero" doc:"As when scheduling; null takes the media away."`
	Media       field[[]MediaInput]    `json:"media,omitzero" doc:"As when scheduling; null or an empty list takes the media away."`
	Parts       []PartInput            `json:"parts,omitempty" doc:"The parts of a chain, all of them."`
	ScheduledAt field[times.LocalTime] `json:"scheduledAt,omitzero" doc:"As when scheduling."`
	times.Clock
	EditedOptions
}

// EditedOptions are the other fields of a post that may change. Null takes one away. What a post replies to or quotes stays.
type EditedOptions struct {
	ReplyControl   field[string]                `json:"replyControl,omitzero"`
	TopicTag       field[string]                `json:"topicTag,omitzero"`
	LinkAttachment field[string]                `json:"linkAttachment,omitzero"`
	Poll           field[[]string]              `json:"poll,omitzero"`
	GIF            field[events.GIF]            `json:"gif,omitzero"`
	TextAttachment field[events.TextAttachment] `json:"textAttachment,omitzero"`
	Spoilers       field[[]events.TextRange]    `json:"spoilers,omitzero"`
	SpoilerMedia   field[bool]                  `json:"spoilerMedia,omitzero"`
	Ghost          field[bool]                  `json:"ghost,omitzero"`
	ReplyApprovals field[bool]                  `json:"replyApprovals,omitzero"`
	Location       field[string]                `json:"location,omitzero"`
	Countries      field[[]string]              `json:"countries,omitzero"`
	PublishWithin  field[int]                   `json:"publishWithin,omitzero" doc:"Null is the usual, a day."`
}

// change has those that are given.
func (e EditedOptions) change() (given map[string]json.RawMessage, err error) {
	if err := e.whole(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(e)
	if err == nil {
		err = json.Unmarshal(body, &given)
	}
	if err != nil {
		return nil, fmt.Errorf("gather what changes: %w", err)
	}
	if len(given) == 0 {
		return nil, nil
	}
	return given, nil
}

// whole says what an object lacks that must have it: within one that may be null, huma lets null pass for that.
func (e EditedOptions) whole() error {
	gif, attachment := e.GIF.Value, e.TextAttachment.Value
	var at string
	switch {
	case gif != nil && gif.ID == "":
		at = "/gif/id"
	case gif != nil && gif.Provider == "":
		at = "/gif/provider"
	case attachment != nil && attachment.Plaintext == "":
		at = "/textAttachment/plaintext"
	default:
		return nil
	}
	const sentence = "This field is required; add it."
	return events.Faultf(events.Invalid, sentence).At(at, "missing", sentence)
}

// field is a field of a change: left out, null, or a value.
type field[T any] struct {
	Given bool
	Value *T // nil: null
}

// UnmarshalJSON is called only where the field is given, be it as null.
func (f *field[T]) UnmarshalJSON(b []byte) error {
	f.Given = true
	return json.Unmarshal(b, &f.Value)
}

// MarshalJSON writes the value.
func (f field[T]) MarshalJSON() ([]byte, error) { return json.Marshal(f.Value) }

// Schema is the value's.
func (field[T]) Schema(r huma.Registry) *huma.Schema {
	schema := *r.Schema(reflect.TypeFor[T](), true, "")
	if schema.Ref != "" { // of an object: huma takes everything for {"type":"null"}, so there is no choice between the two
		schema = *r.SchemaFromRef(schema.Ref)
	}
	schema.Nullable = true
	return &schema
}

// or is the value, or the given one where it is null.
func (f field[T]) or(null T) *T {
	switch {
	case !f.Given:
		return nil
	case f.Value == nil:
		return &null
	}
	return f.Value
}

// media is the new media, nil where it stays. Empty and not nil is no media: on the wire, null says "stays as it is".
func (e *Edit) media() (*[]events.Media, error) {
	address, list := e.MediaURL.or(""), e.Media.or(nil)
	switch {
	case e.hasMediaURL() && list != nil && len(*list) > 0:
		return nil, mediaTwice()
	case e.hasMediaURL():
		return new(mediaFromURL(*address)), nil
	case list != nil && len(*list) > 0:
		return new(mediaFromList(*list)), nil
	case address != nil || list != nil:
		return new([]events.Media{}), nil
	}
	return nil, nil //nolint:nilnil // stays as it is
}

func (e *Edit) hasMediaURL() bool { return e.MediaURL.Value != nil && *e.MediaURL.Value != "" }

type editPostInput struct {
	command.Change
	ID      string `path:"id" doc:"The post."`
	IfMatch string `header:"If-Match" doc:"The ETag that you know; the change is refused when the post has changed since."`
	Body    Edit
}

// EditPost changes a post that is not yet being published.
func (h *Handlers) EditPost(ctx context.Context, in *editPostInput) (*command.Answer, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	rev, err := h.ifMatch(ctx, in.IfMatch, in.ID)
	if err != nil {
		return nil, err
	}
	media, err := in.Body.media()
	if err != nil {
		return nil, err
	}
	at := in.Body.ScheduledAt
	if at.Given && at.Value == nil {
		const sentence = "A scheduled post has a time; leave scheduledAt out to keep it."
		return nil, events.Faultf(events.Invalid, sentence).At("/scheduledAt", "not_nullable", sentence)
	}
	cmd := events.EditPost{PostID: in.ID, UserID: signin.UserOf(ctx), IfRev: rev, Text: in.Body.Text.or(""), Media: media}
	if cmd.Change, err = in.Body.change(); err != nil {
		return nil, err
	}
	for _, part := range in.Body.Parts {
		cmd.Parts = append(cmd.Parts, events.DraftPart{Text: part.Text, Media: mediaFromList(part.Media)})
	}
	if at.Given {
		instant, zoned, err := times.ParseSchedule("/scheduledAt", *at.Value, in.Body.Clock)
		if err != nil {
			return nil, err
		}
		cmd.PublishAt, cmd.Zoned = &instant, zoned
	} else if in.Body.TimeZone != "" {
		const sentence = "A time zone goes with a time; give scheduledAt as well."
		return nil, events.Faultf(events.Invalid, sentence).At("/timeZone", "zone_alone", sentence)
	}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, in.Body)
	if in.Body.hasMediaURL() {
		err = FromMediaURL(err)
	}
	return changed(post, id, in.ID, err)
}

// ifMatch reads If-Match; 0 means whatever the rev. Of several ETags it is the one that the post has now, if any: else the first,
// which its service then refuses.
func (h *Handlers) ifMatch(ctx context.Context, header, id string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, nil
	}
	var revs []int64
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue // of a list an element may be empty
		}
		rev, err := readETag(tag)
		if err != nil {
			return 0, err
		}
		revs = append(revs, rev)
	}
	slices.Sort(revs)
	revs = slices.Compact(revs)
	switch len(revs) {
	case 0:
		return readETag("") // refused
	case 1:
		return revs[0], nil
	}
	post, err := bus.Ask[asks.PostDetail](ctx, h.Bus, asks.GetPost{UserID: signin.UserOf(ctx), ID: id})
	if err != nil {
		return 0, err
	}
	if slices.Contains(revs, post.Rev) {
		return post.Rev, nil
	}
	return revs[0], nil
}

// readETag reads one ETag. A proxy that compresses answers makes it a weak one; the rev in it is the same.
func readETag(tag string) (int64, error) {
	tag, quoted := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	tag, _, _ = strings.Cut(tag, "-") // what follows the rev is not compared
	rev, err := strconv.ParseInt(tag, 10, 64)
	if !quoted || !closed || err != nil || rev < 1 {
		const sentence = `If-Match is the ETag of a post as we gave it, in quotes: "3"; or several, with commas between.`
		return 0, events.Faultf(events.Invalid, sentence).At("/If-Match", "etag_invalid", sentence)
	}
	return rev, nil
}

type cancelPostInput struct {
	command.Change
	ID      string `path:"id" doc:"The post."`
	IfMatch string `header:"If-Match" doc:"The ETag that you know; the cancel is refused when the post has changed since."`
}

// CancelPost takes a post back before it is published.
func (h *Handlers) CancelPost(ctx context.Context, in *cancelPostInput) (*command.Answer, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	rev, err := h.ifMatch(ctx, in.IfMatch, in.ID)
	if err != nil {
		return nil, err
	}
	cmd := events.CancelPost{PostID: in.ID, UserID: signin.UserOf(ctx), IfRev: rev}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, nil)
	return changed(post, id, in.ID, err)
}

// RouteSchedule is where scheduled posts are.
const RouteSchedule = "/api/threads/post/schedule"
