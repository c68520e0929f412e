package walkthrough

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/omni-write/threads/events"
)

// steps are what happens, one after the other. They share the posts they made.
type steps struct {
	api     *api
	printer *printer
	watch   *watch

	account                     string // that is connected; there may be others
	now, text, image, cancelled events.Post
}

func (s *steps) connect(ctx context.Context) error {
	s.printer.line("→ connect", "GET /api/auth/threads, then Threads' own page, then Allow")
	var begun struct {
		AuthorizationURL string `json:"authorizationUrl"`
	}
	if _, err := s.api.do(ctx, http.MethodGet, "/api/auth/threads", nil, &begun); err != nil {
		return err
	}
	end, err := Browse(ctx, begun.AuthorizationURL)
	if err != nil {
		return err
	}
	back, err := url.Parse(end)
	if err != nil {
		return err
	}
	if q := back.Query(); q.Has("error") || q.Has("reason") {
		return fmt.Errorf("sent back to the failure page: %s", end)
	}
	s.printer.line("→ finish", "POST /api/threads/connect/finish, as whoever began")
	var connection struct {
		ID        string `json:"id"`
		Connected bool   `json:"connected"`
	}
	code := map[string]string{"code": back.Query().Get("connectCode")}
	if _, err := s.api.do(ctx, http.MethodPost, "/api/threads/connect/finish", code, &connection); err != nil {
		return err
	}
	s.account = connection.ID
	if _, err := s.api.do(ctx, http.MethodGet, "/api/threads/connection?accountId="+s.account, nil, &connection); err != nil {
		return err
	}
	if !connection.Connected {
		return errors.New("the connection does not show")
	}
	return nil
}

func (s *steps) postNow(ctx context.Context) error {
	s.printer.line("→ post now", "POST /api/threads/post")
	status, err := s.api.do(ctx, http.MethodPost, "/api/threads/post", map[string]any{"accountId": s.account, "text": "Good morning, Threads."}, &s.now)
	if err != nil {
		return err
	}
	if status != http.StatusCreated || s.now.Status != events.StatusPosted {
		return fmt.Errorf("answered %d with status %s", status, s.now.Status)
	}
	_, err = s.watch.await(ctx, s.now.ID, events.FactPublished)
	return err
}

func (s *steps) schedule(ctx context.Context, in time.Duration, text, mediaURL string, into *events.Post) error {
	at := time.Now().Add(in)
	s.printer.line("→ schedule", "POST /api/threads/post/schedule for %s", at.Format("15:04:05.000"))
	body := map[string]any{"accountId": s.account, "text": text, "scheduledAt": at.UTC().Format(time.RFC3339Nano)}
	if mediaURL != "" {
		body["mediaUrl"] = mediaURL
	}
	_, err := s.api.do(ctx, http.MethodPost, "/api/threads/post/schedule", body, into)
	return err
}

func (s *steps) scheduleText(ctx context.Context) error {
	return s.schedule(ctx, textIn, "This one was scheduled, to the millisecond.", "", &s.text)
}

func (s *steps) scheduleImage(ctx context.Context) error {
	return s.schedule(ctx, imageIn, "And this one has a picture.", "https://example.com/sunrise.jpg", &s.image)
}

func (s *steps) cancelOne(ctx context.Context) error {
	if err := s.schedule(ctx, time.Hour, "Nobody will read this.", "", &s.cancelled); err != nil {
		return err
	}
	s.printer.line("→ cancel", "DELETE /api/threads/post/schedule/%s", s.cancelled.ID)
	if _, err := s.api.do(ctx, http.MethodDelete, "/api/threads/post/schedule/"+s.cancelled.ID, nil, &s.cancelled); err != nil {
		return err
	}
	if s.cancelled.Status != events.StatusCancelled {
		return fmt.Errorf("it is %s", s.cancelled.Status)
	}
	_, err := s.watch.await(ctx, s.cancelled.ID, events.FactCancelled)
	return err
}

func (s *steps) deleteOne(ctx context.Context) error {
	id := deref(s.now.PostedTweetID)
	s.printer.line("→ delete", "DELETE /api/threads/post/%s", id)
	if _, err := s.api.do(ctx, http.MethodDelete, "/api/threads/post/"+id, nil, &s.now); err != nil {
		return err
	}
	if s.now.Status != events.StatusDeleted {
		return fmt.Errorf("it is %s", s.now.Status)
	}
	_, err := s.watch.await(ctx, s.now.ID, events.FactDeleted)
	return err
}

func (s *steps) seePublished(ctx context.Context, p events.Post) error {
	emitted, err := s.watch.await(ctx, p.ID, events.FactPublished)
	if err != nil {
		return err
	}
	switch late := deref(emitted.LatenessMs); {
	case late < 0:
		return fmt.Errorf("it went out %.1f ms early", -late)
	case deref(emitted.Permalink) == "":
		return errors.New("it has no permalink")
	}
	return nil
}

// compare holds what was emitted against what the simulator committed: each post once, none early.
func (s *steps) compare(ctx context.Context, simulatorURL string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, simulatorURL+"/_sim/posts", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var arrived struct {
		Data []struct {
			Text      string `json:"text"`
			ArrivedNs int64  `json:"arrived_ns"`
			MediaID   string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &arrived); err != nil {
		return err
	}
	for _, p := range []events.Post{s.now, s.text, s.image} {
		emitted, err := s.watch.await(ctx, p.ID, events.FactPublished)
		if err != nil {
			return err
		}
		n := 0
		for _, a := range arrived.Data {
			if a.MediaID != deref(emitted.PostedTweetID) {
				continue
			}
			n++
			if early := emitted.ScheduledAt.Sub(time.Unix(0, a.ArrivedNs)); early > 0 {
				return fmt.Errorf("%q arrived %s early", p.Text, early)
			}
		}
		if n != 1 {
			return fmt.Errorf("%q arrived %d times", p.Text, n)
		}
	}
	s.printer.line("✓ compared", "Threads has each post once, none before its time")
	return nil
}
