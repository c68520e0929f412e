package doctor

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/auth"
)

// reachThreads asks Threads for anything, and then whether it takes the app's id and secret.
func (e *examination) reachThreads(ctx context.Context) {
	base := cmp.Or(e.getenv("THREADS_API_URL"), threads.DefaultBaseURL)
	_, date, err := fetch(ctx, base)
	if err != nil {
		e.say(Wrong, "threads", "Threads cannot be reached at %s: %s", base, oneLine(err))
		return
	}
	e.say(Well, "threads", "Threads answers at %s.", base)
	if at, err := http.ParseTime(date); err == nil {
		if skew := time.Since(at); skew.Abs() > 3*time.Second {
			e.say(Warning, "clock", "Threads' clock and ours are %s apart: posts go out by ours. Is NTP running?", skew.Abs().Round(time.Second))
		}
	}
	cfg, _ := auth.ConfigFromEnv(e.getenv)
	if cfg.AppID == "" || cfg.AppSecret == "" {
		return // settings has said so
	}
	var refused *threads.Error
	switch err := threads.New(cfg.Threads()).CheckApp(ctx); {
	case err == nil:
		e.say(Well, "threads", "Threads takes THREADS_APP_ID and THREADS_APP_SECRET.")
	case errors.As(err, &refused) && refused.Class != threads.Transient && refused.Class != threads.Quota:
		e.say(Wrong, "threads", "Threads refuses THREADS_APP_ID with THREADS_APP_SECRET: nobody can connect an account, and no callback of Meta's is taken. "+
			"Both are in the dashboard under the Threads use case, and are not the Meta app's. (%s)", oneLine(err))
	default:
		e.say(Warning, "threads", "Whether THREADS_APP_SECRET is right cannot be found out at the moment: %s", oneLine(err))
	}
}
