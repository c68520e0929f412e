package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
)

// Everything that a post can have reaches the publisher as it was said.
func TestWholeDraft(t *testing.T) {
	t.Parallel()
	h := setup(t)
	seen := publisherThat(t, h)
	h.do(t, http.MethodPost, schedule, `{"scheduledAt":"2026-11-22T12:00:00Z","parts":[{"text":"one"},{"text":"two","media":[{"type":"image","url":"https://cdn.example/a.jpg","altText":"a cat"}]}],
		"replyTo":"18060000000000017","quotePostId":"18060000000000019","replyControl":"everyone","topicTag":"cats","linkAttachment":"https://example.org","poll":["yes","no"],
		"gif":{"id":"g","provider":"GIPHY"},"textAttachment":{"plaintext":"long","link":"https://example.org/a","styles":[{"offset":0,"length":4,"styles":["bold"]}]},
		"spoilers":[{"offset":0,"length":2}],"spoilerMedia":true,"ghost":true,"replyApprovals":true,"location":"7","countries":["DE"]}`).is(t, http.StatusCreated, nil)
	cmd, _ := (<-seen).(events.SchedulePost)
	want := events.Draft{
		Parts:   []events.DraftPart{{Text: "one"}, {Text: "two", Media: []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg", AltText: "a cat"}}}},
		ReplyTo: "18060000000000017", QuotePostID: "18060000000000019",
		Options: events.Options{
			ReplyControl: "everyone", TopicTag: "cats", LinkAttachment: "https://example.org", Poll: []string{"yes", "no"}, GIF: &events.GIF{ID: "g", Provider: "GIPHY"},
			TextAttachment: &events.TextAttachment{Plaintext: "long", Link: "https://example.org/a", Styles: []events.StyledRange{{TextRange: events.TextRange{Length: 4}, Styles: []string{"bold"}}}},
			Spoilers:       []events.TextRange{{Length: 2}}, SpoilerMedia: true, Ghost: true, ReplyApprovals: true, Location: "7", Countries: []string{"DE"},
		},
	}
	if diff := cmp.Diff(want, cmd.Draft); diff != "" {
		t.Error(diff)
	}
}

func TestOwnersMoves(t *testing.T) {
	t.Parallel()
	const id = "post_01jbkq4t00e7x8v5n2m3k9w0ra"
	for name, c := range map[string]struct {
		path, body string
		status     int
		want       events.Command
	}{
		"retry now":         {"/retry", ``, http.StatusOK, events.RetryPost{PostID: id, UserID: ada, PublishAt: noon}},
		"retry later":       {"/retry", `{"scheduledAt":"2026-11-22T13:00:00+01:00"}`, http.StatusOK, events.RetryPost{PostID: id, UserID: ada, PublishAt: noon}},
		"resolve as live":   {"/resolve", `{"published":true,"mediaId":"18060000000000017"}`, http.StatusOK, events.ResolvePost{PostID: id, UserID: ada, Published: true, MediaID: "18060000000000017"}},
		"resolve as absent": {"/resolve", `{"published":false}`, http.StatusOK, events.ResolvePost{PostID: id, UserID: ada}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			seen := publisherThat(t, h)
			h.do(t, http.MethodPost, "/api/threads/post/"+id+c.path, c.body).is(t, c.status, nil)
			got := <-seen
			if retry, ok := got.(events.RetryPost); ok && c.body == "" && time.Since(retry.PublishAt) < time.Minute {
				retry.PublishAt = noon // now, in this test
				got = retry
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("repost, now and later", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		seen := publisherThat(t, h)
		h.do(t, http.MethodPost, "/api/threads/post/18060000000000017/repost", `{"accountId":"acct_1"}`).is(t, http.StatusCreated, nil)
		if cmd, ok := (<-seen).(events.PublishPost); !ok || cmd.Draft.RepostOf != "18060000000000017" || cmd.Draft.AccountID != "acct_1" {
			t.Errorf("%+v", cmd)
		}
		h.do(t, http.MethodPost, "/api/threads/post/"+id+"/repost", `{"scheduledAt":"2026-11-22T12:00:00Z"}`).is(t, http.StatusCreated, nil)
		if cmd, ok := (<-seen).(events.SchedulePost); !ok || cmd.Draft.RepostOf != id || !cmd.PublishAt.Equal(noon) {
			t.Errorf("%+v", cmd)
		}
	})

	t.Run("a live post needs its media id, and an absent one has none", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		for _, body := range []string{`{"published":true}`, `{"published":true,"mediaId":"post_1"}`, `{"published":false,"mediaId":"7"}`} {
			h.do(t, http.MethodPost, "/api/threads/post/"+id+"/resolve", body).problem(t, 422, "invalid", "/mediaId")
		}
		h.do(t, http.MethodPost, "/api/threads/post/"+id+"/resolve", `{}`).problem(t, 422, "invalid", "/published")
	})
}
