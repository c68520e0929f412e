package test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// A person posts, somebody replies, the post is deleted: all of it is streamed live, to a webhook, and once.
func TestLive(t *testing.T) {
	t.Parallel()
	h := newSystem(t, "WEBHOOKS_ALLOW_LOOPBACK=true")
	h.start()
	h.connect()
	h.eventually("the simulator to bring its webhooks", func() error {
		var hooks struct{ Data []json.RawMessage }
		h.call(http.MethodGet, h.url("SIMULATOR_PORT")+"/_sim/webhooks", nil, &hooks)
		if len(hooks.Data) != 1 {
			return fmt.Errorf("there are %d", len(hooks.Data))
		}
		return nil
	})

	arrived := make(chan http.Header, 100)
	bodies := make(chan []byte, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- r.Header.Clone()
		bodies <- body
	}))
	defer receiver.Close()
	var hook asks.Webhook
	if status := h.call(http.MethodPost, h.url("PORT")+"/api/threads/webhooks", map[string]any{"url": receiver.URL, "facts": []string{"published"}}, &hook); status != http.StatusCreated {
		t.Fatalf("making a webhook answered %d", status)
	}

	live := h.listen()
	var post events.Post
	if status := h.call(http.MethodPost, h.url("PORT")+"/api/threads/post", map[string]any{"text": "told live"}, &post); status != http.StatusCreated {
		t.Fatalf("posting answered %d", status)
	}
	live.until("post.published", "account.published_on_threads")

	head, body := <-arrived, <-bodies
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hook.Secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", head.Get("webhook-id"), head.Get("webhook-timestamp"), body)
	if head.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || !strings.Contains(string(body), post.ID) {
		t.Errorf("%v %s", head, body)
	}

	// The gateway dies with everything; what happens meanwhile is streamed to the client that comes back.
	h.kill()
	h.start()
	again := h.listen("Last-Event-ID", live.id)
	h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/people", map[string]any{"username": "ann"}, nil)
	form := url.Values{"text": {"well said"}, "reply_to_id": {*post.PostedTweetID}}
	resp, err := http.PostForm(h.url("SIMULATOR_PORT")+"/_sim/people/ann/posts", form)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if data := again.until("account.reply_received")["account.reply_received"]; !strings.Contains(data, "well said") || !strings.Contains(data, `"username":"ann"`) {
		t.Errorf("%s", data)
	}
	if status := h.call(http.MethodDelete, h.url("PORT")+"/api/threads/post/"+post.ID, nil, nil); status != http.StatusOK {
		t.Errorf("deleting answered %d", status)
	}
	again.until("post.deleted", "account.deleted_on_threads")
}

// listening is a live stream of a system.
type listening struct {
	h   *system
	in  *bufio.Scanner
	id  string
	end *time.Timer
}

func (h *system) listen(headers ...string) *listening {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.url("PORT")+"/api/threads/events", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		h.t.Fatalf("the live stream answered %s", resp.Status)
	}
	l := &listening{h: h, in: bufio.NewScanner(resp.Body), end: time.AfterFunc(h.patience, func() { _ = resp.Body.Close() })}
	l.in.Buffer(nil, 1<<20)
	h.t.Cleanup(func() { l.end.Stop(); _ = resp.Body.Close() })
	return l
}

// until reads until each of the events was received, and returns their data.
func (l *listening) until(names ...string) map[string]string {
	l.h.t.Helper()
	told, name := map[string]string{}, ""
	for l.in.Scan() {
		field, value, _ := strings.Cut(l.in.Text(), ": ")
		switch field {
		case "id":
			l.id = value
		case "event":
			name = value
		case "data":
			told[name] = value
		}
		missing := false
		for _, wanted := range names {
			missing = missing || told[wanted] == ""
		}
		if !missing {
			return told
		}
	}
	l.h.t.Fatalf("waited in vain for %v; told was %v", names, told)
	return nil
}
