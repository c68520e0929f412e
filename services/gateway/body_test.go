package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/posts"
)

// FuzzBody puts anything in a body: it is understood, or refused with a problem that is well made and no mistake of ours.
// What is understood is the same when it is written down and read again.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"text":"a"}`, `{"text":"a","text":"b"}`, `{"text":"\ud83d"}`, strings.Repeat("[", 33), "{\"text\":\"\x00\"}",
		`{"media":[{"type":"image"}]}`, `{"poll":{"optionA":"a"}}`, `{"parts":[{"text":"a"},{}]}`, `{"publishWithin":1e999}`,
		`{"Text":"a"}`, `[]`, `null`, `{"text":null}`, `{"countries":["DE"],"spoiler":true}`, `{"textAttachment":{"text":"x"}}`,
	} {
		f.Add([]byte(seed))
	}
	s, err := New(Config{
		PublicURL: "http://a.example", SuccessRedirectURI: "http://a.example", FailureRedirectURI: "http://a.example", AuthIssuer: "https://clerk.a.example",
	}, Deps{Log: zap.NewNop()})
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	huma.Register(s.api(mux), open(http.MethodPost, "/fuzz", "fuzz", "").op(), func(_ context.Context, in *posts.CreatePostInput) (*struct{ Body posts.Draft }, error) {
		return &struct{ Body posts.Draft }{in.Body}, nil
	})
	send := func(body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/fuzz", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.edge.Chain(mux).ServeHTTP(w, r)
		return w
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := send(body)
		if w.Code == http.StatusOK {
			again := send(w.Body.Bytes())
			if again.Code != http.StatusOK || !bytes.Equal(again.Body.Bytes(), w.Body.Bytes()) {
				t.Errorf("%q is understood as %s, and that as %s", body, w.Body, again.Body)
			}
			return
		}
		var p edge.Problem
		dec := json.NewDecoder(w.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil || w.Code < 400 || w.Code >= 500 || p.Status != w.Code || p.Code == "" || p.Detail == "" {
			t.Errorf("%q: %d %+v (%v)", body, w.Code, p, err)
		}
		for _, flaw := range p.Errors {
			if flaw.Detail == "" || flaw.Code == "" {
				t.Errorf("%q: %+v", body, flaw)
			}
		}
	})
}
