package threadssim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The handlers under /_sim/ are thin: each is a method of Sim over HTTP. Whoever reaches the simulator may use them, but for
// the pages of strangers that somebody on this machine has open in a browser.

// control is that side.
type control struct{ sim *Sim }

func (h control) token(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Username string    `json:"username"`
		Scopes   *[]string `json:"scopes"`
	}
	if !decode(w, r, &ask) {
		return
	}
	scopes := defaultScopes
	if ask.Scopes != nil {
		scopes = *ask.Scopes
	}
	g, err := h.sim.grant(ask.Username, scopes)
	if err != nil {
		write(w, complaint(err))
		return
	}
	write(w, success(map[string]any{
		"access_token": g.AccessToken.Reveal(),
		"user_id":      g.UserID,
		"username":     g.Username,
		"scopes":       g.Scopes,
		"expires_in":   int64(g.ExpiresIn.Seconds()),
	}))
}

func (h control) revoke(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Username string `json:"username"`
		Subcode  int    `json:"subcode"`
	}
	if !decode(w, r, &ask) {
		return
	}
	if err := h.sim.Revoke(ask.Username, ask.Subcode); err != nil {
		write(w, complaint(err))
		return
	}
	write(w, success(map[string]bool{"success": true}))
}

func (h control) posts(w http.ResponseWriter, r *http.Request) {
	write(w, data(h.sim.posts(origin(r))))
}

func (h control) containers(w http.ResponseWriter, _ *http.Request) {
	write(w, data(h.sim.Containers()))
}
func (h control) calls(w http.ResponseWriter, _ *http.Request)  { write(w, data(h.sim.Calls())) }
func (h control) faults(w http.ResponseWriter, _ *http.Request) { write(w, data(h.sim.Faults())) }

func (h control) inject(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if !decode(w, r, &f) {
		return
	}
	if err := h.sim.Inject(f); err != nil {
		write(w, complaint(err))
		return
	}
	write(w, data(h.sim.Faults()))
}

func (h control) clear(w http.ResponseWriter, _ *http.Request) {
	h.sim.ClearFaults()
	write(w, data(h.sim.Faults()))
}

func (h control) knobs(w http.ResponseWriter, _ *http.Request) { write(w, data(h.sim.Knobs())) }

func (h control) setKnobs(w http.ResponseWriter, r *http.Request) {
	if p, ok := readPatch(w, r); ok {
		done(w, h.sim.patch(p), func() any { return h.sim.Knobs() })
	}
}

func (h control) resetKnobs(w http.ResponseWriter, _ *http.Request) {
	h.sim.ResetKnobs()
	write(w, data(h.sim.Knobs()))
}

func (h control) userKnobs(w http.ResponseWriter, r *http.Request) {
	write(w, data(h.sim.UserKnobs(r.PathValue("username"))))
}

func (h control) setUserKnobs(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("username")
	if p, ok := readPatch(w, r); ok {
		done(w, h.sim.patchUser(name, p), func() any { return h.sim.UserKnobs(name) })
	}
}

func (h control) resetUserKnobs(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("username")
	h.sim.ResetUserKnobs(name)
	write(w, data(h.sim.UserKnobs(name)))
}

func (h control) seed(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Seed uint64 `json:"seed"`
	}
	if decode(w, r, &ask) {
		h.sim.Seed(ask.Seed)
		write(w, data(ask))
	}
}

func (h control) clock(w http.ResponseWriter, _ *http.Request) { write(w, data(h.now())) }

func (h control) now() any {
	c := h.sim.store.clock
	return map[string]any{"now": c.now(), "ahead": time.Duration(c.ahead.Load()).String()}
}

func (h control) setClock(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Advance *Duration  `json:"advance"`
		Set     *time.Time `json:"set"`
		Reset   bool       `json:"reset"`
	}
	if !decode(w, r, &ask) {
		return
	}
	err := errors.New(`say {"advance":"36h"}, {"set":"2026-11-02T09:00:00Z"} or {"reset":true}`)
	switch {
	case ask.Advance != nil:
		err = h.sim.Advance(time.Duration(*ask.Advance))
	case ask.Set != nil:
		err = h.sim.SetClock(*ask.Set)
	case ask.Reset:
		err = h.sim.ResetClock()
	}
	done(w, err, h.now)
}

func (h control) tokens(w http.ResponseWriter, _ *http.Request) { write(w, data(h.sim.Tokens())) }
func (h control) users(w http.ResponseWriter, _ *http.Request)  { write(w, data(h.sim.Users())) }

func (h control) invariants(w http.ResponseWriter, r *http.Request) {
	perMinute := stormPerMinute
	if raw := r.URL.Query().Get("calls_per_minute"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			write(w, complaint(errors.New("calls_per_minute must be a number above 0")))
			return
		}
		perMinute = n
	}
	broken := h.sim.Mistakes(perMinute)
	write(w, success(map[string]any{"ok": len(broken) == 0, "broken": broken}))
}

func (h control) reset(w http.ResponseWriter, _ *http.Request) {
	done(w, h.sim.Reset(), func() any { return map[string]bool{"reset": true} })
}

func readPatch(w http.ResponseWriter, r *http.Request) (Patch, bool) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var p Patch
	if err == nil {
		p, err = jsonPatch(raw)
	}
	if err != nil {
		write(w, complaint(err))
		return nil, false
	}
	return p, true
}

// done answers with what is so now, or says why it is not.
func done(w http.ResponseWriter, err error, now func() any) {
	if err != nil {
		write(w, complaint(err))
		return
	}
	write(w, data(now()))
}

func data(v any) answer { return success(map[string]any{"data": v}) }

func complaint(err error) answer {
	return answer{status: http.StatusBadRequest, body: map[string]string{"error": err.Error()}}
}

// decode reads a JSON body and is strict: a misspelt knob that is ignored would make a test pass for nothing.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		write(w, complaint(err))
		return false
	}
	return true
}
