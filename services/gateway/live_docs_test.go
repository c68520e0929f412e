package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// The snippets of docs/live.md, run by node, hear everything once while their connections are cut again and again.
func TestLiveSnippets(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed; the snippets in JavaScript are not tried")
	}
	page, err := os.ReadFile("../../docs/live.md")
	if err != nil {
		t.Fatal(err)
	}
	const calls = `
const [base, token] = process.argv.slice(2);
const hear = (name, data) => console.log(name === "post.scheduled" ? data.post.text : "(" + name + ")");
`
	for name, run := range map[string]string{
		"fetch":       calls + `live(base, async () => token, hear, { query: "?facts=scheduled" });`,
		"eventsource": calls + `liveWithEventSource(base, async () => token, ["post.scheduled", "post.failed"], hear);`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rest, found := strings.Cut(string(page), "<!-- test: "+name+" -->\n```js\n")
			code, _, closed := strings.Cut(rest, "\n```")
			if !found || !closed {
				t.Fatalf("docs/live.md has no snippet %s", name)
			}
			h := setup(t)
			ownsA(t, h)
			var mu sync.Mutex
			tickets := map[string]bool{}
			answer(t, h, func(asks.IssueTicket) (asks.Ticket, error) {
				mu.Lock()
				defer mu.Unlock()
				id := fmt.Sprintf("t%d", len(tickets))
				tickets[id] = true
				return asks.Ticket{Ticket: id}, nil
			})
			answer(t, h, func(q asks.RedeemTicket) (asks.TicketHolder, error) {
				mu.Lock()
				defer mu.Unlock()
				if !tickets[q.Ticket] {
					return asks.TicketHolder{}, events.Faultf(events.Unauthorized, "Used.")
				}
				tickets[q.Ticket] = false
				return asks.TicketHolder{UserID: ada}, nil
			})
			file := filepath.Join(t.TempDir(), "live.mjs")
			// Nobody waits seconds in a test: a pause of a second is one of a fiftieth.
			quick := "const later = setTimeout; globalThis.setTimeout = (fn, ms, ...rest) => later(fn, ms / 50, ...rest);\n"
			if err := os.WriteFile(file, []byte(quick+code+run), 0o600); err != nil {
				t.Fatal(err)
			}
			proxy := newCutter(t, h.url)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := exec.CommandContext(ctx, node, "--experimental-eventsource", "--no-warnings", file, proxy.url, h.token)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var complaints strings.Builder
			cmd.Stderr = &complaints
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			next := func() string {
				for lines.Scan() {
					if text := lines.Text(); text != "(ready)" {
						return text
					}
				}
				t.Fatalf("it ended: %s", &complaints)
				return ""
			}
			for lines.Scan() && lines.Text() != "(ready)" {
			}
			for i := range 30 {
				if i%10 == 5 {
					proxy.cut() // what is emitted now reaches nobody
				}
				h.tell(t, fact(ada, acctA, events.FactScheduled, fmt.Sprint(i)), fact("user_eve", acctA, events.FactScheduled, "not ada's"))
				if got := next(); got != fmt.Sprint(i) {
					t.Fatalf("event %d is %q: %s", i, got, &complaints)
				}
			}
			cancel()
			_ = cmd.Wait() // it was killed
		})
	}
}

// cutter is a proxy before a gateway, whose connections can be cut.
type cutter struct {
	url string
	cut func()
}

func newCutter(t *testing.T, to string) cutter {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1,
		ErrorLog: log.New(io.Discard, "", 0), // connections that are cut are what it is for
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return cutter{url: srv.URL, cut: srv.CloseClientConnections}
}
