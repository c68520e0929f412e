package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/process"
)

type settings struct {
	Port   int           `env:"PORT" envDefault:"3000"`
	Wait   time.Duration `env:"WAIT" envDefault:"10s"`
	Secret string        `env:"SECRET"`
	Names  []string      `env:"NAMES"`
}

func (s settings) Mistakes() []error {
	if s.Secret == "" {
		return []error{errors.New("SECRET is required")}
	}
	return nil
}

func TestEnv(t *testing.T) {
	t.Parallel()
	read := func(vars map[string]string) (settings, error) {
		return process.Env[settings](func(name string) string { return vars[name] })
	}

	t.Run("takes what is set and defaults for the rest, also where it is set but empty", func(t *testing.T) {
		t.Parallel()
		got, err := read(map[string]string{"SECRET": "s", "WAIT": "2m", "PORT": "", "NAMES": "a,b"})
		if err != nil || got.Port != 3000 || got.Wait != 2*time.Minute || len(got.Names) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
	})

	t.Run("takes a setting from a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(map[string]string{"SECRET_FILE": file})
		if err != nil || got.Secret != "from a file" {
			t.Fatalf("%q, %v", got.Secret, err)
		}
	})

	t.Run("names every mistake at once and shows no value", func(t *testing.T) {
		t.Parallel()
		_, err := read(map[string]string{"PORT": "hunter2", "WAIT": "hunter3", "NAMES": "x", "NAMES_FILE": "y"})
		if err == nil {
			t.Fatal("took everything")
		}
		for _, want := range []string{
			"PORT is not a whole number", "WAIT is not a duration", "NAMES and NAMES_FILE are both set", "SECRET is required",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("nothing like %q in: %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("shows a value: %v", err)
		}
	})

	t.Run("takes a required setting that is set but empty for missing", func(t *testing.T) {
		t.Parallel()
		type needy struct {
			Name string `env:"NAME,required"`
		}
		_, err := process.Env[needy](func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), "NAME") {
			t.Fatal(err)
		}
	})

	t.Run("says which file cannot be read", func(t *testing.T) {
		t.Parallel()
		_, err := read(map[string]string{"SECRET_FILE": "/nowhere/at/all"})
		if err == nil || !strings.Contains(err.Error(), "SECRET_FILE") {
			t.Fatal(err)
		}
	})
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, args := range [][2]string{{"", ""}, {"debug", "json"}, {"error", "console"}} {
		if log, err := process.Logger(args[0], args[1]); err != nil || log == nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, args := range [][2]string{{"loud", ""}, {"", "xml"}} {
		if _, err := process.Logger(args[0], args[1]); err == nil {
			t.Errorf("took %v", args)
		}
	}
}
