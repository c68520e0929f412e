package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var (
	// announced is what docs/simulator.md says beside a line that Threads refuses: its code, and its subcode if it has one.
	announced = regexp.MustCompile(`# .*\bcode (\d+)(?:, subcode (\d+))?$`)
	// refused is an answer of Threads, or of the simulator's own side, whose errors are sentences.
	refused = regexp.MustCompile(`"error":(?:\{|"[^"]* )`)
)

// TestSimulatorTour runs every line of docs/simulator.md in one shell against the program, as its reader would. A line
// must be answered, and be refused only as the page says.
func TestSimulatorTour(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("bash")
	for _, tool := range []string{"curl", "jq"} {
		if err == nil {
			_, err = exec.LookPath(tool)
		}
	}
	if err != nil {
		t.Skip("bash, curl or jq is not installed; the tour of docs/simulator.md is not tried")
	}

	// Where its webhooks and callbacks go: whoever subscribes answers Meta's handshake with the challenge.
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/erase" {
			_, _ = io.WriteString(w, `{"url":"http://127.0.0.1:9098/erasures/1","confirmation_code":"1"}`)
			return
		}
		_, _ = io.WriteString(w, r.FormValue("hub.challenge"))
	}))
	t.Cleanup(app.Close)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	at := strings.NewReplacer("127.0.0.1:9099", address, "http://127.0.0.1:9098", app.URL)

	blocks := snippets(t, "docs/simulator.md", "sh")
	words := strings.Fields(at.Replace(blocks[0])) // go run . simulator …
	h := newProgram(t)
	h.main = h.run(words[3:]...)
	h.answers("http://" + address + "/_sim/clock")

	var lines []string
	for line := range strings.Lines(strings.Join(blocks[1:], "")) {
		line = strings.TrimSuffix(line, "\n")
		if n := len(lines); n > 0 && unfinished(lines[n-1]) {
			lines[n-1] += "\n" + line
		} else if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) < 90 {
		t.Fatalf("the page has only %d lines to run", len(lines))
	}
	pieces := make([]string, len(lines))
	for i, line := range lines {
		pieces[i] = at.Replace(line)
	}
	for i, printed := range outputsOf(t, shell, pieces) {
		line := lines[i]
		told := announced.FindStringSubmatch(line)
		if wants := told != nil; refused.MatchString(printed) != wants {
			t.Errorf("%s\nis to be refused: %t; printed\n%s", line, wants, printed)
			continue
		}
		if told != nil && (!strings.Contains(printed, `"code":`+told[1]+",") ||
			(told[2] != "" && !strings.Contains(printed, `"error_subcode":`+told[2]+","))) {
			t.Errorf("%s\nprinted another code:\n%s", line, printed)
		}
		if called := strings.HasPrefix(line, "sim ") || strings.HasPrefix(line, "api ") || strings.HasPrefix(line, "say "); called &&
			!strings.Contains(printed, "{") {
			t.Errorf("%s\nwas answered with\n%q", line, printed)
		}
	}
}

// unfinished reports whether a line of shell goes on in the next one.
func unfinished(line string) bool {
	return strings.HasSuffix(line, `\`) || strings.Count(line, "'")%2 == 1
}
