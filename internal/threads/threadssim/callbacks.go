package threadssim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// callbacks are the app's addresses that a person's doings are told to, when they differ from those of the options.
type callbacks struct {
	Uninstall    *string `json:"uninstall_url,omitempty"`
	DataDeletion *string `json:"data_deletion_url,omitempty"`
}

// The two kinds of callbacks.
const (
	CallbackUninstall    = "uninstall"
	CallbackDataDeletion = "data_deletion"
)

// CallbackAnswer is what an app said to a callback. Status 0 is no answer, or no address to ask.
type CallbackAnswer struct {
	Kind   string    `json:"kind"`
	UserID string    `json:"user_id"`
	URL    string    `json:"url"`
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"`
	Body   string    `json:"body,omitempty"`
	// StatusURL and ConfirmationCode are what the answer to a data deletion must hold.
	StatusURL        string `json:"status_url,omitempty"`
	ConfirmationCode string `json:"confirmation_code,omitempty"`
}

const maxAnswers = 200

// signedRequest is Meta's way to prove that a callback is its own: the signature covers the payload as it is encoded.
func signedRequest(secret string, payload []byte) string {
	encoded := base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(encoded)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) + "." + encoded
}

// callbackSender tells the app what a person did. Its lock guards the answers alone.
type callbackSender struct {
	store                   *store
	app                     app
	hosts                   callbackHosts
	uninstall, dataDeletion string // the addresses of the options

	mu      sync.Mutex
	answers []CallbackAnswer
}

// url is where a kind of callback goes; empty is nowhere. The caller holds the store's lock.
func (s *callbackSender) url(kind string) string {
	given, usual := s.store.callbacks.Uninstall, s.uninstall
	if kind == CallbackDataDeletion {
		given, usual = s.store.callbacks.DataDeletion, s.dataDeletion
	}
	if given != nil {
		return *given
	}
	return usual
}

// Uninstall is a person who removes the app: their tokens die with 190/458, and the app is told.
func (s *Sim) Uninstall(ctx context.Context, username string) (CallbackAnswer, error) {
	return s.callbacks.send(ctx, CallbackUninstall, username)
}

// DataDeletion is a person who removes the app and asks for the deletion of what it knows. The app must answer with the
// address of a page about it and a code.
func (s *Sim) DataDeletion(ctx context.Context, username string) (CallbackAnswer, error) {
	return s.callbacks.send(ctx, CallbackDataDeletion, username)
}

func (s *callbackSender) send(ctx context.Context, kind, username string) (CallbackAnswer, error) {
	told, err := s.remove(kind, account(username))
	if err != nil {
		return CallbackAnswer{}, err
	}
	s.inform(ctx, &told)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, told)
	s.answers = s.answers[max(len(s.answers)-maxAnswers, 0):]
	return told, nil
}

// remove takes the app away from a person, and begins the callback about it.
func (s *callbackSender) remove(kind, username string) (CallbackAnswer, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if err := s.store.revoke(username, appRemoved); err != nil {
		return CallbackAnswer{}, err
	}
	return CallbackAnswer{Kind: kind, UserID: s.store.byName[username].ID, URL: s.url(kind), At: s.store.now()}, nil
}

// inform makes the call and judges the answer.
func (s *callbackSender) inform(ctx context.Context, told *CallbackAnswer) {
	if told.URL == "" {
		told.Error = "the app has no address for this callback"
		return
	}
	payload, err := json.Marshal(map[string]any{
		"user_id": told.UserID, "algorithm": "HMAC-SHA256", "issued_at": told.At.Unix(), "expires": told.At.Add(time.Hour).Unix(),
	})
	if err != nil {
		told.Error = err.Error()
		return
	}
	form := url.Values{"signed_request": {signedRequest(s.app.secret, payload)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, told.URL, strings.NewReader(form.Encode())) //nolint:gosec // vetted when it was set
	if err != nil {
		told.Error = err.Error()
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := say(req)
	if err != nil {
		told.Error = err.Error()
		return
	}
	told.Status, told.Body = status, string(body[:min(len(body), 2000)])
	switch {
	case status != http.StatusOK:
		told.Error = fmt.Sprintf("the app answered HTTP %d, want 200", status)
	case told.Kind == CallbackDataDeletion:
		var answer struct {
			URL  string `json:"url"`
			Code string `json:"confirmation_code"`
		}
		if json.Unmarshal(body, &answer) != nil || answer.URL == "" || answer.Code == "" {
			told.Error = "the app must answer with url and confirmation_code"
		}
		told.StatusURL, told.ConfirmationCode = answer.URL, answer.Code
	}
}

// CallbackAnswers are the latest, oldest first.
func (s *Sim) CallbackAnswers() []CallbackAnswer { return s.callbacks.latest() }

func (s *callbackSender) latest() []CallbackAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}

func (s *callbackSender) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = nil
}

func (s *callbackSender) state() any {
	s.store.mu.Lock()
	urls := map[string]string{
		"uninstall_url": s.url(CallbackUninstall), "data_deletion_url": s.url(CallbackDataDeletion),
	}
	s.store.mu.Unlock()
	answers := s.latest()
	if answers == nil {
		answers = []CallbackAnswer{}
	}
	return map[string]any{"urls": urls, "answers": answers}
}

func (h control) callbacks(w http.ResponseWriter, _ *http.Request) {
	write(w, data(h.sim.callbacks.state()))
}

// setCallbacks sets addresses; an empty one is none.
func (h control) setCallbacks(w http.ResponseWriter, r *http.Request) {
	var ask callbacks
	if !decode(w, r, &ask) {
		return
	}
	if ask.Uninstall == nil && ask.DataDeletion == nil {
		write(w, complaint(errors.New("say uninstall_url, data_deletion_url or both")))
		return
	}
	done(w, h.sim.callbacks.set(ask), h.sim.callbacks.state)
}

// SetCallbacks sets the addresses that are told when a person removes the app or wants their data deleted; empty is none.
func (s *Sim) SetCallbacks(uninstallURL, dataDeletionURL string) error {
	return s.callbacks.set(callbacks{Uninstall: &uninstallURL, DataDeletion: &dataDeletionURL})
}

// set changes the addresses that are given; those of strangers are refused.
func (s *callbackSender) set(ask callbacks) error {
	for _, address := range []*string{ask.Uninstall, ask.DataDeletion} {
		if address == nil || *address == "" {
			continue
		}
		if err := s.hosts.vet(*address); err != nil {
			return err
		}
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	merged := s.store.callbacks
	if ask.Uninstall != nil {
		merged.Uninstall = ask.Uninstall
	}
	if ask.DataDeletion != nil {
		merged.DataDeletion = ask.DataDeletion
	}
	return s.store.commit(entry{Callbacks: &merged})
}

func (h control) callback(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		told, err := h.sim.callbacks.send(r.Context(), kind, r.PathValue("username"))
		done(w, err, func() any { return told })
	}
}
