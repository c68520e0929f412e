package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/cmd/lab/rig/rigtest"
	"github.com/omni-write/threads/internal/threads"
)

// The bench starts itself again for its target and its publisher; in a test that is the test's own binary.
func TestMain(m *testing.M) {
	rigtest.Main(m, func(ctx context.Context, words []string) (bool, error) {
		if len(words) < 2 || words[0] != "bench" || words[1] != "target" {
			return false, nil
		}
		var o TargetOptions
		f := pflag.NewFlagSet("target", pflag.ContinueOnError)
		o.AddFlags(f)
		if err := f.Parse(words[2:]); err != nil {
			return true, err
		}
		return true, o.Run(ctx, os.Stdin, os.Stdout)
	})
}

var tiny = []string{
	"--quick", "--posts", "20", "--accounts", "5", "--rate", "20", "--seconds", "1", "--scheduled", "200", "--facts", "300", "--ahead", "2s",
	"--json", "-",
}

// parse reads flags as the command does.
func parse(args ...string) (o Options, err error) {
	f := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	o.AddFlags(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o, o.Complete(f)
}

func run(t *testing.T, out, errOut io.Writer, args ...string) error {
	t.Helper()
	o, err := parse(slices.Concat(tiny, args)...)
	if err != nil {
		t.Fatal(err)
	}
	return o.Run(t.Context(), out, errOut)
}

// report runs a tiny bench and reads its JSON.
func report(t *testing.T, args ...string) (r Report, table string) {
	t.Helper()
	var out, errOut bytes.Buffer
	if err := run(t, &out, &errOut, args...); err != nil {
		t.Fatalf("%v\n%s", err, errOut.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return r, errOut.String()
}

func TestBench(t *testing.T) {
	t.Parallel()
	// Each part by itself: they run side by side.
	run := func(t *testing.T, part, words string) Report {
		t.Helper()
		t.Parallel()
		r, table := report(t, "--only", part)
		if len(r.Failures) > 0 {
			t.Fatal(r.Failures)
		}
		for _, words := range []string{"Baseline, bare", words, "is POSTED"} {
			if !strings.Contains(table, words) {
				t.Errorf("the table lacks %q:\n%s", words, table)
			}
		}
		return r
	}
	t.Run("lateness", func(t *testing.T) {
		r := run(t, partLateness, "Lateness at 20 posts a second")
		coherent(t, "ours", r.Lateness.Ours, 20)
		coherent(t, "bare", r.Lateness.Bare, 20)
		b := r.Baseline
		for what, v := range map[string]float64{
			"calls": b.CallsPerSecond, "singles": b.SinglesPerSecond, "batched": b.BatchedPerSecond,
			"commits": b.CommitsPerSecond, "sync": b.SyncMs,
		} {
			if v <= 0 {
				t.Errorf("the baseline of %s is %v", what, v)
			}
		}
		if m := r.Machine; m.Fsync != "on" || m.SynchronousCommit != "on" || m.NATSSync != "always" || m.Cores < 1 {
			t.Errorf("the machine is %+v", m)
		}
		if r.Burst != nil || r.Restart != nil {
			t.Error("other figures were made too")
		}
	})
	t.Run("burst", func(t *testing.T) {
		r := run(t, partBurst, "Burst: 20 posts of 5 accounts")
		coherent(t, "ours", r.Burst.Ours, 20)
		f := r.Burst
		if f.Prepared > 20 || f.OfBare <= 0 || f.Cost.Stored < 1 || f.Cost.Delivered < 1 || f.By != "target" {
			t.Errorf("the burst is %+v", f)
		}
	})
	t.Run("restart", func(t *testing.T) {
		r := run(t, partRestart, "Restart of a killed publisher with 200")
		if f := r.Restart; f.Scheduled != 200 || f.Seconds <= 0 || f.Empty <= 0 || f.First < 0 {
			t.Errorf("the restart is %+v", f)
		}
	})
	t.Run("api", func(t *testing.T) {
		f := run(t, partAPI, "HTTP API: schedule calls").API
		for what, a := range map[string]Answers{"full": f.Full.Answers, "half": f.Half.Answers, "list": f.List} {
			if a.Count == 0 || a.P50 <= 0 || a.P50 > a.P90 || a.P90 > a.P99 || a.P99 > a.Max {
				t.Errorf("%s does not add up: %+v", what, a)
			}
		}
		if f.Full.PerSecond <= 0 || f.BarePerSecond <= 0 || f.Rows < 200 {
			t.Errorf("the figure is %+v", f)
		}
	})
	t.Run("cost", func(t *testing.T) {
		f := run(t, partCost, "Cost of a post, 50 a second").Cost
		coherent(t, "ours", f.Ours, 100)
		if c := f.Cost; c.Commits <= 0 || c.WAL <= 0 || c.Stored <= 0 || c.Statements == 0 || len(c.CPU) != 4 || f.Accept.Count != 100 {
			t.Errorf("the figure is %+v", f)
		}
	})
	t.Run("rebuild", func(t *testing.T) {
		if f := run(t, partRebuild, "Rebuild of the table from EVENTS").Rebuild; f.Facts < 300 || f.Posts < 100 || f.PerSecond <= 0 {
			t.Errorf("the rebuild is %+v", f)
		}
	})
}

// River's program is built, does the work, and is held against ours.
func TestPeers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "river")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join("..", "peers"), "-o", program, ".")
	build.Env = append(os.Environ(), "GOFLAGS=") // ours may ask for the race detector
	if said, err := build.CombinedOutput(); err != nil {
		t.Skipf("River's program cannot be built here: %s", said)
	}
	var o PeerOptions
	f := pflag.NewFlagSet("peers", pflag.ContinueOnError)
	o.AddFlags(f)
	err := f.Parse([]string{
		"--river", program, "--pairs", "2", "--posts", "20", "--accounts", "5", "--rate", "20", "--seconds", "1", "--rows", "200", "--ahead", "2s",
		"--json", "-",
	})
	if err = errors.Join(err, o.Mistakes()); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if err := o.Run(t.Context(), &out, &errOut); err != nil {
		t.Fatalf("%v\n%s", err, &errOut)
	}
	var r PeersReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Pairs) != 2 || len(r.Failures) > 0 || r.River == "" || r.River == "unknown" {
		t.Fatalf("the report is %s", &out)
	}
	for _, p := range r.Pairs {
		for who, f := range map[string]PeerRun{"ours": p.Ours, "River": p.River} {
			coherent(t, who, f.Burst, 20)
			coherent(t, who, f.Lateness, 20)
			a := f.Accept
			if a.Full.Count != 20 || a.Full.PerSecond <= 0 || a.Half.Count == 0 || a.Half.PerSecond <= 0 || a.Cost.WAL <= 0 || f.Cost.WAL <= 0 { // commits are counted up to ten seconds late
				t.Errorf("the run of %s is %+v", who, f)
			}
			if read := f.Lists.Count > 0; read != (who == "ours") {
				t.Errorf("beside the run of %s %d lists were read", who, f.Lists.Count)
			}
		}
	}
	for _, ratio := range ratios {
		if got := r.Ratios[ratio.name]; len(got) != 2 {
			t.Errorf("the ratios of %q are %v", ratio.name, got)
		}
	}
	if said := errOut.String(); !strings.Contains(said, "Ours by River's: median, least and greatest of 2 pairs") {
		t.Errorf("the table is\n%s", said)
	}
}

