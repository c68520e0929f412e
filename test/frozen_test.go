package test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
)

// The publisher that records stands still, as under docker pause or on a machine that is suspended. Another one is started
// anew, as one does with a publisher that seems stuck: it is ready, publishes, and records in the other's place. The first
// goes on afterwards as if nothing had been.
func TestFrozenRecorder(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.start("nats")
	d.ready("nats")
	if err := d.once("migrate", d.compose.Services["migrate"].Command, nil); err != nil {
		t.Fatal(err)
	}
	services := []string{"simulator", "gateway", "auth", "publisher", "tokenkeeper"}
	for _, name := range services {
		d.start(name)
	}
	for _, name := range services {
		d.ready(name)
	}
	d.connect()
	const recording = "projecting: this process"
	records := func(n int) {
		t.Helper()
		d.eventually("a projector", func() error {
			if strings.Count(d.log.String(), recording) < n {
				return errors.New("nobody records")
			}
			return nil
		})
	}
	// A command that the frozen one has taken is taken on by another a while later, so 202 is right as well.
	published := func(text string) {
		t.Helper()
		body := map[string]any{"text": text, "scheduledAt": time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)}
		status, err := d.ask(http.MethodPost, "/api/threads/post/schedule", text, body, nil)
		if err != nil || status != http.StatusCreated && status != http.StatusAccepted {
			t.Fatalf("scheduling %q is answered %d, %v", text, status, err)
		}
		d.detail(events.PostIDFor(crashUser, text), events.StatusPosted)
	}
	published("while all is well")
	records(1)
	first, firstAdmin := d.running["publisher"], d.admin["publisher"]
	t.Cleanup(first.Kill)
	delete(d.admin, "publisher")
	d.start("publisher")
	d.ready("publisher")
	first.Pause()

	d.kills("publisher")
	d.start("publisher")
	d.ready("publisher")
	published("beside a frozen projector")
	records(2)

	first.Resume()
	second := d.admin["publisher"]
	d.admin["publisher"] = firstAdmin
	d.ready("publisher")
	d.admin["publisher"] = second
	d.kills("publisher")
	published("by the first again")
	records(3)
}
