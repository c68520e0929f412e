package threadssim

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
)

// The two types of Graph errors.
const (
	oauthException = "OAuthException"
	thAPIException = "THApiException"
)

// answer is what a call gets: a JSON body, an edge's HTML or silence, or a cut connection.
type answer struct {
	status int
	body   any
	html   string
	cut    bool
	header map[string]string
}

func (a answer) ok() bool { return a.status == http.StatusOK }

func success(body any) answer { return answer{status: http.StatusOK, body: body} }

type graphError struct {
	Message     string `json:"message"`
	Type        string `json:"type"`
	Code        int    `json:"code"`
	Subcode     int    `json:"error_subcode,omitempty"`
	IsTransient *bool  `json:"is_transient,omitempty"`
	UserTitle   string `json:"error_user_title,omitempty"`
	UserMessage string `json:"error_user_msg,omitempty"`
	TraceID     string `json:"fbtrace_id"`
}

// refuse answers in the Graph shape.
func refuse(status int, kind string, code, subcode int, message string) answer {
	return answer{status: status, body: map[string]any{"error": graphError{
		Message: message, Type: kind, Code: code, Subcode: subcode, TraceID: "A" + rand.Text()[:22],
	}}}
}

// flagged adds what some errors carry: a title for people and Meta's is_transient, which is not to be trusted.
func flagged(a answer, transient bool, title, message string) answer {
	e := a.body.(map[string]any)["error"].(graphError)
	e.IsTransient, e.UserTitle, e.UserMessage = &transient, title, message
	a.body = map[string]any{"error": e}
	return a
}

// mediaNotFound is the notorious 24/4279009, which says "permanent" and passes.
func mediaNotFound(id string) answer {
	return flagged(refuse(http.StatusBadRequest, oauthException, 24, 4279009, "The requested resource does not exist"),
		false, "Media Not Found", "The media with id "+id+" cannot be found.")
}

// noSuchObject is 100/33, for an id in the path that is unknown or not the caller's.
func noSuchObject(id string) answer {
	return refuse(http.StatusBadRequest, thAPIException, 100, 33, "Unsupported get request. Object with ID '"+id+
		"' does not exist, cannot be loaded due to missing permissions, or does not support this operation")
}

// noPermission comes with HTTP 500, as it was seen to.
func noPermission() answer {
	return refuse(http.StatusInternalServerError, thAPIException, 10, 0, "Application does not have permission for this action")
}

// badParam is a failed validation, with HTTP 500 as in most logs.
func badParam(message string) answer {
	return refuse(http.StatusInternalServerError, thAPIException, 100, 0, "Param "+message)
}

// unwell is code 2: here, a journal that could not be written.
func unwell() answer {
	return flagged(refuse(http.StatusInternalServerError, oauthException, 2, 0,
		"An unexpected error has occurred. Please retry your request later."), true, "", "")
}

// actionBlocked is Threads' suspicion of spam, as Instagram documents it and logs of Threads show it.
func actionBlocked() answer {
	return flagged(refuse(http.StatusForbidden, oauthException, 4, 2207051, "Application request limit reached"), false,
		"Action is blocked", "We restrict certain activity to protect our community.")
}

// exchangeRefused is the code exchange's own shape.
func exchangeRefused(message string) answer {
	return answer{status: http.StatusBadRequest, body: map[string]any{
		"error_type": oauthException, "code": http.StatusBadRequest, "error_message": message,
	}}
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Cache-Control", "no-store")
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.body == nil && a.html == "" {
		w.WriteHeader(a.status) // an edge that says nothing
		return
	}
	if a.html != "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.html))
		return
	}
	body, err := json.Marshal(a.body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}
