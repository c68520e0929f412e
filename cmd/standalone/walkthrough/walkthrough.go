// Package walkthrough shows the product with the real parts: an account is connected through OAuth, posts
// go out at their second, one is taken back, one is deleted, and every event is printed as it is emitted. It is a user of the
// system like any other: HTTP in, EVENTS out.
package walkthrough

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/natsd"
)

// Endpoints are where the system can be reached.
type Endpoints struct {
	GatewayURL   string
	SimulatorURL string
	NATSURL      string
	// NATSPasswordFile holds what is not to be shown.
	NATSPasswordFile string
	// IssuerURL is where tokens are given out, and ConnectURL the page that begins to connect an account. Empty where the user
	// brought an issuer.
	IssuerURL, ConnectURL string
	AdminURL              string
	DatabaseURL           string // without the password
	EnvFile               string // a file with all of these, and the password
	JetStream             jetstream.JetStream
	// Token makes a bearer token for a user.
	Token func(user string) (string, error)
}

// User is who walks, and who looks around afterwards.
const User = "user_demo"

const (
	// patience is how long a single step may take before the walkthrough counts as broken.
	patience = 30 * time.Second
	textIn   = 5 * time.Second
	imageIn  = 10 * time.Second
)

// Run walks through the product and prints it; where everything stays up afterwards, also how to go on. An error says which step did not
// happen.
func Run(ctx context.Context, p Endpoints, out io.Writer, stays bool) error {
	token, err := p.Token(User)
	if err != nil {
		return fmt.Errorf("make a dev token: %w", err)
	}
	api := &api{base: p.GatewayURL, token: token}
	lines := newPrinter(out)
	watch, err := watchEvents(ctx, p.JetStream, lines)
	if err != nil {
		return err
	}
	defer watch.stop()

	s := &steps{api: api, printer: lines, watch: watch}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"connect an account", s.connect},
		{"post a text now", s.postNow},
		{"schedule a text", s.scheduleText},
		{"schedule an image", s.scheduleImage},
		{"cancel a scheduled post", s.cancelOne},
		{"delete a live post", s.deleteOne},
		{"see the text go out", func(ctx context.Context) error { return s.seePublished(ctx, s.text) }},
		{"see the image go out", func(ctx context.Context) error { return s.seePublished(ctx, s.image) }},
		{"compare with what Threads has", func(ctx context.Context) error { return s.compare(ctx, p.SimulatorURL) }},
	} {
		stepCtx, cancel := context.WithTimeout(ctx, patience)
		err := step.run(stepCtx)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	_, _ = fmt.Fprintln(out, "\nThat was the walkthrough.")
	if stays {
		return printNext(out, p)
	}
	return nil
}

// TokenLine is how a shell gets a token for a user.
func (p Endpoints) TokenLine(user string) string {
	return "TOKEN=$(curl -sS -H 'Accept: text/plain' " + shellWord(p.IssuerURL+"/token?sub="+url.QueryEscape(user)) + ")"
}

// Welcome says that everything is up, and how to go on.
func Welcome(out io.Writer, p Endpoints) error {
	_, _ = fmt.Fprintf(out, "Everything is up at %s. Ctrl-C ends it.\n", p.GatewayURL)
	if p.ConnectURL != "" {
		_, _ = fmt.Fprintf(out, "\nConnect an account: open %s in a browser.\n", p.ConnectURL)
	}
	return printNext(out, p)
}

// shellWord is a word as a shell reads it.
func shellWord(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// printNext says how to go on by hand.
func printNext(out io.Writer, p Endpoints) error {
	asUser := fmt.Sprintf("NATS_USER=%s NATS_PASSWORD=\"$(cat %s)\"", natsd.User, shellWord(p.NATSPasswordFile))
	at := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	token := "TOKEN=…                 # from your issuer (AUTH_ISSUER)"
	if p.IssuerURL != "" {
		token = p.TokenLine(User)
	}
	_, err := fmt.Fprintf(out, `
Look around:

  the console      %[1]s/console/          (pages for people: Sign in, Continue as demo)
  the API          %[1]s/docs
  Threads' side    %[2]s          (simulated: what arrived, and when)
  the streams      %[10]s nats --server %[3]s stream report
  the events       %[10]s nats --server %[3]s sub --stream %[6]s --all 'threads.evt.>'
  the database     %[4]s          (its password: %[9]s)
  health           %[5]s/readyz and /metrics
  one post's way   go run . explain POST          (no settings needed here; also reconcile, replay, doctor, …)

Schedule one yourself, a minute ahead:

  %[7]s
  curl -sS %[1]s/api/threads/post/schedule \
    -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' \
    -d '{"text":"Hello from curl","scheduledAt":"%[8]s"}'

`, p.GatewayURL, p.SimulatorURL, p.NATSURL, p.DatabaseURL, p.AdminURL, events.StreamEvents, token, at, p.EnvFile, asUser)
	return err
}
