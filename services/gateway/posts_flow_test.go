package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/gateway/posts"
	"github.com/omni-write/threads/services/publisher"
)

type page struct {
	Posts []events.Post `json:"posts"`
	Next  string        `json:"next"`
}

func textsOf(p page) (list []string) {
	for _, post := range p.Posts {
		list = append(list, post.Text)
	}
	return list
}

func TestFindPosts(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	base := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	schedule := func(text string, after time.Duration) (p events.Post) {
		t.Helper()
		w.do(t, http.MethodPost, "/api/threads/post/schedule", fmt.Sprintf(`{"text":%q,"scheduledAt":%q}`, text, base.Add(after).Format(time.RFC3339))).
			is(t, http.StatusCreated, &p)
		return p
	}
	live := w.post(`{"text":"live now"}`)
	for i := range 5 {
		schedule("number "+strconv.Itoa(i), time.Duration(i)*time.Hour)
	}
	gone := schedule("100% taken_back", 9*time.Hour)
	w.do(t, http.MethodDelete, "/api/threads/post/schedule/"+gone.ID, "").is(t, http.StatusOK, nil)

	for query, want := range map[string][]string{
		"":                  {"100% taken_back", "number 4", "number 3", "number 2", "number 1", "number 0", "live now"},
		"?status=POSTED":    {"live now"},
		"?status=CANCELLED": {"100% taken_back"},
		"?status=POSTED&status=CANCELLED&order=oldest": {"live now", "100% taken_back"},
		"?status=FAILED":                             {},
		"?status=DELETED":                            {},
		"?search=NUMBER&order=oldest":                {"number 0", "number 1", "number 2", "number 3", "number 4"},
		"?search=" + url.QueryEscape("%"):            {"100% taken_back"},
		"?search=_":                                  {"100% taken_back"},
		"?kind=repost":                               {},
		"?accountId=" + w.ada.ID + "&status=POSTED":  {"live now"},
		"?accountId=acct_00000000000000000000000000": {},
		"?order=oldest&from=" + url.QueryEscape(base.Add(time.Hour).Format(time.RFC3339)) +
			"&to=" + url.QueryEscape(base.Add(3*time.Hour).Format(time.RFC3339)): {"number 1", "number 2"},
	} {
		var got page
		w.do(t, http.MethodGet, "/api/threads/posts"+query, "").is(t, http.StatusOK, &got)
		if list := textsOf(got); !slices.Equal(list, want) {
			t.Errorf("%s lists %q, want %q", query, list, want)
		}
	}

	t.Run("tells what is held up, and counts", func(t *testing.T) {
		held := schedule("held", 30*time.Hour)
		if _, err := w.db.ExecContext(t.Context(), `UPDATE posts SET state = 'parked', reason = '{"code":"outcome_unknown","message":"Look."}' WHERE id = ?`, held.ID); err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"?state=parked", "?state=parked&state=waiting&status=QUEUED", "?reason=outcome_unknown"} {
			var got page
			w.do(t, http.MethodGet, "/api/threads/posts"+query, "").is(t, http.StatusOK, &got)
			if list := textsOf(got); !slices.Equal(list, []string{"held"}) {
				t.Errorf("%s lists %q", query, list)
			}
		}
		var counted struct {
			Counts map[string]struct {
				Posts int
				More  bool
			}
		}
		w.do(t, http.MethodGet, "/api/threads/posts?counts=true&limit=1", "").is(t, http.StatusOK, &counted)
		for name, want := range map[string]int{"QUEUED": 6, "POSTED": 1, "CANCELLED": 1, "FAILED": 0, "DELETED": 0, "parked": 1, "waiting": 0, "unconfirmed": 0} {
			if got, ok := counted.Counts[name]; !ok || got.Posts != want || got.More {
				t.Errorf("of %s it counts %+v, want %d", name, got, want)
			}
		}
	})

	t.Run("pages follow each other, whatever comes in between", func(t *testing.T) {
		var all []string
		next := "/api/threads/posts?limit=2"
		for n := 0; next != ""; n++ {
			var got page
			r := w.do(t, http.MethodGet, next, "")
			r.is(t, http.StatusOK, &got)
			all = append(all, textsOf(got)...)
			if n == 0 {
				schedule("in between", 20*time.Hour) // newer than all: on no later page
			}
			next = ""
			if link := r.header.Get("Link"); link != "" {
				address, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
				next = address
			}
		}
		if want := []string{"held", "100% taken_back", "number 4", "number 3", "number 2", "number 1", "number 0", "live now"}; !slices.Equal(all, want) {
			t.Errorf("the pages are %q", all)
		}
	})

	t.Run("what cannot be asked is refused", func(t *testing.T) {
		for query, pointer := range map[string]string{
			"?state=published": "/state/0", "?reason=mood": "/reason", "?counts=many": "/counts", "?limit=0": "/limit", "?limit=5000": "/limit", "?after=bm90aGluZw": "/after", "?status=LOST": "/status/0", "?kind=x": "/kind/0",
			"?from=noon": "/from", "?order=up": "/order", "?from=2027-01-02T00:00:00Z&to=2027-01-01T00:00:00Z": "/to",
		} {
			w.do(t, http.MethodGet, "/api/threads/posts"+query, "").problem(t, http.StatusUnprocessableEntity, "invalid", pointer)
		}
	})

	t.Run("an imported copy of our own post is not shown beside it", func(t *testing.T) {
		_, err := w.db.ExecContext(t.Context(), `INSERT INTO posts (id, user_id, account_id, kind, text, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, told_rev, fact, media_id)
			SELECT 'post_twin', user_id, account_id, 'imported', text, content_hash, publish_at, publish_within, state, created_at, updated_at, 1, 1, 'imported', media_id FROM posts WHERE id = ?`, live.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got page
		w.do(t, http.MethodGet, "/api/threads/posts?kind=post&kind=imported&status=POSTED", "").is(t, http.StatusOK, &got)
		if len(got.Posts) != 1 || got.Posts[0].ID != live.ID {
			t.Errorf("it lists %+v", got.Posts)
		}
	})
}

