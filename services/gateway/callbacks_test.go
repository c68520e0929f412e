package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/accounts"
)

func TestCallbacks(t *testing.T) {
	t.Parallel()
	h := setup(t)
	const form, code = "signed_request=a.b%2Bc&x=%00", "era_01jbkq4t00e7x8v5n2m3k9w0ra"
	asked := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	judge := func(body []byte) error {
		switch string(body) {
		case form:
			return nil
		case "":
			return events.Faultf(events.Invalid, "No form.").At("/signed_request", "signed_request_missing", "No form.")
		}
		return events.Faultf(events.Unauthorized, "Not Meta's.").At("/signed_request", "signature_invalid", "Not Meta's.")
	}
	answer(t, h, func(q asks.ReceiveUninstall) (asks.Uninstalled, error) {
		return asks.Uninstalled{Accounts: 1}, judge(q.Body)
	})
	answer(t, h, func(q asks.ReceiveDataDeletion) (asks.Erasure, error) {
		return asks.Erasure{Code: code, Status: asks.ErasureRunning, RequestedAt: asked}, judge(q.Body)
	})
	answer(t, h, func(q asks.GetErasure) (asks.Erasure, error) {
		if q.Code != code {
			return asks.Erasure{}, events.Faultf(events.NotFound, "There is no erasure with this code.")
		}
		return asks.Erasure{Code: code, Status: asks.ErasureDone, RequestedAt: asked, FinishedAt: &asked}, nil
	})
	meta := []string{"Authorization", "", "Content-Type", "application/x-www-form-urlencoded"}

	t.Run("hand on the form as it came", func(t *testing.T) {
		t.Parallel()
		var gone asks.Uninstalled
		h.do(t, http.MethodPost, "/api/threads/uninstall", form, meta...).is(t, http.StatusOK, &gone)
		if gone.Accounts != 1 {
			t.Errorf("%+v", gone)
		}
		r := h.do(t, http.MethodPost, "/api/threads/data-deletion", form, meta...)
		var begun map[string]string // these two names are Meta's
		r.is(t, http.StatusOK, &begun)
		if len(begun) != 2 || begun["confirmation_code"] != code || begun["url"] != "http://api.example/api/threads/data-deletion/"+code {
			t.Errorf("%s", r.body)
		}
	})

	t.Run("are refused, in words, when they are not Meta's", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/threads/uninstall", "/api/threads/data-deletion"} {
			h.do(t, http.MethodPost, path, "signed_request=forged", meta...).problem(t, http.StatusForbidden, "not_from_meta", "/signed_request")
			h.do(t, http.MethodPost, path, strings.Repeat("x", 70<<10), meta...).problem(t, http.StatusRequestEntityTooLarge, "too_large")
			if r := h.do(t, http.MethodPost, path, "", meta...); r.status != http.StatusBadRequest {
				t.Errorf("nothing at all is answered %d %s", r.status, r.body)
			}
		}
	})

	t.Run("show a page to people and JSON to programs", func(t *testing.T) {
		t.Parallel()
		const path = "/api/threads/data-deletion/"
		r := h.do(t, http.MethodGet, path+code, "", "Authorization", "", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		page := string(r.body)
		if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page, "Done.") ||
			!strings.Contains(page, code) || strings.Contains(page, "<script") {
			t.Errorf("%d %v %s", r.status, r.header, page)
		}
		r = h.do(t, http.MethodGet, path+code, "", "Authorization", "")
		var got asks.Erasure
		if err := json.Unmarshal(r.body, &got); err != nil || got.Status != asks.ErasureDone || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v %v %s", err, r.header, r.body)
		}
		for _, other := range []string{"era_00000000000000000000000000", "x", "%2e%2e%2fx", strings.Repeat("a", 4000)} {
			h.do(t, http.MethodGet, path+other, "", "Authorization", "").problem(t, http.StatusNotFound, "not_found")
		}
	})

	t.Run("answer 503 while auth is away", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		for _, path := range []string{"/api/threads/uninstall", "/api/threads/data-deletion"} {
			h.do(t, http.MethodPost, path, form, meta...).problem(t, http.StatusServiceUnavailable, "unavailable")
		}
		h.do(t, http.MethodGet, "/api/threads/data-deletion/"+code, "").problem(t, http.StatusServiceUnavailable, "unavailable")
	})
}

func TestDisconnectAsAsked(t *testing.T) {
	t.Parallel()
	h := setup(t)
	var got events.Disconnect
	h.handleDisconnect(t, &got)
	for query, want := range map[string]events.Disconnect{
		"":                               {UserID: ada},
		"?posts=cancel":                  {UserID: ada},
		"?posts=keep&accountId=acct_1":   {UserID: ada, AccountID: "acct_1", KeepPosts: true},
		"?erase=true&accountId=acct_1":   {UserID: ada, AccountID: "acct_1", Erase: true},
		"?erase=false&posts=keep":        {UserID: ada, KeepPosts: true},
		"?erase=true&posts=cancel":       {UserID: ada, Erase: true},
		"?accountId=acct_1&posts=cancel": {UserID: ada, AccountID: "acct_1"},
	} {
		got = events.Disconnect{}
		var c accounts.Connection
		h.do(t, http.MethodDelete, "/api/threads/connection"+query, "").is(t, http.StatusOK, &c)
		if got != want {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
	h.do(t, http.MethodDelete, "/api/threads/connection?erase=true&posts=keep", "").problem(t, 422, "invalid", "/posts")
	h.do(t, http.MethodDelete, "/api/threads/connection?posts=burn", "").problem(t, 422, "invalid", "/posts")
	h.do(t, http.MethodDelete, "/api/threads/connection?erase=perhaps", "").problem(t, 422, "invalid", "/erase")
}

// handleDisconnect lets auth disconnect whatever it is asked to, and keeps the last command.
func (h *system) handleDisconnect(t *testing.T, got *events.Disconnect) {
	t.Helper()
	h.handle(t, events.AuthCommands, func(handlers *bus.Handlers) {
		bus.OnCommand(handlers, func(_ context.Context, _ bus.Delivery, cmd events.Disconnect) (any, error) {
			*got = cmd
			return events.Connection{ID: "acct_1", UserID: cmd.UserID, Status: events.ConnectionDisconnected}, nil
		})
	})
}
