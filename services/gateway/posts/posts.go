// Package posts answers what is asked of posts: what is posted now, scheduled, edited, listed, tried, and what a person decides
// of one.
package posts

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

// Handlers answer what is asked of posts: of one here, of a scheduled one in schedule.go, of many in list.go, and what a
// person decides of one in resolve.go.
type Handlers struct {
	Bus      *bus.Bus
	Commands *command.Sender
	Edge     *edge.Edge
	Now      func() time.Time
}

// MediaInput is one picture or video of a post.
type MediaInput struct {
	Type    events.MediaType `json:"type" enum:"image,video"`
	URL     string           `json:"url" doc:"A public https address; Threads fetches it from there."`
	AltText string           `json:"altText,omitempty" doc:"What is to be seen, for those who cannot."`
}

// PartInput is one part of a chain.
type PartInput struct {
	Text  string       `json:"text,omitempty"`
	Media []MediaInput `json:"media,omitempty"`
}

// Draft is what a post says.
type Draft struct {
	Text          string       `json:"text,omitempty" doc:"May be left out where there is media."`
	MediaURL      *string      `json:"mediaUrl,omitempty" doc:"One picture or video, as the original API had it: an address that ends in .mp4 or .mov is a video, any other an image. Say it with media when the address does not tell."`
	Media         []MediaInput `json:"media,omitempty" doc:"Pictures and videos; instead of mediaUrl."`
	Parts         []PartInput  `json:"parts,omitempty" doc:"A chain: each part goes out as the reply to the one before; instead of text and media."`
	ReplyTo       string       `json:"replyTo,omitempty" doc:"The post to reply to: our id (it is waited for), or Threads' media id."`
	QuotePostID   string       `json:"quotePostId,omitempty" doc:"The post to quote: our id (it is waited for), or Threads' media id."`
	RepostOf      string       `json:"repostOf,omitempty" doc:"The post to repost, with nothing added: our id (it is waited for), or Threads' media id."`
	AccountID     string       `json:"accountId,omitempty" maxLength:"128" doc:"Which connected account; may be left out when there is only one."`
	PublishWithin int          `json:"publishWithin,omitempty" doc:"How late, in seconds, the post may still go out. Left out: a day."`
	events.Options
}

// media is the post's media, from whichever of the two fields says it.
func (d *Draft) media() ([]events.Media, error) {
	switch {
	case d.HasMediaURL() && len(d.Media) > 0:
		return nil, mediaTwice()
	case d.HasMediaURL():
		return mediaFromURL(*d.MediaURL), nil
	}
	return mediaFromList(d.Media), nil
}

// HasMediaURL says whether there is one; an empty one is none, as forms send it.
func (d *Draft) HasMediaURL() bool { return d.MediaURL != nil && *d.MediaURL != "" }

// Event is the draft in the words of the bus.
func (d *Draft) Event() (events.Draft, error) {
	media, err := d.media()
	draft := events.Draft{
		AccountID: d.AccountID, Text: d.Text, Media: media, Options: d.Options,
		ReplyTo: d.ReplyTo, QuotePostID: d.QuotePostID, RepostOf: d.RepostOf, PublishWithin: d.PublishWithin,
	}
	for _, part := range d.Parts {
		draft.Parts = append(draft.Parts, events.DraftPart{Text: part.Text, Media: mediaFromList(part.Media)})
	}
	return draft, err
}

func mediaTwice() error {
	const sentence = "The media are given twice; give mediaUrl or media, not both."
	return events.Faultf(events.Invalid, sentence).At("/mediaUrl", "media_twice", sentence)
}

func mediaFromList(list []MediaInput) []events.Media {
	var media []events.Media
	for _, m := range list {
		media = append(media, events.Media{Type: m.Type, URL: m.URL, AltText: m.AltText})
	}
	return media
}

// mediaFromURL is the media of a mediaUrl.
func mediaFromURL(address string) []events.Media {
	m := events.Media{Type: events.Image, URL: address}
	if u, err := url.Parse(address); err == nil {
		switch strings.ToLower(path.Ext(u.Path)) {
		case ".mp4", ".mov":
			m.Type = events.Video
		}
	}
	return []events.Media{m}
}

// FromMediaURL points the faults of the media of a mediaUrl at the field that the client sent.
func FromMediaURL(err error) error {
	var f *events.Fault
	if !errors.As(err, &f) || f.Code != events.Invalid {
		return err
	}
	moved := *f
	moved.Details = nil
	for _, d := range f.Details {
		d.Pointer = toMediaURL(d.Pointer)
		moved.Details = append(moved.Details, d)
	}
	return &moved
}

func toMediaURL(pointer string) string {
	if pointer == "/media/0" || strings.HasPrefix(pointer, "/media/0/") {
		return "/mediaUrl"
	}
	return pointer
}

// CreatePostInput is the request that posts now.
type CreatePostInput struct {
	command.Change
	Body Draft
}

