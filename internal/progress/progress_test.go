package progress

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx := context.WithValue(t.Context(), key{}, &out)
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

// Where there is no terminal nothing is shown, for others read what is written there, and nothing breaks.
func TestSilent(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	ctx := To(t.Context(), &log)
	if Shown(ctx) {
		t.Error("it is shown in a log")
	}
	task := Start(ctx, "work", "posts", 10)
	task.Set(1, 20)
	task.Add(1)
	task.Note("more")
	did := false
	task.Aside(func() { did = true })
	task.Stop()
	if !did {
		t.Error("what is to be written aside is not")
	}
	if log.Len() > 0 {
		t.Errorf("a log has %q", log.String())
	}
}
