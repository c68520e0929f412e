package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
)

// A person asks Meta for the deletion of their data. Whatever dies meanwhile, and whatever comes late, nothing is left of
// them: in no table, in no stream.
func TestErasure(t *testing.T) {
	t.Parallel()
	h := newSystem(t, "AUTH_ERASE_EVERY=100ms", "AUTH_ERASE_AGAIN_AFTER=2s", "PUBLISHER_SWEEP_EVERY=500ms", "WEBHOOKS_ALLOW_LOOPBACK=true")
	h.start()
	h.connect()
	api := h.url("PORT") + "/api/threads"
	var c events.Connection
	h.call(http.MethodGet, api+"/connection", nil, &c)
	// A webhook that is down: what it is to be told waits in a table.
	h.call(http.MethodPost, api+"/webhooks", map[string]any{"url": fmt.Sprintf("http://127.0.0.1:%d/", freePort(t))}, nil)
	var live events.Post
	if status := h.call(http.MethodPost, api+"/post", map[string]any{"text": "erased words, live"}, &live); status != http.StatusCreated {
		t.Fatalf("posting answered %d", status)
	}
	h.schedule("erased words, planned", time.Hour)
	js := h.jetStream()
	dead := map[string]bool{} // bodies of dead commands, and whether they must go
	for body, goes := range map[string]bool{
		`{"postId":"post_1","userId":"user_1","draft":{"text":"erased words, dead"}}`:                     true,
		`{"postId":"post_1","userId":"user_1","draft":{"accountId":"` + c.ID + `"}}`:                      true,
		`{"postId":"` + live.ID + `","userId":"user_1","text":"erased words, edited"}`:                    true,
		`{"postId":"post_2","userId":"user_1","draft":{"accountId":"acct_another","text":"other words"}}`: false,
		`{"postId":"post_3","userId":"user_2","draft":{"text":"other words"}}`:                            false,
	} {
		if _, err := js.Publish(t.Context(), events.Dead((events.SchedulePost{}).Subject()), []byte(body)); err != nil {
			t.Fatal(err)
		}
		dead[body] = goes
	}
	words := []string{c.ProviderUserID, *c.Username, "erased words", *live.PostedTweetID}
	for _, word := range words {
		if len(h.whereIs(word)) < 2 {
			t.Fatalf("%q is only in %v, so its erasure would prove little", word, h.whereIs(word))
		}
	}

	var told struct {
		Data struct {
			Status           int
			Error            string
			StatusURL        string `json:"status_url"`
			ConfirmationCode string `json:"confirmation_code"`
		}
	}
	h.eventually("the simulator to know our callbacks", func() error {
		var state struct {
			Data struct{ URLs map[string]string }
		}
		h.call(http.MethodGet, h.url("SIMULATOR_PORT")+"/_sim/callbacks", nil, &state)
		if state.Data.URLs["data_deletion_url"] == "" {
			return fmt.Errorf("it has %v", state.Data.URLs)
		}
		return nil
	})
	h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/users/demo.user/data-deletion", nil, &told)
	if told.Data.Status != http.StatusOK || told.Data.Error != "" || told.Data.ConfirmationCode == "" {
		t.Fatalf("we answered Meta %+v", told.Data)
	}
	if page := h.page(told.Data.StatusURL); !strings.Contains(page, "Under way") || !strings.Contains(page, told.Data.ConfirmationCode) {
		t.Errorf("the page says\n%s", page)
	}
	h.kill() // in the middle of it
	h.start()
	var e asks.Erasure
	h.eventually("the erasure to be done", func() error {
		h.call(http.MethodGet, strings.Replace(told.Data.StatusURL, "localhost", "127.0.0.1", 1), nil, &e)
		if e.Status != asks.ErasureDone {
			return fmt.Errorf("it is %+v", e)
		}
		return nil
	})
	if page := h.page(told.Data.StatusURL); !strings.Contains(page, "Done.") {
		t.Errorf("the page says\n%s", page)
	}
	for _, word := range words {
		if where := h.whereIs(word); len(where) > 0 {
			t.Errorf("%q is still in %v", word, where)
		}
	}
	// The tombstone, under our own name for it, and the one event that tells others to forget.
	where := h.whereIs(c.ID)
	where = slices.DeleteFunc(where, func(s string) bool { return s == "table webhook_deliveries" }) // of that event
	if want := []string{"stream EVENTS threads.evt.account." + c.ID + ".erased", "table erased_accounts"}; !slices.Equal(where, want) {
		t.Errorf("the account is in %v", where)
	}
	for body, goes := range dead {
		if gone := len(h.whereIs(body)) == 0; gone != goes {
			t.Errorf("the dead command %s is gone: %t", body, gone)
		}
	}
	h.call(http.MethodGet, api+"/connection", nil, &c)
	if status := h.call(http.MethodGet, api+"/post/"+live.ID, nil, nil); status != http.StatusNotFound {
		t.Errorf("the post answers %d", status)
	}
	// Whoever comes back begins anew.
	h.connect()
	h.posted(h.schedule("after it all", time.Second))
}

// page is what a person sees at an address.
func (h *system) page(address string) string {
	h.t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		h.t.Fatalf("%s %v: %s", resp.Status, err, body)
	}
	return string(body)
}

// whereIs names every table and every subject of a stream that holds a word.
func (h *system) whereIs(word string) (places []string) {
	h.t.Helper()
	db, err := pg.Open(h.t.Context(), pg.Config{URL: h.setting("DATABASE_URL"), Application: "test", MaxConns: 2}, zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var tables []string
	if err := db.NewRaw("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").Scan(h.t.Context(), &tables); err != nil {
		h.t.Fatal(err)
	}
	quoted, _ := json.Marshal(word)
	for _, table := range tables {
		var n int
		err := db.NewRaw("SELECT count(*) FROM ? AS r WHERE strpos(r::text, ?) > 0 OR strpos(r::text, ?) > 0",
			bun.Ident(table), word, fmt.Sprintf("%x", word)).Scan(h.t.Context(), &n) // bytes are shown in hex
		if err != nil {
			h.t.Fatal(err)
		}
		if n > 0 {
			places = append(places, "table "+table)
		}
	}
	nc, js := h.outside()
	defer nc.Close()
	names := js.StreamNames(h.t.Context())
	for name := range names.Name() {
		s, err := js.Stream(h.t.Context(), name)
		if err != nil {
			h.t.Fatal(err)
		}
		for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
			m, err := s.GetMsg(h.t.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				h.t.Fatal(err)
			}
			all := fmt.Sprintf("%s %v %s", m.Subject, m.Header, m.Data)
			if strings.Contains(all, word) || bytes.Contains(m.Data, quoted[1:len(quoted)-1]) {
				places = append(places, "stream "+name+" "+m.Subject)
			}
		}
	}
	slices.Sort(places)
	return places
}
