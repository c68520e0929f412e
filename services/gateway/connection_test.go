package gateway_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	first := events.Connection{ID: "acct_1", UserID: ada, Status: events.ConnectionActive, Username: new("ada")}
	second := events.Connection{ID: "acct_2", UserID: ada, Status: events.ConnectionReconnectRequired}
	authWith := func(t *testing.T, list ...events.Connection) *system {
		t.Helper()
		h := setup(t)
		answer(t, h, func(q asks.ListConnections) (asks.ConnectionList, error) {
			if q.UserID != ada {
				return asks.ConnectionList{}, events.Faultf(events.Internal, "who?")
			}
			return asks.ConnectionList{Connections: list}, nil
		})
		return h
	}
	type view struct {
		Connected bool
		ID        string
		Username  string
	}

	t.Run("of nobody", func(t *testing.T) {
		t.Parallel()
		h := authWith(t)
		if r := h.do(t, http.MethodGet, "/api/threads/connection", ""); compact(t, r.body) != `{"connected":false}` || r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
		if r := h.do(t, http.MethodGet, "/api/threads/connections", ""); compact(t, r.body) != `[]` {
			t.Errorf("%s", r.body)
		}
	})

	t.Run("of one account, which need not be named", func(t *testing.T) {
		t.Parallel()
		h := authWith(t, first)
		for _, query := range []string{"", "?accountId=acct_1"} {
			var got view
			h.do(t, http.MethodGet, "/api/threads/connection"+query, "").is(t, http.StatusOK, &got)
			if diff := cmp.Diff(view{Connected: true, ID: "acct_1", Username: "ada"}, got); diff != "" {
				t.Error(diff)
			}
		}
		h.do(t, http.MethodGet, "/api/threads/connection?accountId=acct_9", "").problem(t, http.StatusNotFound, "not_found")
	})

	t.Run("of several, of which one must be named", func(t *testing.T) {
		t.Parallel()
		h := authWith(t, first, second)
		h.do(t, http.MethodGet, "/api/threads/connection", "").problem(t, 422, "invalid", "/accountId")
		var got view
		h.do(t, http.MethodGet, "/api/threads/connection?accountId=acct_2", "").is(t, http.StatusOK, &got)
		if got.Connected || got.ID != "acct_2" {
			t.Errorf("an account to be connected again is shown as %+v", got)
		}
		var list []view
		h.do(t, http.MethodGet, "/api/threads/connections", "").is(t, http.StatusOK, &list)
		if len(list) != 2 || !list[0].Connected || list[1].Connected {
			t.Errorf("%+v", list)
		}
	})

	t.Run("end when the user says so", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		h.handle(t, events.AuthCommands, func(on *bus.Handlers) {
			bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.Disconnect) (any, error) {
				return events.Connection{ID: c.AccountID, UserID: c.UserID, Status: events.ConnectionDisconnected}, nil
			})
		})
		var got view
		h.do(t, http.MethodDelete, "/api/threads/connection?accountId=acct_1", "").is(t, http.StatusOK, &got)
		if got.Connected || got.ID != "acct_1" {
			t.Errorf("%+v", got)
		}
		h.do(t, http.MethodDelete, "/api/threads/connection", "", "Idempotency-Key", `"`).problem(t, 422, "invalid", "/Idempotency-Key")
	})

	t.Run("get a new token on request, with a body or without", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		h.handle(t, events.TokenkeeperCommands, func(on *bus.Handlers) {
			bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.RefreshToken) (any, error) {
				if c.AccountID == "acct_dead" {
					return nil, events.Faultf(events.ReauthRequired, "Connect the account again.")
				}
				return events.Connection{ID: "acct_1" + c.AccountID, UserID: c.UserID, Status: events.ConnectionActive}, nil
			})
		})
		for body, want := range map[string]string{"": "acct_1", "{}": "acct_1", `{"accountId":"x"}`: "acct_1x"} {
			var got view
			h.do(t, http.MethodPost, "/api/threads/refresh", body).is(t, http.StatusOK, &got)
			if !got.Connected || got.ID != want {
				t.Errorf("%q: %+v", body, got)
			}
		}
		h.do(t, http.MethodPost, "/api/threads/refresh", `{"accountId":"acct_dead"}`).problem(t, http.StatusConflict, "reauth_required")
		h.do(t, http.MethodPost, "/api/threads/refresh", `{"account":"x"}`).problem(t, 422, "invalid", "/account")
	})
}

func TestGetProfile(t *testing.T) {
	t.Parallel()
	h := setup(t)
	answer(t, h, func(q asks.GetProfile) (asks.Profile, error) {
		if q.AccountID == "acct_9" {
			return asks.Profile{}, events.Faultf(events.NotFound, "There is no connected account with this id among yours.")
		}
		return asks.Profile{ID: "17841405793187218", Username: "ada", Bio: "first", ProfilePictureURL: "https://x/p.jpg"}, nil
	})
	r := h.do(t, http.MethodGet, "/api/threads/me", "")
	r.is(t, http.StatusOK, nil)
	want := `{"id":"17841405793187218","username":"ada","bio":"first","profilePictureUrl":"https://x/p.jpg","isVerified":false}`
	if compact(t, r.body) != want {
		t.Errorf("%s", r.body)
	}
	h.do(t, http.MethodGet, "/api/threads/me?accountId=acct_9", "").problem(t, http.StatusNotFound, "not_found")
}

func TestGetCommand(t *testing.T) {
	t.Parallel()
	h := setup(t)
	running, done, failed := events.NewCommandID(), events.NewCommandID(), events.NewCommandID()
	answer(t, h, func(q asks.GetCommand) (events.Outcome, error) {
		switch {
		case q.UserID == ada && q.ID == running:
			return events.Outcome{CommandID: running}, nil
		case q.UserID == ada && q.ID == done:
			return events.Outcome{CommandID: done, Done: true, Result: []byte(`{"id":"post_1"}`)}, nil
		case q.UserID == ada && q.ID == failed:
			return events.Outcome{CommandID: failed, Done: true, Fault: events.Faultf(events.Refused, "Threads said no.")}, nil
		}
		return events.Outcome{}, events.Faultf(events.NotFound, "There is no command with this id among yours.")
	})
	type view struct {
		CommandID, Status string
		Result            struct{ ID string }
		Error             struct {
			Code   string
			Status int
		}
	}
	get := func(id string) (got view, r reply) {
		r = h.do(t, http.MethodGet, "/api/threads/commands/"+id, "")
		r.is(t, http.StatusOK, &got)
		return got, r
	}
	if got, r := get(running); got.Status != "pending" || r.header.Get("Retry-After") == "" {
		t.Errorf("%s", r.body)
	}
	if got, r := get(done); got.Status != "succeeded" || got.Result.ID != "post_1" {
		t.Errorf("%s", r.body)
	}
	if got, r := get(failed); got.Status != "failed" || got.Error.Code != "refused" || got.Error.Status != 422 {
		t.Errorf("%s", r.body)
	}
	for _, id := range []string{events.NewCommandID(), "cmd_1", "%00"} {
		h.do(t, http.MethodGet, "/api/threads/commands/"+id, "").problem(t, http.StatusNotFound, "not_found")
	}
}