// CreatePost posts now.
func (h *Handlers) CreatePost(ctx context.Context, in *CreatePostInput) (*command.Answer, error) {
	draft, err := in.Body.Event()
	if err != nil {
		return nil, err
	}
	user := signin.UserOf(ctx)
	cmd := events.PublishPost{PostID: in.PostID(user), UserID: user, Draft: draft, PublishAt: h.Now().UTC()}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, in.Body)
	return created(post, id, cmd.PostID, in.Body.HasMediaURL(), err)
}

// created is the answer to what makes a post.
func created(post *events.Post, commandID, postID string, fromURL bool, err error) (*command.Answer, error) {
	switch {
	case err != nil && fromURL:
		return nil, FromMediaURL(err)
	case err != nil:
		return nil, err
	case post == nil:
		return command.StillPending(commandID, postID), nil
	}
	return &command.Answer{Status: http.StatusCreated, Location: command.PostPath(post.ID), ETag: etag(post.Rev), Body: post}, nil
}

// changed is the answer to what changes a post.
func changed(post *events.Post, commandID, postID string, err error) (*command.Answer, error) {
	switch {
	case err != nil:
		return nil, err
	case post == nil:
		return command.StillPending(commandID, postID), nil
	}
	return &command.Answer{Status: http.StatusOK, ETag: etag(post.Rev), Body: post}, nil
}

func etag(rev int64) string { return strconv.Quote(strconv.FormatInt(rev, 10)) }

type getPostInput struct {
	Conditional
	ID string `path:"id" doc:"Our id of the post, or Threads' media id."`
}

type postOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   asks.PostDetail
}

// GetPost shows a post and what was tried for it.
func (h *Handlers) GetPost(ctx context.Context, in *getPostInput) (*postOutput, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	post, err := bus.Ask[asks.PostDetail](ctx, h.Bus, asks.GetPost{UserID: signin.UserOf(ctx), ID: in.ID})
	if err != nil {
		return nil, err
	}
	tag, err := tagOf(post.Rev, post)
	if err != nil {
		return nil, err
	}
	if in.has(tag) {
		return &postOutput{Status: http.StatusNotModified, ETag: tag}, nil
	}
	return &postOutput{Status: http.StatusOK, ETag: tag, Body: post}, nil
}

type deletePostInput struct {
	command.Change
	ID string `path:"id" doc:"Our id of the post, or Threads' media id."`
}

// DeletePost removes a post from Threads.
func (h *Handlers) DeletePost(ctx context.Context, in *deletePostInput) (*command.Answer, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, events.DeletePost{ID: in.ID, UserID: signin.UserOf(ctx)}, nil)
	known := ""
	if events.IsPostID(in.ID) {
		known = in.ID
	}
	return changed(post, id, known, err)
}

// RepostInput says when, and from which account.
type RepostInput struct {
	AccountID   string           `json:"accountId,omitempty" maxLength:"128" doc:"Which connected account; may be left out when there is only one."`
	ScheduledAt *times.LocalTime `json:"scheduledAt,omitempty" doc:"When, as when scheduling. Left out: now."`
	times.Clock
}

type repostInput struct {
	command.Change
	ID   string `path:"id" doc:"Our id of the post, which is waited for, or Threads' media id."`
	Body RepostInput
}

// Repost shares a post again as it is, now or later.
func (h *Handlers) Repost(ctx context.Context, in *repostInput) (*command.Answer, error) {
	if !PlausibleID(in.ID) {
		return nil, NoSuchPost()
	}
	user := signin.UserOf(ctx)
	draft := events.Draft{AccountID: in.Body.AccountID, RepostOf: in.ID}
	body := struct {
		ID string
		RepostInput
	}{in.ID, in.Body}
	if at := in.Body.ScheduledAt; at != nil {
		instant, zoned, err := times.ParseSchedule("/scheduledAt", *at, in.Body.Clock)
		if err != nil {
			return nil, err
		}
		draft.Zoned = zoned
		cmd := events.SchedulePost{PostID: in.PostID(user), UserID: user, Draft: draft, PublishAt: instant}
		post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, body)
		return created(post, id, cmd.PostID, false, err)
	}
	cmd := events.PublishPost{PostID: in.PostID(user), UserID: user, Draft: draft, PublishAt: h.Now().UTC()}
	post, id, err := command.Send[events.Post](ctx, h.Commands, &in.Change, cmd, body)
	return created(post, id, cmd.PostID, false, err)
}

// PlausibleID says that an id may be one of ours, of Threads' or of the original's. What is not is not asked for; it is
// missing like any other.
func PlausibleID(id string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return len(id) <= 128 && strings.Trim(cmp.Or(id, "."), letters) == ""
}

// NoSuchPost is the fault of an id that is nobody's, or somebody else's.
func NoSuchPost() error {
	return events.Faultf(events.NotFound, "There is no post with this id among yours.")
}
