package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// The run starts itself again for all its parts; in a test that is the test's own binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "torture" {
		if err := Main(context.Background(), os.Args[2:], os.Getenv, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestSample is two rounds with the most dangerous troubles, of another seed each day. TORTURE_SEED repeats one.
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
	o := options{minutes: 10, rounds: 2, from: 1, seed: seed, posts: 30, othersWithin: time.Second, top: true}
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
