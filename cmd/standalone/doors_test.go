package standalone_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Other people of the machine reach its ports, and read its logs at times: NATS asks for a password, and what is printed on
// how to go on leads to it and to a token without showing either.
func TestOthersOfTheMachineAreKeptOut(t *testing.T) {
	h := newSystem(t)
	at := h.System.Endpoints.NATSURL
	if nc, err := nats.Connect(at); !errors.Is(err, nats.ErrAuthorization) {
		if err == nil {
			nc.Close()
		}
		t.Errorf("without a password: %v", err)
	}

	var printed bytes.Buffer
	if err := walkthrough.Welcome(&printed, h.System.Endpoints); err != nil {
		t.Fatal(err)
	}
	password, err := os.ReadFile(h.System.Endpoints.NATSPasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed.String(), "eyJ") || strings.Contains(printed.String(), strings.TrimSpace(string(password))) {
		t.Errorf("a secret is printed:\n%s", printed.String())
	}
	if info, err := os.Stat(h.System.Endpoints.NATSPasswordFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	// The printed lines, with a nats of ours that says how it was called.
	lines := regexp.MustCompile(`(?m)^  the (?:streams|events) +(.*)$`).FindAllStringSubmatch(printed.String(), -1)
	if len(lines) != 2 {
		t.Fatalf("printed:\n%s", printed.String())
	}
	for _, line := range lines {
		said, err := exec.CommandContext(t.Context(), "sh", "-c", `nats() { echo "$NATS_USER $NATS_PASSWORD $2"; }; `+line[1]).CombinedOutput()
		words := strings.Fields(string(said))
		if err != nil || len(words) != 3 {
			t.Fatalf("%s: %v: %s", line[1], err, said)
		}
		nc, err := nats.Connect(words[2], nats.UserInfo(words[0], words[1]))
		if err != nil {
			t.Fatalf("%s: %v", line[1], err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err == nil {
			_, err = js.Stream(t.Context(), events.StreamEvents)
		}
		if err != nil {
			t.Error(err)
		}
	}
	token := regexp.MustCompile(`(?m)^  (TOKEN=.*)$`).FindStringSubmatch(printed.String())
	if token == nil {
		t.Fatalf("printed:\n%s", printed.String())
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the printed line needs curl")
	}
	said, err := exec.CommandContext(t.Context(), "sh", "-c", token[1]+`; printf %s "$TOKEN"`).Output()
	if err != nil || strings.Count(string(said), ".") != 2 || strings.ContainsAny(string(said), " \n") {
		t.Errorf("%s: %v: %s", token[1], err, said)
	}
}

// Whoever is on the machine can have a dev token for any user, so those who are not must not reach what takes them.
func TestAPublicHostNeedsAnIssuer(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"0.0.0.0", "::", "192.0.2.1", "example.com"} {
		dir := t.TempDir()
		_, err := standalone.Start(t.Context(), func(name string) string {
			return map[string]string{"STATE_DIR": dir, "HOST": host}[name]
		}, zap.NewNop())
		if err == nil || !strings.Contains(err.Error(), "AUTH_ISSUER") {
			t.Errorf("HOST=%s: %v", host, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("HOST=%s left %v, %v", host, left, err)
		}
	}
}

// Who tries webhooks at home has their own server on this machine.
func TestWebhooksMayStayOnThisMachine(t *testing.T) {
	h := newSystem(t)
	heard := make(chan string, 16)
	own := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.URL.Path }))
	t.Cleanup(own.Close)
	var made struct {
		ID string `json:"id"`
	}
	h.must(http.StatusCreated, "ada", http.MethodPost, "/api/threads/webhooks", map[string]any{"url": own.URL + "/in", "facts": []string{"post.published"}}, &made)
	h.must(http.StatusAccepted, "ada", http.MethodPost, "/api/threads/webhooks/"+made.ID+"/test", nil, nil)
	select {
	case path := <-heard:
		if path != "/in" {
			t.Errorf("heard at %s", path)
		}
	case <-time.After(waiting.Limit):
		t.Error("no webhook came")
	}
}
