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

// callbackURL is where a kind of callback goes; empty is nowhere. The caller holds the lock.
func (s *Sim) callbackURL(kind string) string {
	given, usual := s.callbacks.Uninstall, s.opts.UninstallURL
	if kind == CallbackDataDeletion {
		given, usual = s.callbacks.DataDeletion, s.opts.DataDeletionURL
	}
	if given != nil {
		return *given
	}
	return usual
}

// Uninstall is a person who removes the app: their tokens die with 190/458, and the app is told.
func (s *Sim) Uninstall(ctx context.Context, username string) (CallbackAnswer, error) {
	return s.callback(ctx, CallbackUninstall, username)
}

// DataDeletion is a person who removes the app and asks for the deletion of what it knows. The app must answer with the
// address of a page about it and a code.
func (s *Sim) DataDeletion(ctx context.Context, username string) (CallbackAnswer, error) {
	return s.callback(ctx, CallbackDataDeletion, username)
}

func (s *Sim) callback(ctx context.Context, kind, username string) (CallbackAnswer, error) {
	username = account(username)
	if err := s.Revoke(username, appRemoved); err != nil {
		return CallbackAnswer{}, err
	}
	s.mu.Lock()
	told := CallbackAnswer{Kind: kind, UserID: s.byName[username].ID, URL: s.callbackURL(kind), At: s.now()}
	s.mu.Unlock()
	s.inform(ctx, &told)
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	s.sender.answers = append(s.sender.answers, told)
	s.sender.answers = s.sender.answers[max(len(s.sender.answers)-maxAnswers, 0):]
	return told, nil
}

// inform makes the call and judges the answer.
func (s *Sim) inform(ctx context.Context, told *CallbackAnswer) {
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
	form := url.Values{"signed_request": {signedRequest(s.opts.AppSecret, payload)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, told.URL, strings.NewReader(form.Encode()))
	if err != nil {
		told.Error = err.Error()
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := say(s.sender.caller(), req)
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
func (s *Sim) CallbackAnswers() []CallbackAnswer {
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	return slices.Clone(s.sender.answers)
}

func (s *Sim) callbackState() any {
	s.mu.Lock()
	urls := map[string]string{
		"uninstall_url": s.callbackURL(CallbackUninstall), "data_deletion_url": s.callbackURL(CallbackDataDeletion),
	}
	s.mu.Unlock()
	answers := s.CallbackAnswers()
	if answers == nil {
		answers = []CallbackAnswer{}
	}
	return map[string]any{"urls": urls, "answers": answers}
}

func (s *Sim) controlCallbacks(w http.ResponseWriter, _ *http.Request) {
	write(w, data(s.callbackState()))
}

// controlSetCallbacks sets addresses; an empty one is none.
func (s *Sim) controlSetCallbacks(w http.ResponseWriter, r *http.Request) {
	var ask callbacks
	if !decode(w, r, &ask) {
		return
	}
	if ask.Uninstall == nil && ask.DataDeletion == nil {
		write(w, complaint(errors.New("say uninstall_url, data_deletion_url or both")))
		return
	}
	for _, address := range []*string{ask.Uninstall, ask.DataDeletion} {
		if address == nil || *address == "" {
			continue
		}
		if err := s.allowed(*address); err != nil {
			write(w, complaint(err))
			return
		}
	}
	s.mu.Lock()
	merged := s.callbacks
	if ask.Uninstall != nil {
		merged.Uninstall = ask.Uninstall
	}
	if ask.DataDeletion != nil {
		merged.DataDeletion = ask.DataDeletion
	}
	err := s.commit(entry{Callbacks: &merged})
	s.mu.Unlock()
	done(w, err, s.callbackState)
}

func (s *Sim) controlCallback(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		told, err := s.callback(r.Context(), kind, r.PathValue("username"))
		done(w, err, func() any { return told })
	}
}
