package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	atNine  = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	mediaID = "18060000000000017"
	link    = "https://www.threads.com/@demo.user/post/DAbCdEf0001"
	photo   = "https://cdn.example/p.jpg"
	late    = 1.25
)

func aPost(state State, status Status) Post {
	return Post{
		ID: "post_01jbkq4t00e7x8v5n2m3k9w0ra", UserID: "user_1", Provider: Provider, Text: "hello", ScheduledAt: atNine,
		Status: status, CreatedAt: atNine.Add(-time.Hour), UpdatedAt: atNine, MediaURL: &photo,
		AccountID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", Kind: KindPost, Media: []Media{{Type: Image, URL: photo, AltText: "a cat"}},
		State: state, Rev: 3, PublishWithin: 86400,
	}
}

func aConnection() Connection {
	name, expires := "demo.user", atNine.Add(60*24*time.Hour)
	return Connection{
		ID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", Provider: Provider, ProviderUserID: "17841405793187219", Username: &name, UserID: "user_1",
		AccessTokenExpiresAt: &expires, CreatedAt: atNine, UpdatedAt: atNine, Status: ConnectionActive,
		Scopes: []string{"threads_basic", "threads_content_publish"}, GrantedAt: atNine, Rev: 1,
	}
}

var (
	aHeard    = Heard{UserID: "user_1", AccountID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", MediaID: "18060000000000021", At: atNine}
	someWords = Words{Username: "ann", Text: "well said", MediaType: "TEXT_POST", Permalink: link, RepliedTo: mediaID, RootID: mediaID}
)

// examples is one message of each type.
func examples() []Message {
	published := aPost(StatePublished, StatusPosted)
	called, accepted := atNine.Add(1250*time.Microsecond), atNine.Add(80*time.Millisecond)
	published.PostedTweetID, published.Permalink, published.CalledAt, published.AcceptedAt, published.LatenessMs = &mediaID, &link, &called, &accepted, &late
	failed := aPost(StateFailed, StatusFailed)
	failed.Reason = Faultf(Refused, "Threads could not process the media.")
	failed.ErrorMessage = &failed.Reason.Message
	waiting := aPost(StateWaiting, StatusQueued)
	waiting.Reason = Faultf(RateLimited, "This account has used its posts of the day.").After(90 * time.Second)
	imported := published
	imported.Kind, imported.CalledAt, imported.LatenessMs, imported.PublishWithin = KindImported, nil, nil, 0
	deleted := published
	deleted.DeleteRequestedAt, deleted.DeletedAt, deleted.Status = &called, &accepted, StatusDeleted

	chain := aPost(StateScheduled, StatusQueued)
	chain.Options = Options{ReplyControl: "everyone", TopicTag: "cats", Poll: []string{"yes", "no"}, Spoilers: []TextRange{{Offset: 0, Length: 2}}}
	chain.Parts = []Part{{Text: "one", MediaID: mediaID, Permalink: link, CalledAt: &called, AcceptedAt: &accepted}, {Text: "two", Media: []Media{{Type: Video, URL: photo}}}}
	chain.ReplyTo, chain.QuotePostID = mediaID, "18060000000000019"
	parts := Draft{Parts: []DraftPart{{Text: "one"}, {Text: "two"}}, ReplyTo: mediaID}

	draft := Draft{AccountID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", Text: "hello", Media: []Media{{Type: Image, URL: photo}}, PublishWithin: 3600}
	text := "hello again"
	later := atNine.Add(time.Hour)
	return []Message{
		SchedulePost{PostID: published.ID, UserID: "user_1", Draft: draft, PublishAt: atNine},
		PublishPost{PostID: published.ID, UserID: "user_1", Draft: parts, PublishAt: atNine},
		EditPost{PostID: published.ID, UserID: "user_1", IfRev: 2, Text: &text, PublishAt: &later, Change: map[string]json.RawMessage{"topicTag": json.RawMessage(`"cats"`)}},
		CancelPost{PostID: published.ID, UserID: "user_1"},
		DeletePost{ID: mediaID, UserID: "user_1"},
		RetryPost{PostID: published.ID, UserID: "user_1", PublishAt: atNine},
		ResolvePost{PostID: published.ID, UserID: "user_1", Published: true, MediaID: mediaID},
		ImportHistory{UserID: "user_1", AccountID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", Since: atNine, Replies: true},
		HideReply{UserID: "user_1", ID: mediaID, Hide: true},
		ApproveReply{UserID: "user_1", ID: mediaID, Approve: true},
		Disconnect{UserID: "user_1", AccountID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", KeepPosts: true},
		RefreshToken{UserID: "user_1"},
		NewPostEvent(FactScheduled, aPost(StateScheduled, StatusQueued)),
		NewPostEvent(FactEdited, aPost(StateScheduled, StatusQueued)),
		NewPostEvent(FactPrepared, aPost(StateReady, StatusQueued)),
		NewPostEvent(FactPostponed, waiting),
		NewPostEvent(FactUnconfirmed, aPost(StateUnconfirmed, StatusQueued)),
		NewPostEvent(FactParked, aPost(StateParked, StatusQueued)),
		NewPostEvent(FactPartPublished, chain),
		NewPostEvent(FactRetried, aPost(StateScheduled, StatusQueued)),
		NewPostEvent(FactPublished, published),
		NewPostEvent(FactFailed, failed),
		NewPostEvent(FactCancelled, aPost(StateCancelled, StatusCancelled)),
		NewPostEvent(FactDeleteRequested, published),
		NewPostEvent(FactDeleteFailed, published),
		NewPostEvent(FactDeleted, deleted),
		NewPostEvent(FactImported, imported),
		NewPostEvent(FactUpdated, published),
		NewAccountConnected(aConnection()),
		NewAccountDisconnected(aConnection()),
		NewAccountReconnectRequired(aConnection(), *Faultf(ReauthRequired, "Reconnect the account."), endangerment()),
		NewAccountReconnectSoon(endingConnection(), endangerment()),
		NewTokenRefreshed(aConnection()),
		NewAccountPaused(pausedConnection()),
		NewAccountResumed(aConnection()),
		AccountErased{UserID: "user_1", AccountID: "acct_01jbkq4t00e7x8v5n2m3k9w0rb", At: atNine},
		ReplyReceived{aHeard, someWords},
		Mentioned{aHeard, someWords},
		PublishedOnThreads{Heard: aHeard, MediaType: "TEXT_POST", Permalink: link},
		DeletedOnThreads{aHeard},
	}
}

func TestWire(t *testing.T) {
	seen := map[string]bool{}
	for _, msg := range examples() {
		seen[msg.Type()] = true
		t.Run(msg.Type(), func(t *testing.T) {
			file := filepath.Join("testdata", msg.Type()+".json")
			got, err := json.MarshalIndent(msg, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the wire changed (is that meant? then -update):\n%s", cmp.Diff(string(want), string(got)))
			}
			back, err := Decode(msg.Type(), want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(msg, back, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("decoding the file gives another message:\n%s", diff)
			}
			extra := bytes.Replace(want, []byte("{"), []byte(`{"aFieldOfTomorrow": {"x": [1]},`), 1)
			if tolerant, err := Decode(msg.Type(), extra); err != nil || !reflect.DeepEqual(tolerant, back) {
				t.Errorf("an unknown field is not ignored: %v", err)
			}
		})
	}
	for _, msg := range All() {
		if !seen[msg.Type()] {
			t.Errorf("%s has no golden file", msg.Type())
		}
	}
	files, _ := filepath.Glob("testdata/*.json")
	if len(files) != len(All()) {
		t.Errorf("%d golden files for %d messages", len(files), len(All()))
	}
}

func endangerment() Endangerment {
	return Endangerment{Posts: []EndangeredPost{{ID: aPost(StateScheduled, StatusQueued).ID, PublishAt: atNine}}, Count: 1}
}

func pausedConnection() Connection {
	c := aConnection()
	c.PausedAt, c.PauseReason = &atNine, "Threads asked us to look at it"
	return c
}

func endingConnection() Connection {
	c := aConnection()
	at := c.GrantedAt.Add(90 * 24 * time.Hour)
	c.ReconnectBy = &at
	return c
}

func TestDecodeRefuses(t *testing.T) {
	if _, err := Decode("post.published.v9", []byte("{}")); !errors.Is(err, ErrUnknownType) {
		t.Errorf("an unknown type gives %v", err)
	}
	if _, err := Decode("post.published.v1", []byte("{")); err == nil || errors.Is(err, ErrUnknownType) {
		t.Errorf("a torn body gives %v", err)
	}
}

func TestSubjects(t *testing.T) {
	for _, c := range []struct {
		msg  Message
		want string
	}{
		{SchedulePost{}, "threads.cmd.post.schedule"},
		{CancelPost{}, "threads.cmd.post.cancel"},
		{Disconnect{}, "threads.cmd.connection.disconnect"},
		{RefreshToken{}, "threads.cmd.token.refresh"},
	} {
		if got := c.msg.Subject(); got != c.want {
			t.Errorf("%s is published on %s, want %s", c.msg.Type(), got, c.want)
		}
	}
	p := aPost(StatePublished, StatusPosted)
	if got, want := NewPostEvent(FactPublished, p).Subject(), "threads.evt.post."+p.AccountID+"."+p.ID+".published"; got != want {
		t.Errorf("subject %s, want %s", got, want)
	}
}

func TestEventID(t *testing.T) {
	p := aPost(StatePublished, StatusPosted)
	first := NewPostEvent(FactPublished, p).EventID()
	p.Text, p.UpdatedAt = "other", p.UpdatedAt.Add(time.Hour)
	if again := NewPostEvent(FactPublished, p).EventID(); again != first {
		t.Error("the same post, rev and fact make two ids")
	}
	p.Rev++
	if NewPostEvent(FactPublished, p).EventID() == first {
		t.Error("another rev makes the same id")
	}
	p.Rev--
	if NewPostEvent(FactFailed, p).EventID() == first {
		t.Error("another fact makes the same id")
	}
}

func TestIDs(t *testing.T) {
	id := NewPostID()
	if !IsPostID(id) || IsPostID(mediaID) || IsPostID("post_x") || !IsCommandID(NewCommandID()) {
		t.Errorf("ids are not told apart: %s", id)
	}
	last := ""
	for range 1000 {
		if id = NewPostID(); id <= last {
			t.Fatalf("%s does not sort after %s", id, last)
		}
		last = id
	}
	if PostIDFor("uk", "") == PostIDFor("u", "k") || PostIDFor("u", "k") != "post_"+hashed("post", "u", "k") {
		t.Error("a keyed id does not follow user and key")
	}
	if CommandIDFor("u", "k", "a") == CommandIDFor("u", "k", "b") {
		t.Error("another body gives the same command")
	}
	// The public test vector of the TypeID format.
	if got := encode([16]byte{0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, 0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57}); got != "01h455vb4pex5vsknk084sn02q" {
		t.Errorf("encoded %s", got)
	}
}

func TestFault(t *testing.T) {
	f := Faultf(Invalid, "No.").At("/text", "text_missing", "Say something.").After(1500 * time.Millisecond)
	if f.RetryAfter != 2 {
		t.Errorf("retry after %d", f.RetryAfter)
	}
	if !errors.Is(f, &Fault{Code: Invalid}) || errors.Is(f, &Fault{Code: NotFound}) {
		t.Error("errors.Is does not go by the code")
	}
}

// What the services only ask one another is in internal/asks, and not in what others import.
func TestNoQuestions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && bytes.Contains(readFile(t, file), []byte("threads.ask.")) {
			t.Errorf("%s has a question; its place is internal/asks", file)
		}
	}
}

// Nobody spells a subject, a stream or a durable outside this package, but for the subjects of questions in internal/asks.
func TestSubjectsLiveHere(t *testing.T) {
	for _, dir := range []string{"../cmd", "../services", "../internal"} {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, word := range []string{`"threads.cmd.`, `"threads.evt.`, `"threads.alarm.`, `"threads.due.`, `"threads.dead.`, `"POST_ALARMS"`, `"COMMANDS"`} {
				if bytes.Contains(src, []byte(word)) {
					t.Errorf("%s spells %s…; take it from events", path, word)
				}
			}
			if filepath.Dir(path) != "../internal/asks" && bytes.Contains(src, []byte(`"threads.ask.`)) {
				t.Errorf("%s spells the subject of a question; take it from internal/asks", path)
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}
