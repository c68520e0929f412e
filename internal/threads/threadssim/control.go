package threadssim

import (
	"encoding/json"
	"net/http"
)

// The handlers under /_sim/ are thin: each is a method of Sim over HTTP. Anyone who reaches the simulator may use them;
// it has nothing worth protecting.

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
