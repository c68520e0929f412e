package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
)

// The profile "simulator" of compose.yaml, by the very words of its commands: whoever has no identity provider gets a token, the
// simulator and the issuer remember across kill -9, the simulator tells the gateway what Meta's dashboard would make Meta tell, and
// a browser of this machine opens the permalinks.
func TestComposesSimulator(t *testing.T) {
	t.Parallel()
	h := newSystem(t, "ADMIN_ADDR=127.0.0.1:0")
	server, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: h.ports["NATS_PORT"], SyncAlways: true, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	keyset, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	secrets, keys := t.TempDir(), t.TempDir()
	for name, secret := range map[string]string{"threads_app_secret": "s3cret", "threads_webhook_verify_token": "v3rify"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	issuer := fmt.Sprintf("http://localhost:%d", h.ports["ISSUER_PORT"])
	browsers := fmt.Sprintf("http://localhost:%d", h.ports["SIMULATOR_PORT"])
	h.env = append(h.env, "NATS_URL="+server.ClientURL(), "TOKEN_KEYSET="+string(keyset),
		"AUTH_ISSUER="+issuer, "AUTH_JWKS_URL=file://"+keys+"/jwks.json",
		"THREADS_APP_ID="+filled("THREADS_APP_ID"), "THREADS_APP_SECRET_FILE="+secrets+"/threads_app_secret",
		"THREADS_WEBHOOK_VERIFY_TOKEN_FILE="+secrets+"/threads_webhook_verify_token",
		"THREADS_API_URL="+h.url("SIMULATOR_PORT"), "THREADS_AUTHORIZE_URL="+browsers+"/oauth/authorize",
		"THREADS_REDIRECT_URI="+h.url("PORT")+"/api/auth/threads/callback", "THREADS_SUCCESS_REDIRECT_URI=http://localhost:5173/profile",
		"THREADS_FAILURE_REDIRECT_URI=http://localhost:5173/profile?error=threads_oauth_failed")

	compose := readCompose(t, filled)
	commandOf := func(service string) []string {
		volume := t.TempDir()
		here := strings.NewReplacer(
			"http://localhost:9099", browsers, "http://localhost:9098", issuer, "http://gateway:3000", h.url("PORT"),
			":9099", fmt.Sprintf("127.0.0.1:%d", h.ports["SIMULATOR_PORT"]), ":9098", fmt.Sprintf("127.0.0.1:%d", h.ports["ISSUER_PORT"]),
			"/run/secrets/", secrets+"/", "/data/", volume+"/", "/keys/", keys+"/",
		)
		var words []string
		for _, word := range compose.Services[service].Command {
			words = append(words, strings.TrimSuffix(here.Replace(strings.TrimSuffix(word, "/")+"/"), "/"))
		}
		for _, at := range []string{"/data", "/keys"} { // what it writes is kept
			if strings.Contains(strings.Join(compose.Services[service].Command, " "), at) &&
				!strings.Contains(strings.Join(compose.Services[service].Volumes, " "), ":"+at) {
				t.Errorf("%s writes to %s, which is no volume", service, at)
			}
		}
		return words
	}
	if err := h.run("migrate").Wait(); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	commands := map[string][]string{
		"simulator": commandOf("simulator"), "issuer": commandOf("issuer"),
		"auth": {"auth"}, "publisher": {"publisher"}, "tokenkeeper": {"tokenkeeper"}, "gateway": {"gateway"},
	}
	running := map[string]*subprocess.Process{}
	start := func(name string) {
		cmd := h.run(commands[name]...)
		running[name] = cmd
		t.Cleanup(cmd.Kill)
	}
	for name := range commands {
		start(name)
	}
	h.answers(h.url("PORT") + "/openapi.json")
	h.answers(issuer + "/.well-known/jwks.json")
	h.answers(browsers + "/")
	h.eventually("the account to be connected", func() error {
		if h.token == "" || h.call(http.MethodGet, h.url("PORT")+"/api/threads/me", nil, nil) != http.StatusOK {
			if end, err := h.tryConnect(); err != nil {
				return fmt.Errorf("the flow ends at %q: %w", end, err)
			}
			return fmt.Errorf("not yet")
		}
		return nil
	})

	first := h.schedule("from compose", 3*time.Second)
	h.posted(first)
	h.eventually("a permalink that a browser opens", func() error {
		var row asks.PostDetail
		h.call(http.MethodGet, h.url("PORT")+"/api/threads/post/"+first.ID, nil, &row)
		if row.Permalink == nil || !strings.HasPrefix(*row.Permalink, browsers+"/@") {
			return fmt.Errorf("the permalink is %v", row.Permalink)
		}
		resp, err := http.Get(*row.Permalink)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", *row.Permalink, resp.Status)
		}
		return nil
	})
	h.eventually("its webhook to be taken", func() error {
		var sent struct{ Data []threadssim.Delivery }
		h.call(http.MethodGet, browsers+"/_sim/webhooks/deliveries", nil, &sent)
		for _, d := range sent.Data {
			if d.URL == h.url("PORT")+"/api/threads/webhook" && d.Outcome == threadssim.DeliveryTaken {
				return nil
			}
		}
		return fmt.Errorf("delivered: %+v", sent.Data)
	})

	for _, name := range []string{"simulator", "issuer"} {
		running[name].Kill()
		start(name)
	}
	h.answers(issuer + "/.well-known/jwks.json")
	h.answers(browsers + "/")
	h.posted(h.schedule("after kill -9", 3*time.Second))
	var hooks struct{ Data []threadssim.Hook }
	if h.call(http.MethodGet, browsers+"/_sim/webhooks", nil, &hooks); len(hooks.Data) != 1 {
		t.Errorf("subscriptions: %+v", hooks.Data)
	}
	for _, what := range []string{"uninstall", "data-deletion"} {
		h.eventually("the "+what+" to be taken", func() error { // the two are the same words within a second, and a word is good once
			var told struct{ Data threadssim.CallbackAnswer }
			if h.call(http.MethodPost, browsers+"/_sim/users/demo.user/"+what, nil, &told); told.Data.Status != http.StatusOK || told.Data.Error != "" {
				return fmt.Errorf("%+v", told.Data)
			}
			return nil
		})
	}
}
