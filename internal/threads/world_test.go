package threads_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

var everyScope = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies,
	threads.ScopeManageInsights, threads.ScopeDelete, threads.ScopeKeywordSearch, threads.ScopeManageMentions,
	threads.ScopeLocationTagging, threads.ScopeProfileDiscovery, threads.ScopeShareToInstagram,
}

// world is a simulator with an account that may do everything, and with Ann, who talks.
type world struct {
	*bundle
	all threads.Token
}

func newWorld(t *testing.T) world {
	t.Helper()
	b := setup(t)
	wide, err := b.sim.Token("demo.user", everyScope...)
	if err != nil {
		t.Fatal(err)
	}
	followers := 500
	if _, err := b.sim.AddPerson(threadssim.Person{Username: "ann", Followers: &followers}); err != nil {
		t.Fatal(err)
	}
	return world{b, wide.AccessToken}
}

func (w world) says(t *testing.T, params ...string) string {
	t.Helper()
	w.clock.Add(time.Second)
	p := url.Values{}
	for i := 0; i < len(params); i += 2 {
		p.Set(params[i], params[i+1])
	}
	id, _, err := w.sim.Say("ann", p)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// made publishes with the wide token.
func (w world) made(t *testing.T, k threads.Container) string {
	t.Helper()
	id, err := w.client.CreateContainer(t.Context(), w.all, k)
	if err != nil {
		t.Fatal(err)
	}
	if id, err = w.client.Publish(t.Context(), w.all, id, nil); err != nil {
		t.Fatal(err)
	}
	return id
}

// Whatever a container takes, a post shows.
func TestWhatIsWrittenReadsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.sim.SetKnobs(func(k *threadssim.Knobs) { k.GeoGating = true }); err != nil {
		t.Fatal(err)
	}
	places, err := w.client.LocationSearch(t.Context(), w.all, "paris", nil)
	if err != nil || len(places) == 0 {
		t.Fatalf("places %v, %v", places, err)
	}
	there := places[0]
	if there.Name == "" {
		t.Errorf("the place reads %+v", there)
	}
	quoted := w.made(t, threads.Container{MediaType: threads.Text, Text: "first"})

	for name, k := range map[string]threads.Container{
		"a poll": {MediaType: threads.Text, Text: "which?", PollOptions: []string{"this", "that", "neither"}, TopicTag: "cats",
			ReplyControl: "followers_only", QuotePostID: quoted, LocationID: there.ID, Countries: []string{"DE", "FR"}},
		"a long text": {MediaType: threads.Text, Text: "secret words", Spoilers: []threads.TextRange{{Offset: 0, Length: 6}},
			TextAttachment: &threads.TextAttachment{Plaintext: "a long text", LinkURL: "https://example.org/a",
				Styles: []threads.StyledRange{{TextRange: threads.TextRange{Offset: 2, Length: 4}, Styles: []string{"bold", "underline"}}}}},
		"a link":    {MediaType: threads.Text, Text: "look", LinkAttachment: "https://example.org/b"},
		"a ghost":   {MediaType: threads.Text, Text: "boo", Ghost: true},
		"a picture": {MediaType: threads.Image, Text: "cat", ImageURL: "https://cdn.example/p.jpg", AltText: "a cat", SpoilerMedia: true},
		"a gif":     {MediaType: threads.Text, Text: "ha", GIF: &threads.GIF{ID: "g1", Provider: "giphy"}},
	} {
		id := w.made(t, k)
		m, err := w.client.Detail(t.Context(), w.all, id, everyScope)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var options []string
		if m.Poll != nil {
			for _, o := range m.Poll.Options {
				options = append(options, o.Text)
			}
		}
		back := threads.Container{
			MediaType: k.MediaType, Text: m.Text, ImageURL: k.ImageURL, AltText: m.AltText, QuotePostID: m.QuotedID,
			ReplyControl: strings.ToLower(m.ReplyAudience), TopicTag: m.TopicTag, LinkAttachment: m.LinkURL, PollOptions: options,
			GIF: k.GIF, TextAttachment: m.TextAttachment, Spoilers: m.Spoilers, SpoilerMedia: m.SpoilerMedia,
			Ghost: m.GhostStatus == "ACTIVE", LocationID: m.LocationID, Countries: m.Countries,
		}
		if k.ReplyControl == "" {
			k.ReplyControl = "everyone"
		}
		if diff := cmp.Diff(k, back); diff != "" {
			t.Errorf("%s reads otherwise (-written +read):\n%s", name, diff)
		}
		if (k.GIF != nil) != (m.GIFURL != "") || (k.MediaType == threads.Image) != (m.MediaURL != "") ||
			(k.LocationID != "") != (m.Location != nil) || k.Ghost == m.GhostExpires.IsZero() || m.IsQuote != (k.QuotePostID != "") {
			t.Errorf("%s reads %+v", name, m)
		}
	}
	// The same with fewer scopes asks for less, and is not refused.
	few := []string{threads.ScopeBasic, threads.ScopeContentPublish}
	narrow, err := w.sim.Token("demo.user", few...)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := w.client.Detail(t.Context(), narrow.AccessToken, quoted, few); err != nil || m.Text != "first" || m.ReplyAudience != "" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestTalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.made(t, threads.Container{MediaType: threads.Text, Text: "what do you think?"})
	hers := w.says(t, "text", "well", "reply_to_id", root)
	w.clock.Add(time.Second)
	mine := w.made(t, threads.Container{MediaType: threads.Text, Text: "thanks", ReplyToID: hers})
	named := w.says(t, "text", "hello @demo.user")

	page, err := w.client.RepliesTo(t.Context(), w.all, root, threads.ListQuery{})
	if err != nil || !slices.Equal(idsOf(page), []string{hers}) {
		t.Fatalf("replies %v, %v", idsOf(page), err)
	}
	if r := page.Data[0]; r.Username != "ann" || !r.IsReply || r.ReplyToID != root || r.RootID != root || r.ReplyOfMine || !r.HasReplies || r.HideStatus != "NOT_HUSHED" {
		t.Errorf("the reply reads %+v", r)
	}
	page, err = w.client.Conversation(t.Context(), w.all, root, threads.ListQuery{OldestFirst: true})
	if err != nil || !slices.Equal(idsOf(page), []string{hers, mine}) || !page.Data[1].ReplyOfMine {
		t.Errorf("conversation %+v, %v", page, err)
	}
	page, err = w.client.Mentions(t.Context(), w.all, threads.ListQuery{})
	if err != nil || !slices.Equal(idsOf(page), []string{named}) || page.Data[0].Username != "ann" {
		t.Errorf("mentions %+v, %v", page, err)
	}

	for _, hide := range []bool{true, false} {
		if err := w.client.Hide(t.Context(), w.all, hers, hide); err != nil {
			t.Fatal(err)
		}
		page, err = w.client.RepliesTo(t.Context(), w.all, root, threads.ListQuery{})
		if err != nil || len(page.Data) != 1 || (page.Data[0].HideStatus == "HIDDEN") != hide {
			t.Errorf("hide %t: %+v, %v", hide, page, err)
		}
	}
	if err := w.client.Hide(t.Context(), w.token, "18069999999999999", true); threads.ClassOf(err) != threads.NotFound {
		t.Errorf("a reply that is not there: %v", err)
	}

	guarded := w.made(t, threads.Container{MediaType: threads.Text, Text: "ask me", ReplyApprovals: true})
	a, b := w.says(t, "text", "a", "reply_to_id", guarded), w.says(t, "text", "b", "reply_to_id", guarded)
	pending := func(status string) []string {
		page, err := w.client.PendingReplies(t.Context(), w.all, guarded, status, threads.ListQuery{OldestFirst: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Data {
			if status != "" && m.ApprovalStatus != status {
				t.Errorf("%s is %s, not %s", m.ID, m.ApprovalStatus, status)
			}
		}
		return idsOf(page)
	}
	if got := pending(""); !slices.Equal(got, []string{a, b}) {
		t.Errorf("waiting %v", got)
	}
	if err := w.client.Approve(t.Context(), w.all, a, true); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Approve(t.Context(), w.all, b, false); err != nil {
		t.Fatal(err)
	}
	if got := pending(threads.ApprovalPending); len(got) > 0 {
		t.Errorf("still waiting %v", got)
	}
	if got := pending(threads.ApprovalIgnored); !slices.Equal(got, []string{b}) {
		t.Errorf("ignored %v", got)
	}
}

func TestLookAround(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hers := w.says(t, "text", "green tea", "topic_tag", "tea")
	w.clock.Add(time.Hour)

	for name, s := range map[string]threads.SearchQuery{
		"words":  {Q: "green", Recent: true, ListQuery: threads.ListQuery{Until: w.clock.Now()}},
		"a tag":  {Q: "tea", Tag: true, MediaType: threads.Text},
		"author": {Q: "tea", Author: "ann"},
	} {
		page, err := w.client.Search(t.Context(), w.all, s)
		if err != nil || !slices.Equal(idsOf(page), []string{hers}) || page.Data[0].Username != "ann" || page.Data[0].OwnerID != "" {
			t.Errorf("%s found %+v, %v", name, page, err)
		}
	}
	ann, err := w.client.ProfileLookup(t.Context(), w.all, "ann")
	if err != nil || ann.Username != "ann" || ann.Followers != 500 {
		t.Errorf("profile %+v, %v", ann, err)
	}
	page, err := w.client.ProfilePosts(t.Context(), w.all, "ann", threads.ListQuery{})
	if err != nil || !slices.Equal(idsOf(page), []string{hers}) {
		t.Errorf("her posts %+v, %v", page, err)
	}
	if _, err := w.client.LocationSearch(t.Context(), w.all, "", &threads.Point{Latitude: 48.85, Longitude: 2.35}); err != nil {
		t.Errorf("places around a point: %v", err)
	}
	limits, err := w.client.Limits(t.Context(), w.all, everyScope)
	if err != nil || limits.LocationSearches.Used != 1 || limits.LocationSearches.Total != 500 || limits.Posts.Total != 250 ||
		limits.Replies.Total != 1000 || limits.Deletes.Total != 100 {
		t.Errorf("limits %+v, %v", limits, err)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.made(t, threads.Container{MediaType: threads.Text, Text: "count me"})
	w.says(t, "text", "one", "reply_to_id", root)
	again, err := w.client.Repost(t.Context(), w.all, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Add(48 * time.Hour)

	names := func(all []threads.Metric) (list []string) {
		for _, m := range all {
			list = append(list, m.Name)
		}
		slices.Sort(list)
		return list
	}
	sorted := func(list []string) []string { list = slices.Clone(list); slices.Sort(list); return list }
	of := func(all []threads.Metric, name string) threads.Metric {
		i := slices.IndexFunc(all, func(m threads.Metric) bool { return m.Name == name })
		if i < 0 {
			t.Fatalf("%s is missing in %+v", name, all)
		}
		return all[i]
	}

	all, err := w.client.MediaInsights(t.Context(), w.all, root)
	if err != nil || !slices.Equal(names(all), sorted(threads.MediaMetrics)) {
		t.Fatalf("%+v, %v", all, err)
	}
	if m := of(all, "replies"); !m.HasTotal || m.Total != 1 || m.Period != "lifetime" {
		t.Errorf("replies %+v", m)
	}
	if all, err := w.client.MediaInsights(t.Context(), w.all, again); err != nil || len(all) != 0 {
		t.Errorf("of a repost: %+v, %v", all, err)
	}
	if _, err := w.client.MediaInsights(t.Context(), w.all, root, "auras"); threads.ClassOf(err) != threads.Invalid {
		t.Errorf("a metric that is none: %v", err)
	}

	now := w.clock.Now()
	all, err = w.client.AccountInsights(t.Context(), w.all, threads.InsightsQuery{Since: now.Add(-72 * time.Hour), Until: now})
	if err != nil || !slices.Equal(names(all), sorted(threads.AccountMetrics)) {
		t.Fatalf("%+v, %v", all, err)
	}
	if m := of(all, "views"); len(m.Days) == 0 || m.Days[0].End.IsZero() {
		t.Errorf("views %+v", m)
	}
	if m := of(all, "likes"); !m.HasTotal {
		t.Errorf("likes %+v", m)
	}
	all, err = w.client.AccountInsights(t.Context(), w.all, threads.InsightsQuery{Metrics: []string{"follower_demographics"}, Breakdown: "country"})
	if err != nil || len(of(all, "follower_demographics").Breakdown) == 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := w.client.AccountInsights(t.Context(), w.token, threads.InsightsQuery{Metrics: []string{"follower_demographics"}}); threads.ClassOf(err) != threads.Invalid {
		t.Errorf("demographics without a breakdown: %v", err)
	}
}
