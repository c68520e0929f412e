package threadssim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestFaultsFireByExactCount(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults []threadssim.Fault
		want   []bool // of six publishes in a row: does it answer with an error?
	}{
		"the next":       {[]threadssim.Fault{{}}, []bool{true, false, false, false, false, false}},
		"the third":      {[]threadssim.Fault{{Nth: 3}}, []bool{false, false, true, false, false, false}},
		"three times":    {[]threadssim.Fault{{Times: 3}}, []bool{true, true, true, false, false, false}},
		"from second on": {[]threadssim.Fault{{Nth: 2, Times: 2}}, []bool{false, true, true, false, false, false}},
		"one each":       {[]threadssim.Fault{{}, {}}, []bool{true, true, false, false, false, false}},
		"two of a kind":  {[]threadssim.Fault{{Nth: 2}, {Nth: 2}}, []bool{false, true, true, false, false, false}},
		"somebody else":  {[]threadssim.Fault{{UserID: "1"}}, []bool{false, false, false, false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, threadssim.Options{})
			for _, f := range tc.faults {
				f.Op, f.Kind = threads.OpPublish, threadssim.ErrorBeforeCommit
				if err := w.sim.Inject(f); err != nil {
					t.Fatal(err)
				}
			}
			var got []bool
			for range tc.want {
				got = append(got, w.post("/v1.0/me/threads_publish", "creation_id", w.create("media_type", "TEXT", "text", "x")).status != 200)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if left := w.sim.Faults(); name != "somebody else" && len(left) != 0 {
				t.Errorf("not used up: %v", left)
			}
		})
	}
}

func TestFaultKinds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault     string
		cut       bool
		status    int
		code      string
		committed int
	}{
		"drop_response":      {`"kind":"drop_response"`, true, 0, "", 1},
		"drop_request":       {`"kind":"drop_request"`, true, 0, "", 0},
		"error_after_commit": {`"kind":"error_after_commit"`, false, 500, "10", 1},
		"with another error": {`"kind":"error_after_commit","http":403,"code":4,"subcode":2207051`, false, 403, "4/2207051", 1},
		"error_before":       {`"kind":"error_before_commit"`, false, 500, "2", 0},
		"not_found":          {`"kind":"not_found"`, false, 400, "24/4279009", 0},
		"edge_5xx":           {`"kind":"edge_5xx"`, false, 502, "", 0},
		"latency":            {`"kind":"latency","delay_ms":1`, false, 200, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, threadssim.Options{})
			r := w.send(http.MethodPost, "/_sim/faults", "application/json", `{"op":"publish",`+tc.fault+`}`)
			if r.status != 200 {
				t.Fatalf("inject: %s", r.raw)
			}
			r = w.post("/v1.0/me/threads_publish", "creation_id", w.create("media_type", "TEXT", "text", "x"))
			if (r.err != nil) != tc.cut || r.status != tc.status || r.code() != tc.code {
				t.Errorf("got %d %q (%v), want %d %q", r.status, r.code(), r.err, tc.status, tc.code)
			}
			if tc.fault == `"kind":"edge_5xx"` && !strings.HasPrefix(r.raw, "<html>") {
				t.Errorf("an edge speaks HTML, not %q", r.raw)
			}
			if got := len(w.sim.Posts()); got != tc.committed {
				t.Errorf("%d committed, want %d", got, tc.committed)
			}
			calls := w.sim.Calls()
			if last := calls[len(calls)-1]; last.Op != threads.OpPublish || last.Status != tc.status || last.User != "demo.user" {
				t.Errorf("last call %+v", last)
			}
		})
	}
}

func TestFaultDuringProcessing(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	if err := w.sim.Inject(threadssim.Fault{
		Op: threads.OpCreate, Kind: threadssim.ProcessingTime, DelayMS: 60_000, Failure: "INVALID_ASPEC_RATIO",
	}); err != nil {
		t.Fatal(err)
	}
	id := w.create("media_type", "VIDEO", "video_url", "https://cdn.example/a.mp4")
	if r := w.get("/v1.0/" + id); r.str("status") != threads.StatusInProgress {
		t.Errorf("at once: %s", r.raw)
	}
	w.clock.Add(time.Minute)
	r := w.get("/v1.0/"+id, "fields", "id,status,error_message")
	if r.status != 200 || r.str("status") != threads.StatusError || r.str("error_message") != "INVALID_ASPEC_RATIO" {
		t.Errorf("a minute later: %s", r.raw)
	}
}

func TestFaultsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	for _, body := range []string{
		`{"op":"pubish","kind":"latency"}`, `{"op":"publish","kind":"explode"}`, `{"op":"publish","kind":"processing"}`,
		`{"op":"publish","kind":"latency","dellay":1}`, `nonsense`,
	} {
		if r := w.send(http.MethodPost, "/_sim/faults", "application/json", body); r.status != 400 {
			t.Errorf("%s: %d %s", body, r.status, r.raw)
		}
	}
	for i := range 3 {
		w.send(http.MethodPost, "/_sim/faults", "application/json", fmt.Sprintf(`{"op":"publish","kind":"latency","nth":%d}`, i+1))
	}
	if n := len(w.sim.Faults()); n != 3 {
		t.Errorf("%d faults, want 3", n)
	}
	if r := w.send(http.MethodDelete, "/_sim/faults", "", ""); r.raw != `{"data":[]}` {
		t.Errorf("after the clearing: %s", r.raw)
	}
}
