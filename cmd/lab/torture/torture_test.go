package torture

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/omni-write/threads/cmd/lab/rig/rigtest"
)

// The run starts itself again for all its parts; in a test that is the test's own binary.
func TestMain(m *testing.M) {
	rigtest.Main(m)
}

// TestSample is two rounds with the most dangerous faults, of another seed each day. TORTURE_SEED repeats one.
func TestSample(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UTC().YearDay())
	if s := os.Getenv("TORTURE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("TORTURE_SEED: %v", err)
		}
	}
	var out bytes.Buffer
	o := Options{minutes: 10, rounds: 2, from: 1, seed: seed, posts: 30, othersWithin: time.Second, top: true}
	r, err := o.run(t.Context(), &out)
	if r != nil {
		r.print(&out)
	}
	if err != nil || len(r.Violations) > 0 {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Logf("%s", out.String())
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}
