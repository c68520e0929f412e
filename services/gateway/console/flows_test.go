package console_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// api calls the API as the demo user, beside the browser.
func (s *system) api(t *testing.T, method, path, body string, out any) {
	t.Helper()
	token, err := s.token("user_demo")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatal(err)
		}
	}
}

type made struct {
	ID          string    `json:"id"`
	Rev         int       `json:"rev"`
	Text        string    `json:"text"`
	Status      string    `json:"status"`
	ScheduledAt time.Time `json:"scheduledAt"`
}

func (s *system) schedule(t *testing.T, text string, in time.Duration) (p made) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"text": text, "scheduledAt": time.Now().Add(in).UTC().Format(time.RFC3339)})
	s.api(t, http.MethodPost, "/api/threads/post/schedule", string(body), &p)
	return p
}

func (s *system) post(t *testing.T, id string) (p made) {
	t.Helper()
	s.api(t, http.MethodGet, "/api/threads/post/"+id, "", &p)
	return p
}

// TestPagesFollowWhatHappens: what happens elsewhere shows without a reload, and takes away nothing that is being typed.
func TestPagesFollowWhatHappens(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.signIn()
	b.connect()
	b.open("/")
	b.see("#today", "Write your first post")
	eval[bool](b, `(window.mark = "the same page", true)`)
	p := s.schedule(t, "Scheduled by a program", 3*time.Hour)
	b.see(".upnext", "Scheduled by a program")
	s.api(t, http.MethodPost, "/api/threads/post", `{"text":"Said at once by a program"}`, nil)
	b.see("#out ~ .rows", "Said at once by a program")
	s.api(t, http.MethodDelete, "/api/threads/post/schedule/"+p.ID, "", nil)
	b.see("#today", "Nothing is scheduled.")
	if eval[string](b, "window.mark") != "the same page" {
		t.Error("the page was loaded anew")
	}
	// Signed out in another tab: the page says so, and leads back.
	b.signOutHere()
	eval[bool](b, `(dispatchEvent(new PageTransitionEvent("pagehide")), true)`)
	b.open("/")
	b.see("h1", "Posts on Threads")
	b.allowed = append(b.allowed, "status of 401")
}

// TestConflict: two people change one post; who is slower sees both, and decides.
func TestConflict(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 412"}
	b.signIn()
	b.connect()
	p := s.schedule(t, "As it was", 5*time.Hour)
	b.open("/posts/" + p.ID + "/edit")
	b.fill("#text", "Mine")
	s.api(t, http.MethodPatch, "/api/threads/post/schedule/"+p.ID, `{"text":"Theirs"}`, nil)
	b.click(".send [value=send]", "[role=alert] h2")
	b.see("[role=alert]", "Theirs")
	if text := eval[string](b, `document.querySelector("#text").value`); text != "Mine" {
		t.Errorf("mine is %q", text)
	}
	if now := s.post(t, p.ID); now.Text != "Theirs" {
		t.Errorf("it is %q", now.Text)
	}
	b.click(".send [value=send]", "#post")
	if now := s.post(t, p.ID); now.Text != "Mine" {
		t.Errorf("it is %q", now.Text)
	}
}
