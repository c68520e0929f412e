package standalone_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
)

// What must never be stored, logged or answered is looked for everywhere after a life with many bad moments: those are
// when an address or an answer finds its way into an error.
func TestSecretsStayHome(t *testing.T) {
	h := newSystem(t)
	h.keysetSecrets()

	for _, op := range []string{threads.OpExchange, threads.OpExchangeLong, threads.OpMe, threads.OpDebugToken} {
		for _, kind := range []string{threadssim.Edge5xx, threadssim.DropResponse, threadssim.ErrorBeforeCommit} {
			h.fault(op, kind)
			h.oauth("ada", "ada", 1)
			h.sim.ClearFaults()
		}
	}
	h.connect("ada", "ada")
	h.webhook("ada")

	var post events.Post
	h.must(http.StatusCreated, "ada", http.MethodPost, "/api/threads/post", map[string]any{"text": "one"}, &post)
	var later events.Post
	at := time.Now().Add(1500 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	h.must(http.StatusCreated, "ada", http.MethodPost, "/api/threads/post/schedule", map[string]any{"text": "two", "scheduledAt": at}, &later)
	h.refusals(post.ID)
	h.fault(threads.OpCreate, threadssim.ErrorBeforeCommit, 100)
	h.call("ada", http.MethodPost, "/api/threads/post", map[string]any{"text": "refused"})
	h.fault(threads.OpPublish, threadssim.DropResponse)
	h.call("ada", http.MethodPost, "/api/threads/post", map[string]any{"text": "unclear"})
	waiting.Until(h, "the scheduled post is out", func() bool {
		var p events.Post
		h.must(http.StatusOK, "ada", http.MethodGet, "/api/threads/post/"+later.ID, nil, &p)
		return p.Status == events.StatusPosted
	})

	for _, kind := range []string{threadssim.Edge5xx, threadssim.DropResponse, threadssim.ErrorAfterCommit} {
		h.aged()
		h.fault(threads.OpRefresh, kind)
		status, answer := h.call("ada", http.MethodPost, "/api/threads/refresh", map[string]any{})
		if cut := kind == threadssim.DropResponse && status == http.StatusOK; status != http.StatusServiceUnavailable && !cut { // net/http asks again itself
			t.Errorf("%s: a refresh answered %d: %s", kind, status, answer)
		}
		h.sim.ClearFaults()
	}
	h.aged()
	h.must(http.StatusOK, "ada", http.MethodPost, "/api/threads/refresh", map[string]any{}, nil)
	h.promote()
	h.keysetSecrets()

	if err := h.sim.Revoke("ada", 460); err != nil {
		t.Fatal(err)
	}
	h.aged()
	h.must(http.StatusConflict, "ada", http.MethodPost, "/api/threads/refresh", map[string]any{}, nil)
	h.call("ada", http.MethodGet, "/api/threads/me", nil)
	h.connect("ada", "ada")
	h.must(http.StatusOK, "ada", http.MethodDelete, "/api/threads/connection", nil, nil)

	if n := h.secrets.Len(); n < 80 {
		t.Fatalf("only %d secrets passed: the test looks for too little", n)
	}
	all := h.everything()
	for _, found := range h.secrets.Find(all) {
		t.Error(found)
	}
	t.Logf("looked for %d secrets in %d places", h.secrets.Len(), len(all))
	h.planted()
}

// planted shows that the search finds what is there: in a log, in a table, on a stream.
func (h *system) planted() {
	h.Helper()
	grant, err := h.sim.Token("mallory")
	if err != nil {
		h.Fatal(err)
	}
	token := grant.AccessToken.Reveal()
	h.secrets.Add("planted token", token)
	if found := h.secrets.Find(h.everything()); len(found) > 0 {
		h.Fatalf("found before it was planted: %v", found)
	}
	for where, plant := range map[string]func() error{
		"a log": func() error { h.log.Debug("get https://x?access_token="+token, zap.Error(os.ErrNotExist)); return nil },
		"a table": func() error {
			_, err := h.db.NewRaw("UPDATE posts SET text = ?", base64.StdEncoding.EncodeToString([]byte("x"+token))).Exec(h.Context())
			return err
		},
		"a stream": func() error {
			_, err := h.System.Endpoints.JetStream.Publish(h.Context(), events.Dead("planted"), []byte(token))
			return err
		},
	} {
		before := len(h.secrets.Find(h.everything()))
		if err := plant(); err != nil {
			h.Fatal(err)
		}
		if after := len(h.secrets.Find(h.everything())); after <= before {
			h.Errorf("a token planted in %s is not found", where)
		}
	}
}

func (h *system) fault(op, kind string, code ...int) {
	h.Helper()
	f := threadssim.Fault{Op: op, Kind: kind}
	if len(code) > 0 {
		f.HTTP, f.Code = http.StatusBadRequest, code[0]
	}
	if err := h.sim.Inject(f); err != nil {
		h.Fatal(err)
	}
}

// refusals are answers to what is wrong, wherever it is wrong.
func (h *system) refusals(id string) {
	h.Helper()
	for _, r := range []struct{ method, path, body string }{
		{http.MethodPost, "/api/threads/post", `{"text":`},
		{http.MethodPost, "/api/threads/post", `{"text":"x","nobodyKnows":1}`},
		{http.MethodPost, "/api/threads/post/schedule", `{"text":"x","scheduledAt":"soon"}`},
		{http.MethodGet, "/api/threads/post/post_00000000000000000000000000", ""},
		{http.MethodDelete, "/api/threads/post/schedule/" + id, ""},
		{http.MethodGet, "/api/threads/me?accountId=acct_00000000000000000000000000", ""},
		{http.MethodGet, "/no/such/route", ""},
		{http.MethodPut, "/api/threads/post", ""},
	} {
		var body any
		if r.body != "" {
			body = r.body
		}
		if status, answer := h.call("ada", r.method, r.path, body); status < 400 {
			h.Errorf("%s %s answered %d: %s", r.method, r.path, status, answer)
		}
	}
}

// webhook makes one, whose secret is told once and sealed.
func (h *system) webhook(user string) {
	h.Helper()
	status, answer := h.call(user, http.MethodPost, "/api/threads/webhooks",
		map[string]any{"url": "https://hooks.example.com/in", "facts": []string{"account.mentioned"}}, true)
	var made struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(answer, &made); err != nil || status != http.StatusCreated || made.Secret == "" {
		h.Fatalf("%d %s", status, answer)
	}
	h.secrets.Add("secret of a webhook", made.Secret)
}

var keyValue = regexp.MustCompile(`"value": ?"([^"]+)"`)

// keysetSecrets are the keys, as they are in the file and as they are in memory.
func (h *system) keysetSecrets() {
	h.Helper()
	content, err := os.ReadFile(h.keysetPath())
	if err != nil {
		h.Fatal(err)
	}
	values := keyValue.FindAllSubmatch(content, -1)
	if len(values) == 0 {
		h.Fatal("no keys in the keyset file")
	}
	for i, v := range values {
		raw, err := base64.StdEncoding.DecodeString(string(v[1]))
		if err != nil {
			h.Fatal(err)
		}
		h.secrets.Add(fmt.Sprint("key in the file ", i), string(v[1]))
		h.secrets.Add(fmt.Sprint("key ", i), string(raw[len(raw)-32:])) // AES-256, behind a few bytes of its encoding
	}
}

// promote puts a new key into use and waits until all is sealed with it.
func (h *system) promote() {
	h.Helper()
	file := vault.KeysetFile{Path: h.keysetPath()}
	id, err := file.Add()
	if err == nil {
		err = file.Promote(id)
	}
	if err != nil {
		h.Fatal(err)
	}
	waiting.Until(h, "all is sealed with the new key", func() bool {
		counts, err := accounts.SealedWith(h.Context(), h.db)
		if err != nil {
			h.Fatal(err)
		}
		return len(counts) == 1 && counts[id] > 0
	})
}
