package subprocess_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/omni-write/threads/internal/subprocess"
)

func TestMain(m *testing.M) {
	if !subprocess.Is() {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "server":
		ctx, stop := subprocess.UntilEOF(context.Background(), os.Stdin)
		defer stop()
		fmt.Println("http://127.0.0.1:1")
		fmt.Println("more of what it says")
		<-ctx.Done()
	case "failing":
		_, _ = io.WriteString(os.Stderr, "what is wrong with it")
		os.Exit(3)
	case "deaf":
		subprocess.EndWithInput()
		fmt.Println("http://127.0.0.1:2")
		select {}
	}
}

func serve(t *testing.T, word string, log io.Writer) (*subprocess.Process, error) {
	t.Helper()
	p, err := subprocess.Serve(t.Context(), subprocess.Command{Words: []string{word}, Log: log})
	if p != nil {
		t.Cleanup(p.Kill)
	}
	return p, err
}

func TestServe(t *testing.T) {
	t.Parallel()

	t.Run("one that serves says where, and stops with its input", func(t *testing.T) {
		t.Parallel()
		p, err := serve(t, "server", nil)
		if err != nil || p.URL != "http://127.0.0.1:1" || !p.Alive() {
			t.Fatalf("%v serves at %q: %v", p, p.URL, err)
		}
		p.Pause()
		p.CloseInput()
		p.Resume()
		if err := p.Wait(); err != nil || p.Alive() {
			t.Errorf("it ended with %v", err)
		}
	})

	t.Run("one that does not come up is ended, and what it said is kept", func(t *testing.T) {
		t.Parallel()
		var log subprocess.Output
		p, err := serve(t, "failing", &log)
		if err == nil || p.Status().ExitStatus() != 3 || log.String() != "what is wrong with it" {
			t.Errorf("%v: %v, %q", err, p.Status(), log.String())
		}
	})

	t.Run("one that is killed says so", func(t *testing.T) {
		t.Parallel()
		p, err := serve(t, "server", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Kill()
		if s := p.Status(); !s.Signaled() || s.Signal() != syscall.SIGKILL || p.Wait() == nil {
			t.Errorf("it ended with %v", p.Wait())
		}
	})

	t.Run("one that reads nothing is asked to stop when its input ends", func(t *testing.T) {
		t.Parallel()
		p, err := serve(t, "deaf", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.CloseInput()
		if s := p.Status(); !s.Signaled() || s.Signal() != syscall.SIGTERM {
			t.Errorf("it ended with %v", p.Wait())
		}
	})
}
