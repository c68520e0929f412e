package threadssim

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/dial"
)

// The handlers under /_sim/ are thin: each is a method of Sim over HTTP. Whoever reaches the simulator may use them, but for
// the pages of strangers that somebody on this machine has open in a browser.

// home lets to the simulator's own side only who calls it by a name of this machine (a stranger's name can be made to lead
// here), and no page of another origin. Pictures are for pages of any origin.
func (s *Sim) home(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/_sim") || strings.HasPrefix(r.URL.Path, "/_sim/pictures/") {
			next.ServeHTTP(w, r)
			return
		}
		if !s.ownName(r.Host) {
			refuseStranger(w, "The simulator's own side is called by an address or as localhost; name other hosts with --hosts.")
			return
		}
		if from := r.Header.Get("Origin"); from != "" && from != "http://"+r.Host && from != "https://"+r.Host {
			refuseStranger(w, "The simulator's own side answers no page of another origin.")
			return
		}
		if where := r.Header.Get("Sec-Fetch-Site"); r.Method != http.MethodGet && r.Method != http.MethodHead && (where == "cross-site" || where == "same-site") {
			refuseStranger(w, "The simulator's own side answers no page of another origin.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Sim) ownName(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = dial.Host(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.ContainsFunc(s.opts.Hosts, func(own string) bool { return strings.EqualFold(own, name) })
}

func refuseStranger(w http.ResponseWriter, why string) { http.Error(w, why, http.StatusForbidden) }

func (s *Sim) controlToken(w http.ResponseWriter, r *http.Request) {
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
	g, err := s.grant(ask.Username, scopes)
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

func (s *Sim) controlRevoke(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Username string `json:"username"`
		Subcode  int    `json:"subcode"`
	}
	if !decode(w, r, &ask) {
		return
	}
	if err := s.Revoke(ask.Username, ask.Subcode); err != nil {
		write(w, complaint(err))
		return
	}
	write(w, success(map[string]bool{"success": true}))
}

func (s *Sim) controlPosts(w http.ResponseWriter, r *http.Request) {
	write(w, data(s.posts(origin(r))))
}

func (s *Sim) controlContainers(w http.ResponseWriter, _ *http.Request) {
	write(w, data(s.Containers()))
}
func (s *Sim) controlCalls(w http.ResponseWriter, _ *http.Request)  { write(w, data(s.Calls())) }
func (s *Sim) controlFaults(w http.ResponseWriter, _ *http.Request) { write(w, data(s.Faults())) }

func (s *Sim) controlInject(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if !decode(w, r, &f) {
		return
	}
	if err := s.Inject(f); err != nil {
		write(w, complaint(err))
		return
	}
	write(w, data(s.Faults()))
}

func (s *Sim) controlClear(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	write(w, data(s.Faults()))
}

func (s *Sim) controlKnobs(w http.ResponseWriter, _ *http.Request) { write(w, data(s.Knobs())) }

func (s *Sim) controlSetKnobs(w http.ResponseWriter, r *http.Request) {
	if p, ok := readPatch(w, r); ok {
		done(w, s.patch(p), func() any { return s.Knobs() })
	}
}

func (s *Sim) controlResetKnobs(w http.ResponseWriter, _ *http.Request) {
	s.ResetKnobs()
	write(w, data(s.Knobs()))
}

func (s *Sim) controlUserKnobs(w http.ResponseWriter, r *http.Request) {
	write(w, data(s.UserKnobs(r.PathValue("username"))))
}

func (s *Sim) controlSetUserKnobs(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("username")
	if p, ok := readPatch(w, r); ok {
		done(w, s.patchUser(name, p), func() any { return s.UserKnobs(name) })
	}
}

func (s *Sim) controlResetUserKnobs(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("username")
	s.ResetUserKnobs(name)
	write(w, data(s.UserKnobs(name)))
}

func (s *Sim) controlSeed(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Seed uint64 `json:"seed"`
	}
	if decode(w, r, &ask) {
		s.Seed(ask.Seed)
		write(w, data(ask))
	}
}

func (s *Sim) controlClock(w http.ResponseWriter, _ *http.Request) { write(w, data(s.clock())) }

func (s *Sim) clock() any {
	return map[string]any{"now": s.now(), "ahead": time.Duration(s.ahead.Load()).String()}
}

func (s *Sim) controlSetClock(w http.ResponseWriter, r *http.Request) {
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
		err = s.Advance(time.Duration(*ask.Advance))
	case ask.Set != nil:
		err = s.SetClock(*ask.Set)
	case ask.Reset:
		err = s.ResetClock()
	}
	done(w, err, s.clock)
}

func (s *Sim) controlTokens(w http.ResponseWriter, _ *http.Request) { write(w, data(s.Tokens())) }
func (s *Sim) controlUsers(w http.ResponseWriter, _ *http.Request)  { write(w, data(s.Users())) }

func (s *Sim) controlInvariants(w http.ResponseWriter, r *http.Request) {
	perMinute := stormPerMinute
	if raw := r.URL.Query().Get("calls_per_minute"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			write(w, complaint(errors.New("calls_per_minute must be a number above 0")))
			return
		}
		perMinute = n
	}
	broken := s.Mistakes(perMinute)
	write(w, success(map[string]any{"ok": len(broken) == 0, "broken": broken}))
}

func (s *Sim) controlReset(w http.ResponseWriter, _ *http.Request) {
	done(w, s.Reset(), func() any { return map[string]bool{"reset": true} })
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