func TestZones(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	year := time.Now().Year() + 1
	var p events.Post
	r := w.do(t, http.MethodPost, "/api/threads/post/schedule", fmt.Sprintf(`{"text":"summer","scheduledAt":"%d-07-01T09:30","timeZone":"Europe/Berlin"}`, year))
	r.is(t, http.StatusCreated, &p)
	if want := fmt.Sprintf("%d-07-01T07:30:00Z", year); p.ScheduledAt.Format(time.RFC3339) != want || p.TimeZone != "Europe/Berlin" ||
		p.LocalTime != fmt.Sprintf("%d-07-01T09:30:00+02:00", year) || p.TimeDecision != "" {
		t.Errorf("it is scheduled for %s: %s", p.ScheduledAt, r.body)
	}
	// Changed by its instant alone, it keeps its zone.
	w.do(t, http.MethodPatch, "/api/threads/post/schedule/"+p.ID, fmt.Sprintf(`{"scheduledAt":"%d-12-01T08:00:00Z"}`, year)).is(t, http.StatusOK, &p)
	if p.LocalTime != fmt.Sprintf("%d-12-01T09:00:00+01:00", year) {
		t.Errorf("it is now %s in %s", p.LocalTime, p.TimeZone)
	}
	var twice events.Post
	w.do(t, http.MethodPatch, "/api/threads/post/schedule/"+p.ID, `{"scheduledAt":"2027-10-31T02:30","timeZone":"Europe/Berlin"}`).is(t, http.StatusOK, &twice)
	if twice.TimeDecision != events.FirstOfTwo || twice.LocalTime != "2027-10-31T02:30:00+02:00" {
		t.Errorf("an hour that comes twice became %s, %q", twice.LocalTime, twice.TimeDecision)
	}
	w.do(t, http.MethodPost, "/api/threads/post/schedule", `{"text":"x","scheduledAt":"2027-07-01T09:30"}`).problem(t, 422, "invalid", "/scheduledAt")
	w.do(t, http.MethodPost, "/api/threads/post/schedule", `{"text":"x","scheduledAt":"2027-07-01T09:30","timeZone":"Mars/Base"}`).problem(t, 422, "invalid", "/timeZone")
	w.do(t, http.MethodPatch, "/api/threads/post/schedule/"+p.ID, `{"timeZone":"Europe/Berlin"}`).problem(t, 422, "invalid", "/timeZone")
}

