package progress

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// on is a context whose progress goes to out, by a clock of the test's own.
func on(t *testing.T, out *bytes.Buffer, terminal bool) (ctx context.Context, pass func(time.Duration)) {
	t.Helper()
	at := time.Date(2027, 1, 2, 9, 0, 0, 0, time.UTC)
	s := screen{out: out, terminal: terminal, now: func() time.Time { return at }}
	return context.WithValue(t.Context(), key{}, s), func(d time.Duration) { at = at.Add(d) }
}

func TestLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx, pass := on(t, &out, false)

	task := Start(ctx, "rebuild", "facts", 1000)
	pass(time.Second)
	task.Set(100, 0) // too early for a line
	pass(9 * time.Second)
	task.Set(400, 0)
	pass(time.Second)
	task.Set(500, 0) // so soon after the last
	pass(10 * time.Second)
	task.Add(100)
	task.Stop()

	unknown := Start(ctx, "looking", "posts", 0)
	pass(20 * time.Second)
	unknown.Set(10, 0)
	unknown.Stop()

	download := Start(ctx, "downloading", "bytes", 0)
	pass(10 * time.Second)
	download.Set(10<<20, 40<<20)
	download.Stop()

	clock := Start(ctx, "torture", "s", 300).Every(time.Minute)
	pass(30 * time.Second)
	clock.Set(30, 0)
	pass(30 * time.Second)
	clock.Set(60, 0)
	clock.Stop()

	want := `rebuild: 400 of 1000 facts, 40 a second, 15s left
rebuild: 600 of 1000 facts, 29 a second, 14s left
looking: 10 posts, 0.5 a second, after 20s
downloading: 10.0 MiB of 40.0 MiB, 1.0 MiB a second, 30s left
torture: 1m0s of 5m0s, 4m0s left
`
	if out.String() != want {
		t.Errorf("it says\n%swant\n%s", out.String(), want)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx, _ := on(t, &out, true)
	task := Start(ctx, "rebuild", "facts", 1000)
	task.Set(250, 0)
	task.Note("rebuild, half way")
	task.Set(500, 2000)
	task.Aside(func() { out.WriteString("a line\n") })
	task.Set(2000, 0)
	task.Stop()
	for _, words := range []string{"rebuild", "a line\n"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("it lacks %q: %q", words, out.String())
		}
	}
	drawn := out.Len()
	task.Set(1, 0)
	if out.Len() != drawn {
		t.Error("a bar goes on after its end")
	}
}

// Where nobody said where to, nothing is said and nothing breaks.
func TestSilent(t *testing.T) {
	t.Parallel()
	task := Start(t.Context(), "work", "posts", 10).Every(time.Second)
	task.Set(1, 20)
	task.Add(1)
	task.Note("more")
	did := false
	task.Aside(func() { did = true })
	task.Stop()
	if !did {
		t.Error("what is to be written aside is not")
	}
	if isTerminal(new(bytes.Buffer)) {
		t.Error("a buffer is taken for a terminal")
	}
}
