package threads_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

// Every call, against servers that do their worst to get a secret into an error.
func TestNoSecretInAnyError(t *testing.T) {
	t.Parallel()
	const (
		token  = "THQVJtoken+/=secret" // with characters that are escaped in a query
		secret = "app-secret-0123456789"
		code   = "AQBcode-0123456789"
	)
	// everything quotes all that it was sent.
	everything := func(r *http.Request) string {
		var body []byte
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
		}
		unescaped, _ := url.QueryUnescape(r.URL.RawQuery + string(body))
		form, _ := url.ParseQuery(string(body)) // its values bare, without the names that give them away
		return strings.NewReplacer(`"`, "", `\`, "").Replace(fmt.Sprint(
			r.Header.Get("Authorization"), " ", r.URL.String(), " ", string(body), " ", unescaped, " ", slices.Collect(maps.Values(form))))
	}
	servers := map[string]http.HandlerFunc{
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"graph error": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"message":"bad call: %s","code":190,"fbtrace_id":"%s"}}`, everything(r), everything(r))
		},
		"oauth error": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error_type":"OAuthException","code":400,"error_message":"%s"}`, everything(r))
		},
		"not json": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, everything(r))
		},
		"wrong types": func(w http.ResponseWriter, r *http.Request) {
			q := fmt.Sprintf("%q", everything(r))
			fmt.Fprintf(w, `{"id":%s1,"access_token":%s,"expires_in":%s,"data":%s}`, q, q, q, q)
		},
		"bad redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://%zz/"+r.URL.RawQuery)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			checkErrors(t, server.URL, nil, token, secret, code)
		})
	}
	t.Run("a transport that quotes the request", func(t *testing.T) {
		t.Parallel()
		hc := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, errors.New(everything(r))
		})}
		checkErrors(t, "http://threads.invalid", hc, token, secret, code)
	})
	t.Run("an address that is none", func(t *testing.T) {
		t.Parallel()
		checkErrors(t, "http://%zz", nil, token, secret, code)
	})
}

func checkErrors(t *testing.T, base string, hc *http.Client, token, secret, code string) {
	t.Helper()
	c := threads.New(threads.Config{BaseURL: base, AppID: "1", AppSecret: secret, HTTP: hc})
	ctx, tok := t.Context(), threads.Token(token)
	second := func(_ any, err error) error { return err }
	calls := map[string]error{
		threads.OpExchange:     second(c.ExchangeCode(ctx, code, "https://app.example/cb")),
		threads.OpExchangeLong: second(c.ExchangeLongLived(ctx, tok)),
		threads.OpRefresh:      second(c.Refresh(ctx, tok)),
		threads.OpDebugToken:   second(c.DebugToken(ctx, tok)),
		threads.OpMe:           second(c.Me(ctx, tok)),
		threads.OpCreate:       second(c.CreateContainer(ctx, tok, threads.Container{MediaType: threads.Text, Text: "x"})),
		threads.OpStatus:       second(c.ContainerStatus(ctx, tok, "1")),
		threads.OpPublish:      second(c.Publish(ctx, tok, "1", nil)),
		threads.OpMedia:        second(c.Media(ctx, tok, "1")),
		threads.OpPosts:        second(c.Posts(ctx, tok, threads.ListQuery{})),
		threads.OpReplies:      second(c.Replies(ctx, tok, threads.ListQuery{})),
		threads.OpGhostPosts:   second(c.GhostPosts(ctx, tok, threads.ListQuery{})),
		threads.OpDelete:       c.Delete(ctx, tok, "1"),
		threads.OpLimits:       second(c.Limits(ctx, tok, []string{threads.ScopeDelete})),

		threads.OpRepost:          second(c.Repost(ctx, tok, "1", nil)),
		threads.OpMentions:        second(c.Mentions(ctx, tok, threads.ListQuery{})),
		threads.OpRepliesTo:       second(c.RepliesTo(ctx, tok, "1", threads.ListQuery{})),
		threads.OpConversation:    second(c.Conversation(ctx, tok, "1", threads.ListQuery{})),
		threads.OpPendingReplies:  second(c.PendingReplies(ctx, tok, "1", "", threads.ListQuery{})),
		threads.OpHideReply:       c.Hide(ctx, tok, "1", true),
		threads.OpApproveReply:    c.Approve(ctx, tok, "1", true),
		threads.OpSearch:          second(c.Search(ctx, tok, threads.SearchQuery{Q: "x"})),
		threads.OpProfileLookup:   second(c.ProfileLookup(ctx, tok, "x")),
		threads.OpProfilePosts:    second(c.ProfilePosts(ctx, tok, "x", threads.ListQuery{})),
		threads.OpLocationSearch:  second(c.LocationSearch(ctx, tok, "x", nil)),
		threads.OpMediaInsights:   second(c.MediaInsights(ctx, tok, "1")),
		threads.OpAccountInsights: second(c.AccountInsights(ctx, tok, threads.InsightsQuery{})),
	}
	for _, op := range threads.Ops {
		if _, tried := calls[op]; !tried {
			t.Errorf("%s was not tried", op)
		}
	}
	for op, err := range calls {
		e, ok := errors.AsType[*threads.Error](err)
		if !ok {
			t.Errorf("%s: got %v, want a threads error", op, err)
			continue
		}
		if e.Op != op || e.Class == "" || e.Sentence == "" {
			t.Errorf("%s: incomplete error %#v", op, e)
		}
		text := fmt.Sprintf("%v %+v %#v", err, *e, *e)
		for _, part := range everyCause(err) {
			text += fmt.Sprintf("\n%v %#v", part, part)
		}
		for _, s := range []string{token, url.QueryEscape(token), secret, code} {
			if strings.Contains(text, s) {
				t.Errorf("%s: %q is in the error:\n%s", op, s, text)
			}
		}
	}
}

// everyCause walks all that errors.Is and errors.As would see.
func everyCause(err error) []error {
	all := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, everyCause(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, everyCause(inner)...)
		}
	}
	return all
}