func coherent(t *testing.T, what string, d Delivery, posts int) {
	t.Helper()
	l, sum := d.Lateness, 0
	for _, b := range l.Histogram {
		sum += b.Posts
	}
	if d.Posts != posts || sum != posts || d.Doubles != 0 || d.Early != 0 || d.PerSecond <= 0 ||
		l.Min < 0 || l.Min > l.P50 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.Max {
		t.Errorf("%s does not add up: %+v", what, d)
	}
}

// Another server that speaks the two calls and nothing else: reads are answered in its place, and its arrivals are told
// by calledAt.
func TestOtherTarget(t *testing.T) {
	t.Parallel()
	c := newCounter()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/v1.0/me/threads") {
			http.NotFound(w, r)
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(other.Close)
	r, table := report(t, "--only", "burst", "--target", other.URL)
	if len(r.Failures) > 0 {
		t.Fatal(r.Failures)
	}
	coherent(t, "burst", r.Burst.Ours, 20)
	if r.Burst.By != "calledAt" || !strings.Contains(table, "the target does not tell") {
		t.Errorf("arrivals are told by %s", r.Burst.By)
	}
	if d := weigh(of("burst", c.Arrivals())); d.Posts != 20 || d.Doubles != 0 || d.Early != 0 {
		t.Errorf("the server saw %+v", d)
	}
}