type trial struct {
	Valid    bool              `json:"valid"`
	Errors   []flaw            `json:"errors"`
	Warnings []flaw            `json:"warnings"`
	Parts    []asks.TextCount  `json:"parts"`
	Media    []posts.MediaLook `json:"media"`
	Quota    *asks.Limits      `json:"quota"`
	Token    *asks.Runway      `json:"token"`
}

type flaw struct{ Pointer, Code, Detail string }

func codes(flaws []flaw) (list []string) {
	for _, f := range flaws {
		list = append(list, f.Pointer+" "+f.Code)
	}
	return list
}

func TestValidate(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 640, 480))); err != nil {
		t.Fatal(err)
	}
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/picture.png" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "image/png")
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(picture.Bytes()))
	}))
	t.Cleanup(files.Close)
	at, err := url.Parse(files.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(at.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	w := newEnv(t, func(c *publisher.Config) {
		c.MediaNetworks, c.MediaPorts = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []uint16{uint16(port)}
	})
	try := func(body string) (v trial) {
		t.Helper()
		w.do(t, http.MethodPost, "/api/threads/post/validate", body).is(t, http.StatusOK, &v)
		return v
	}

	good := try(fmt.Sprintf(`{"text":"a 👩‍👩‍👧 with https://example.com","mediaUrl":"%s/picture.png"}`, files.URL))
	if !good.Valid || len(good.Errors) > 0 || len(good.Warnings) > 0 || len(good.Parts) != 1 || good.Parts[0].Links != 1 ||
		good.Parts[0].Count != threads.Count("a 👩‍👩‍👧 with https://example.com") || good.Parts[0].Limit != 500 {
		t.Errorf("of a good post it says %+v", good)
	}
	if len(good.Media) != 1 || !good.Media[0].Usable || good.Media[0].Width != 640 || good.Media[0].Format != "PNG" {
		t.Errorf("of its picture it says %+v", good.Media)
	}
	if good.Quota == nil || good.Quota.Posts.Remaining != 250 || good.Token == nil || good.Token.DaysLeft < 50 {
		t.Errorf("of its account it says %+v, %+v", good.Quota, good.Token)
	}

	for body, want := range map[string][]string{
		`{"text":"` + strings.Repeat("x", 501) + `"}`:                                                       {"/text text_too_long"},
		`{"text":"x","scheduledAt":"2020-01-01T00:00:00Z"}`:                                                 {"/scheduledAt time_in_past"},
		`{"text":"x","mediaUrl":"ftp://example.com/a.png"}`:                                                 {"/mediaUrl media_url_invalid"},
		`{"text":"x","mediaUrl":"http://10.0.0.1/a.png"}`:                                                   {"/mediaUrl address_not_public"},
		`{"text":"x","media":[{"type":"image","url":"http://169.254.169.254/latest"}]}`:                     {"/media/0/url address_not_public"},
		`{"text":"x","linkAttachment":"http://printer.local/"}`:                                             {"/linkAttachment address_not_public"},
		`{"text":"x","accountId":"acct_00000000000000000000000000"}`:                                        {"/accountId not_found"},
		`{"parts":[{"text":"one"},{"text":"` + strings.Repeat("y", 501) + `"}]}`:                            {"/parts/1/text text_too_long"},
		`{"text":"x","replyTo":"post_00000000000000000000000000"}`:                                          {"/replyTo post_unknown"},
		`{"parts":[{"text":"a","media":[{"type":"image","url":"http://192.168.1.1/a.png"}]},{"text":"b"}]}`: {"/parts/0/media/0/url address_not_public"},
	} {
		v := try(body)
		if v.Valid || !slices.Equal(codes(v.Errors), want) {
			t.Errorf("of %.80s it says %v", body, codes(v.Errors))
		}
		// The same is refused, for the same reasons, when it is scheduled.
		var draft map[string]any
		if err := json.Unmarshal([]byte(body), &draft); err != nil {
			t.Fatal(err)
		}
		if draft["scheduledAt"] == nil {
			draft["scheduledAt"] = time.Now().Add(time.Hour).Format(time.RFC3339)
		}
		asked, err := json.Marshal(draft)
		if err != nil {
			t.Fatal(err)
		}
		if r := w.do(t, http.MethodPost, "/api/threads/post/schedule", string(asked)); r.status != 422 && r.status != 404 {
			t.Errorf("scheduled all the same: %d %s", r.status, r.body)
		}
	}

	missing := try(fmt.Sprintf(`{"text":"x","mediaUrl":"%s/none.png"}`, files.URL))
	if !missing.Valid || len(missing.Media) != 1 || missing.Media[0].Usable || !slices.Contains(codes(missing.Warnings), "/mediaUrl media_not_usable") {
		t.Errorf("of a missing picture it says %+v", missing)
	}
	if problems := missing.Media[0].Problems; len(problems) == 0 || problems[0].Pointer != "/mediaUrl" || problems[0].Detail == "" || problems[0].Code == "" {
		t.Errorf("of the problem of a missing picture it says %+v", problems)
	}
	bytes := try(`{"text":"` + strings.Repeat("ж", 300) + `"}`)
	if !bytes.Valid || !slices.Contains(codes(bytes.Warnings), "/text text_bytes") {
		t.Errorf("of a text of 600 bytes it says %+v", bytes)
	}
	later := try(fmt.Sprintf(`{"text":"x","scheduledAt":%q}`, time.Now().Add(80*24*time.Hour).Format(time.RFC3339)))
	if !slices.Contains(codes(later.Warnings), "/scheduledAt token_runway") {
		t.Errorf("of a post beyond the token it says %+v", later)
	}
	if n, err := w.db.NewSelect().Table("posts").Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d posts were stored, %v", n, err)
	}
}

