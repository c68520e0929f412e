package threads_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/internal/threads"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const back = "https://app.example/cb?from=threads"
	scopes := []string{threads.ScopeBasic, threads.ScopeContentPublish}

	window := b.client.AuthorizeURLFor(back, scopes, "s1")
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, window, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	location := resp.Header.Get("Location")
	if !strings.HasSuffix(location, "#_") {
		t.Fatalf("redirect %q does not end in #_", location)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	if u.Query().Get("state") != "s1" || u.Query().Get("from") != "threads" {
		t.Fatalf("redirect %q lost the state or the address's own query", location)
	}

	// The code as someone copies it out of the address bar.
	code := u.Query().Get("code") + "#_"
	short, err := b.client.ExchangeCode(t.Context(), code, back)
	if err != nil {
		t.Fatal(err)
	}
	if short.UserID != b.grant.UserID {
		t.Errorf("user id %s, want %s: was it rounded?", short.UserID, b.grant.UserID)
	}
	if _, err := b.client.ExchangeCode(t.Context(), code, back); threads.ClassOf(err) != threads.Reauthorize {
		t.Errorf("second exchange of a code: %v, want class reauthorize", err)
	}

	long, err := b.client.ExchangeLongLived(t.Context(), short.Token)
	if err != nil {
		t.Fatal(err)
	}
	if long.ExpiresIn < 59*24*time.Hour {
		t.Errorf("long-lived token lives %v", long.ExpiresIn)
	}
	if _, err := b.client.ExchangeLongLived(t.Context(), long.Token); threads.ClassOf(err) != threads.Reauthorize {
		t.Errorf("exchange of a long-lived token: %v, want class reauthorize", err)
	}

	me, err := b.client.Me(t.Context(), long.Token)
	if err != nil {
		t.Fatal(err)
	}
	if me.ID != b.grant.UserID || me.Username != "demo.user" || me.Name != "Demo User" {
		t.Errorf("profile %+v", me)
	}
	info, err := b.client.DebugToken(t.Context(), long.Token)
	if err != nil {
		t.Fatal(err)
	}
	now := b.clock.Now()
	want := threads.TokenInfo{
		Scopes:              scopes,
		ExpiresAt:           now.Add(long.ExpiresIn),
		DataAccessExpiresAt: now.Add(90 * 24 * time.Hour),
		IssuedAt:            now,
		UserID:              b.grant.UserID,
		IsValid:             true,
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("token info (-want +got):\n%s", diff)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.client.Refresh(t.Context(), b.token); threads.ClassOf(err) != threads.Invalid {
		t.Errorf("refresh of a young token: %v, want class invalid", err)
	}
	b.clock.Add(24 * time.Hour)
	renewed, err := b.client.Refresh(t.Context(), b.token)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Token == b.token {
		t.Error("the token is the old one")
	}
	b.clock.Add(60 * 24 * time.Hour)
	if _, err := b.client.Refresh(t.Context(), b.token); threads.ClassOf(err) != threads.Reauthorize {
		t.Errorf("refresh of an expired token: %v, want class reauthorize", err)
	}
}

// A token of an hour that calls itself long-lived would be stored and die in the night.
func TestShortLifeIsNoLongToken(t *testing.T) {
	t.Parallel()
	server := answering(t, `{"access_token":"THQVJ-short-in-disguise","token_type":"bearer","expires_in":3600}`)
	_, err := newClient(server.URL, nil).ExchangeLongLived(t.Context(), "THQVJ-short")
	if err == nil || strings.Contains(err.Error(), "THQVJ") {
		t.Errorf("got %v, want an error without the token", err)
	}
}

func TestPostsAndReplies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text := b.publish(t, threads.Container{MediaType: threads.Text, Text: "hello"})
	b.clock.Add(time.Second)
	reply := b.publish(t, threads.Container{MediaType: threads.Text, Text: "and more", ReplyToID: text})

	t.Run("a post reads back", func(t *testing.T) {
		m, err := b.client.Media(t.Context(), b.token, text)
		if err != nil {
			t.Fatal(err)
		}
		want := threads.Media{
			ID: text, Text: "hello", MediaType: "TEXT_POST", Shortcode: m.Shortcode,
			Permalink: b.server.URL + "/@demo.user/post/" + m.Shortcode,
			Timestamp: b.clock.Now().Add(-time.Second),
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("media (-want +got):\n%s", diff)
		}
	})
	t.Run("a reply names its parent", func(t *testing.T) {
		m, err := b.client.Media(t.Context(), b.token, reply)
		if err != nil {
			t.Fatal(err)
		}
		if !m.IsReply || m.ReplyToID != text {
			t.Errorf("media %+v", m)
		}
	})
	t.Run("posts and replies are on lists of their own", func(t *testing.T) {
		q := threads.ListQuery{Since: b.clock.Now().Add(-time.Minute), Until: b.clock.Now()}
		page, err := b.client.Posts(t.Context(), b.token, q)
		if err != nil {
			t.Fatal(err)
		}
		if got := idsOf(page); !slices.Equal(got, []string{text}) {
			t.Errorf("posts %v, want %s", got, text)
		}
		page, err = b.client.Replies(t.Context(), b.token, q)
		if err != nil {
			t.Fatal(err)
		}
		if got := idsOf(page); !slices.Equal(got, []string{reply}) {
			t.Errorf("replies %v, want %s", got, reply)
		}
		page, err = b.client.GhostPosts(t.Context(), b.token, q)
		if err != nil || len(page.Data) != 0 {
			t.Errorf("ghost posts %v, %v", page, err)
		}
	})
	t.Run("delete", func(t *testing.T) {
		if err := b.client.Delete(t.Context(), b.token, reply); err != nil {
			t.Fatal(err)
		}
		if err := b.client.Delete(t.Context(), b.token, reply); threads.ClassOf(err) != threads.NotFound {
			t.Errorf("second delete: %v, want class not_found", err)
		}
	})
	t.Run("a reply to what is gone finds nothing", func(t *testing.T) {
		_, err := b.client.CreateContainer(t.Context(), b.token,
			threads.Container{MediaType: threads.Text, Text: "x", ReplyToID: reply})
		if threads.ClassOf(err) != threads.NotFound {
			t.Errorf("got %v, want class not_found", err)
		}
	})
	t.Run("limits", func(t *testing.T) {
		got, err := b.client.Limits(t.Context(), b.token, b.grant.Scopes)
		if err != nil {
			t.Fatal(err)
		}
		day := 24 * time.Hour
		want := threads.Limits{
			Posts:   threads.Allowance{Used: 1, Total: 250, Window: day},
			Replies: threads.Allowance{Used: 1, Total: 1000, Window: day},
			Deletes: threads.Allowance{Used: 1, Total: 100, Window: day},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
	})
}

func TestLimitsAskOnlyWhatTheScopesCover(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scopes := []string{threads.ScopeBasic, threads.ScopeContentPublish}
	g, err := b.sim.Token("two.scopes", scopes...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.client.Limits(t.Context(), g.AccessToken, scopes)
	if err != nil {
		t.Fatal(err)
	}
	if got.Posts.Total != 250 || got.Replies.Total != 0 || got.Deletes.Total != 0 {
		t.Errorf("limits %+v", got)
	}
	if got, err := b.client.Limits(t.Context(), g.AccessToken, nil); err != nil || got != (threads.Limits{}) {
		t.Errorf("without scopes: %+v, %v", got, err)
	}
}

func TestCarousel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var children []string
	for range 2 {
		id, err := b.client.CreateContainer(t.Context(), b.token, threads.Container{
			MediaType: threads.Image, ImageURL: "https://cdn.example/p.jpg", AltText: "a photo", IsCarouselItem: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, id)
	}
	id := b.publish(t, threads.Container{MediaType: threads.Carousel, Text: "two", Children: children})
	m, err := b.client.Media(t.Context(), b.token, id)
	if err != nil {
		t.Fatal(err)
	}
	if m.MediaType != "CAROUSEL_ALBUM" || !slices.Equal(m.ChildIDs, children) {
		t.Errorf("media %+v, want the children %v", m, children)
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for i := range 7 {
		want = append(want, b.publish(t, threads.Container{MediaType: threads.Text, Text: strconv.Itoa(i)}))
	}
	slices.Reverse(want)
	var got []string
	q := threads.ListQuery{Limit: 3}
	for range 10 {
		page, err := b.client.Posts(t.Context(), b.token, q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, idsOf(page)...)
		if q.After = page.After; q.After == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages gave %v, want %v", got, want)
	}
}

func TestContainerStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status := func(id string) string {
		t.Helper()
		s, err := b.client.ContainerStatus(t.Context(), b.token, id)
		if err != nil {
			t.Fatal(err)
		}
		return s.Status
	}
	id := b.text(t, "hello")
	if got := status(id); got != threads.StatusFinished {
		t.Errorf("status %s", got)
	}
	mediaID, err := b.client.Publish(t.Context(), b.token, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := status(id); got != threads.StatusPublished {
		t.Errorf("status %s after the publish", got)
	}
	if _, err := b.client.ContainerStatus(t.Context(), b.token, mediaID); threads.ClassOf(err) != threads.Invalid {
		t.Errorf("status of a media id: %v, want class invalid", err)
	}
	if _, err := b.client.ContainerStatus(t.Context(), b.token, "../me"); threads.ClassOf(err) != threads.Invalid {
		t.Errorf("status of no id: %v, want class invalid", err)
	}
}

func idsOf(p threads.Page) []string {
	var ids []string
	for _, m := range p.Data {
		ids = append(ids, m.ID)
	}
	return ids
}