// A run whose posts do not all arrive once is not valid, however fast it was.
func TestUnfaithfulTarget(t *testing.T) {
	t.Parallel()
	c := newCounter()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_sim/posts" {
			c.ServeHTTP(w, r)
			return
		}
		list := c.Arrivals()
		if posts := of("burst", list); len(posts) > 1 { // one is lost, another is there twice
			list = append(posts[1:], posts[1])
		}
		answer(w, http.StatusOK, map[string]any{"data": list})
	}))
	t.Cleanup(target.Close)
	var out bytes.Buffer
	err := run(t, &out, io.Discard, "--only", "burst", "--target", target.URL)
	if !errors.Is(err, ErrFailed) {
		t.Fatalf("the bench ended with %v", err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Failures, "\n")
	for _, words := range []string{"1 posts of burst never arrived", "1 posts of burst arrived more than once"} {
		if !strings.Contains(said, words) {
			t.Errorf("it lacks %q: %s", words, said)
		}
	}
	if r.Burst.Ours.Doubles != 1 || r.Burst.By != "target" {
		t.Errorf("the burst is %+v", r.Burst)
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newCounter())
	t.Cleanup(server.Close)
	api := threads.New(threads.Config{BaseURL: server.URL})
	post := func(text string) (container string) {
		t.Helper()
		id, err := api.CreateContainer(t.Context(), "any", threads.Container{MediaType: threads.Text, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := api.Publish(t.Context(), "any", id, nil); err != nil {
			t.Fatal(err)
		}
		return id
	}
	now := time.Now()
	late, early := "late "+dueWord(now.Add(-time.Second)), "early "+dueWord(now.Add(time.Hour))
	id := post(late)
	post(late)
	post(early)
	post("no word of when")

	if _, err := api.Publish(t.Context(), "any", id, nil); threads.ClassOf(err) != threads.NotReady {
		t.Errorf("a container was published twice: %v", err)
	}
	if st, err := api.ContainerStatus(t.Context(), "any", id); err != nil || st.Status != threads.StatusPublished {
		t.Errorf("a published container is %+v, %v", st, err)
	}
	// As others call it: parameters in the query, or JSON.
	for _, call := range []struct{ query, kind, body string }{
		{"?text=in+the+query&media_type=TEXT", "", ""},
		{"", "application/json", `{"text":"in JSON","media_type":"TEXT"}`},
	} {
		resp, err := http.Post(server.URL+"/me/threads"+call.query, call.kind, strings.NewReader(call.body))
		if err != nil {
			t.Fatal(err)
		}
		var made struct{ ID string }
		if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		resp, err = http.PostForm(server.URL+"/v1.0/me/threads_publish", url.Values{"creation_id": {made.ID}})
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%+v: %v", call, err)
		}
		_ = resp.Body.Close()
	}

	c := fetch(t, server.URL)
	if len(c) != 6 || c[4].Text != "in the query" || c[5].Text != "in JSON" {
		t.Errorf("arrived: %+v", c)
	}
	d := weigh(c)
	if d.Posts != 2 || d.Doubles != 1 || d.Early != 1 || d.Lateness.Max < 1000 {
		t.Errorf("they weigh %+v", d)
	}
	var b bytes.Buffer
	printArrivals(&b, c)
	for _, words := range []string{"6 publishes took effect, 3 of them", "doubles: 1, early: 1", "early", "#"} {
		if !strings.Contains(b.String(), words) {
			t.Errorf("the report lacks %q:\n%s", words, b.String())
		}
	}
}

func fetch(t *testing.T, url string) []Arrival {
	t.Helper()
	e := &env{System: &rig.System{ThreadsURL: url}}
	list, err := e.arrivals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestWeigh(t *testing.T) {
	t.Parallel()
	due := time.Date(2027, 1, 2, 9, 0, 0, 250e6, time.UTC)
	var list []Arrival
	for i := 1; i <= 100; i++ { // 1 ms to 100 ms late
		at := due.Add(time.Duration(i) * time.Millisecond)
		list = append(list, Arrival{Text: fmt.Sprintf("a %d %s", i, dueWord(due)), ArrivedNS: at.UnixNano()})
	}
	d := weigh(list)
	l := d.Lateness
	if d.Posts != 100 || d.Early != 0 || l.Min != 1 || l.P50 != 50 || l.P90 != 90 || l.P99 != 99 || l.Max != 100 {
		t.Errorf("it is %+v", d)
	}
	if d.Took != 0.1 || d.PerSecond < 999 || d.PerSecond > 1001 {
		t.Errorf("100 posts in 0.1 s are %v a second over %v s", d.PerSecond, d.Took)
	}
	at := map[float64]int{}
	for _, b := range l.Histogram {
		at[b.Below] = b.Posts
	}
	if at[2] != 1 || at[5] != 3 || at[100] != 50 || at[200] != 1 || at[1] != 0 {
		t.Errorf("the histogram is %v", l.Histogram)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--posts", "0"}, {"--only", "all"}, {"--target", "localhost"}, {"--posts", "10000", "--accounts", "10"},
		{"--ahead", "-1s"},
		{"--rows", "10"}, {"--rows", "-1", "--only", "burst"},
	} {
		if _, err := parse(args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	o, err := parse("--quick", "--posts", "77")
	if err != nil || o.posts != 77 || o.scheduled != 20_000 {
		t.Errorf("a quick run with a flag of its own is %+v, %v", o, err)
	}
}
