// Package walkthrough shows the product with the real parts: an account is connected through OAuth, posts
// go out at their second, one is taken back, one is deleted, and every event is printed as it is told. It is a user of the
// system like any other: HTTP in, EVENTS out.
package walkthrough

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	// NATSPasswordFile and TokenFile hold what is not to be shown: the password of NATS, and a token for a look around.
	NATSPasswordFile, TokenFile string
	AdminURL                    string
	DatabaseURL                 string // without the password
	EnvFile                     string // a file with all of these, and the password
	JetStream                   jetstream.JetStream
	// Token makes a bearer token for a user.
	Token func(user string) (string, error)
}

const (
	user = "user_demo"
	// patience is how long a single step may take before the walkthrough counts as broken.
	patience = 30 * time.Second
	textIn   = 5 * time.Second
	imageIn  = 10 * time.Second
)

// Run walks through the product and prints it; where everything stays up afterwards, also how to go on. An error says which step did not
// happen.
func Run(ctx context.Context, p Endpoints, out io.Writer, stays bool) error {
	token, err := p.Token(user)
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
		return printNext(out, p, token)
	}
	return nil
}

// Welcome says that everything is up, and how to go on.
func Welcome(out io.Writer, p Endpoints) error {
	_, _ = fmt.Fprintf(out, "Everything is up at %s.\n", p.GatewayURL)
	token, err := p.Token(user)
	if err != nil {
		token = "" // from the issuer that the user brought
	}
	bearer, err := bearerOf(p, token)
	if err != nil {
		return err
	}
	connect := fmt.Sprintf(`
Connect an account: open the address that this prints; then send the connectCode with which the browser ends, with the same
token, to POST /api/threads/connect/finish as {"code":"…"}.

  curl -sS %s/api/auth/threads -H 'Accept: application/json' \
    -H "Authorization: Bearer %s"
`, p.GatewayURL, bearer)
	_, _ = fmt.Fprint(out, connect)
	return printNext(out, p, token)
}

// bearerOf is how a shell finds the token. The token itself is only ever in a file that nobody else may read: what is printed
// is kept where logs are.
func bearerOf(p Endpoints, token string) (string, error) {
	if token == "" {
		return "$TOKEN", nil
	}
	err := os.Remove(p.TokenFile) // whoever made it may have left it open to others
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(p.TokenFile, []byte(token+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("leave the token: %w", err)
	}
	return "$(cat " + shellWord(p.TokenFile) + ")", nil
}

// shellWord is a word as a shell reads it.
func shellWord(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// printNext says how to go on by hand.
func printNext(out io.Writer, p Endpoints, token string) error {
	bearer, err := bearerOf(p, token)
	if err != nil {
		return err
	}
	asUser := fmt.Sprintf("NATS_USER=%s NATS_PASSWORD=\"$(cat %s)\"", natsd.User, shellWord(p.NATSPasswordFile))
	at := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	_, _ = fmt.Fprintf(out, `
Look around:

  the console      %[1]s/console/          (pages for people: Sign in, Continue as demo)
  the API          %[1]s/openapi.json
  Threads' side    %[2]s          (simulated: what arrived, and when)
  the streams      %[10]s nats --server %[3]s stream report
  the events       %[10]s nats --server %[3]s sub --stream %[6]s --all 'threads.evt.>'
  the database     %[4]s          (its password: %[9]s)
  health           %[5]s/readyz and /metrics
  one post's way   go run . explain POST          (no settings needed here; also reconcile, replay, doctor, …)

Schedule one yourself, a minute ahead:

  curl -sS %[1]s/api/threads/post/schedule \
    -H "Authorization: Bearer %[7]s" \
    -H 'Content-Type: application/json' \
    -d '{"text":"Hello from curl","scheduledAt":"%[8]s"}'

`, p.GatewayURL, p.SimulatorURL, p.NATSURL, p.DatabaseURL, p.AdminURL, events.StreamEvents, bearer, at, p.EnvFile, asUser)
	return nil
}