type imported struct {
	Preview                    bool
	Accepted, Refused, Pending int
	Rows                       []struct {
		Row          int
		Status, ID   string
		ScheduledAt  time.Time
		TimeDecision string
		Errors       []flaw
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	send := func(kind, query, body string) reply {
		t.Helper()
		return w.do(t, http.MethodPost, "/api/threads/post/import"+query, body, "Content-Type", kind)
	}
	file := "text,scheduledAt,timeZone,spoilerMedia\n" +
		"\"one, with a comma\",2027-07-01T09:00,Europe/Berlin,\n" +
		"two,2027-07-01T10:00:00Z,,\n" +
		"naive,2027-07-01T10:00,,\n" +
		strings.Repeat("x", 501) + ",2027-07-01T11:00:00Z,,\n" +
		"bool,2027-07-01T11:00:00Z,,perhaps\n"

	var preview imported
	send("text/csv", "?preview=true", file).is(t, http.StatusOK, &preview)
	if !preview.Preview || preview.Accepted != 2 || preview.Refused != 3 {
		t.Fatalf("the preview says %+v", preview)
	}
	if n, err := w.db.NewSelect().Table("posts").Count(t.Context()); err != nil || n != 0 {
		t.Fatalf("a preview stored %d posts, %v", n, err)
	}
	var first, again imported
	send("text/csv; charset=utf-8", "", file).is(t, http.StatusOK, &first)
	if first.Accepted != 2 || first.Refused != 3 || first.Rows[0].Status != "accepted" || first.Rows[0].ScheduledAt.Format(time.RFC3339) != "2027-07-01T07:00:00Z" {
		t.Fatalf("the import says %+v", first)
	}
	for i, want := range map[int]string{2: "/scheduledAt time_without_offset", 3: "/text text_too_long", 4: "/spoilerMedia wrong_type"} {
		if got := codes(first.Rows[i].Errors); first.Rows[i].Status != "refused" || !slices.Equal(got, []string{want}) {
			t.Errorf("row %d: %v, want %s", i+1, got, want)
		}
		if !slices.Equal(codes(first.Rows[i].Errors), codes(preview.Rows[i].Errors)) {
			t.Errorf("row %d: the preview said %v", i+1, codes(preview.Rows[i].Errors))
		}
	}
	send("text/csv", "", file).is(t, http.StatusOK, &again)
	if again.Rows[0].ID != first.Rows[0].ID || again.Accepted != 2 {
		t.Errorf("the same file again made %+v", again)
	}
	if n, err := w.db.NewSelect().Table("posts").Count(t.Context()); err != nil || n != 2 {
		t.Errorf("there are %d posts, %v", n, err)
	}

	lines := `{"text":"a line","scheduledAt":"2027-07-02T10:00:00Z"}` + "\n\n" + `{"text":1,"scheduledAt":"2027-07-02T10:00:00Z"}` + "\n" +
		`{"text":"x","colour":"red","scheduledAt":"2027-07-02T10:00:00Z"}` + "\n" + `not json`
	var fromLines imported
	send("application/x-ndjson", "", lines).is(t, http.StatusOK, &fromLines)
	if fromLines.Accepted != 1 || fromLines.Refused != 3 {
		t.Errorf("the lines made %+v", fromLines)
	}
	for i, want := range []string{"", "/text wrong_type", "/colour unknown_field", " not_json"} {
		if got := strings.Join(codes(fromLines.Rows[i].Errors), ","); got != want {
			t.Errorf("line %d: %q, want %q", i+1, got, want)
		}
	}

	send("text/csv", "", "text,colour\nx,red\n").problem(t, 422, "invalid", "/1")
	send("text/csv", "", "text\n\"torn\n").problem(t, 422, "invalid", "")
	send("text/csv", "", "text\n").problem(t, 422, "invalid", "")
	send("text/csv", "", "text,scheduledAt\n"+strings.Repeat("x,2027-07-01T10:00:00Z\n", 501)).problem(t, 422, "invalid", "")
	send("text/csv", "", "text\n\xff\n").problem(t, 422, "invalid", "")
	if r := send("image/png", "", "x"); r.status != http.StatusUnsupportedMediaType {
		t.Errorf("a picture was answered with %d", r.status)
	}
}

// A post that was made and then refused is there to be looked at, tried again or deleted: the refusal says where.
func TestPostNowThatThreadsRefuses(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	w.inject(threadssim.Fault{Op: "create", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100})
	r := w.do(t, http.MethodPost, "/api/threads/post", `{"text":"refused"}`, "Idempotency-Key", "once")
	p := r.problem(t, http.StatusUnprocessableEntity, "refused")
	if !events.IsPostID(p.PostID) || r.header.Get("Location") != "/api/threads/post/"+p.PostID {
		t.Errorf("it says %s, %q", r.body, r.header.Get("Location"))
	}
	var post events.Post
	w.do(t, http.MethodGet, r.header.Get("Location"), "").is(t, http.StatusOK, &post)
	if post.Status != events.StatusFailed || post.Text != "refused" {
		t.Errorf("there is %+v", post)
	}
	again := w.do(t, http.MethodPost, "/api/threads/post", `{"text":"refused"}`, "Idempotency-Key", "once")
	if q := again.problem(t, http.StatusUnprocessableEntity, "refused"); q.PostID != p.PostID {
		t.Errorf("repeated it says %s", again.body)
	}
	early := w.do(t, http.MethodPost, "/api/threads/post", `{"text":""}`)
	if q := early.problem(t, http.StatusUnprocessableEntity, "invalid", "/text"); q.PostID != "" || early.header.Get("Location") != "" {
		t.Errorf("of a post that was never made it says %s", early.body)
	}
}

// Who has connected no account yet hears so, whatever they ask for.
func TestNoAccount(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	if _, err := w.db.ExecContext(t.Context(), "UPDATE social_connections SET user_id = 'somebody else'"); err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"POST /api/threads/post":          `{"text":"x"}`,
		"POST /api/threads/post/schedule": fmt.Sprintf(`{"text":"x","scheduledAt":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339)),
		"GET /api/threads/limits":         "",
		"GET /api/threads/mentions":       "",
	} {
		method, path, _ := strings.Cut(path, " ")
		w.do(t, method, path, body).problem(t, http.StatusConflict, "no_account", "/accountId")
	}
	w.do(t, http.MethodGet, "/api/threads/limits?accountId=acct_00000000000000000000000000", "").problem(t, http.StatusNotFound, "not_found")
}
