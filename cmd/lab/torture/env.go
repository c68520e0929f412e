package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/subprocess"
)

// normal is what the simulator is like between the faults: quick. It takes what a round needs no longer.
const normal = `{"processing_time":{"text":"100ms","image":"250ms","video":"400ms","carousel":"150ms"}}`

// waits are the publishers' waits, shrunk together with the simulator's delays: no fault holds a publish call back for
// longer than CALL_TIMEOUT and SECOND_CALL_AFTER together, so that a second call is as safe here as it is at Threads.
var waits = map[string]string{
	"PUBLISHER_LEAD_TEXT": "2s", "PUBLISHER_LEAD_IMAGE": "3s", "PUBLISHER_LEAD_VIDEO": "4s",
	"PUBLISHER_SWEEP_EVERY": "500ms", "PUBLISHER_SWEEP_GRACE": "400ms",
	"PUBLISHER_LEASE": "2s", "PUBLISHER_CALL_TIMEOUT": "2s",
	"PUBLISHER_SECOND_CALL_AFTER": "2s", "PUBLISHER_FINISHED_APART": "300ms", "PUBLISHER_CONFIRM_FOR": "10m",
	"PUBLISHER_LATE_AFTER": "8s", "PUBLISHER_SPACING": "50ms",
	"PUBLISHER_BREAKER_RETRY": "500ms", "PUBLISHER_THROTTLE_WAIT": "1s", "PUBLISHER_QUOTA_LOOK": "2s",
	"PUBLISHER_PERMALINK_WAIT": "1s", "DATABASE_CONNS": "12",
}

// env is everything that a run needs. All of it is real, and all but this one is in a process of its own.
type env struct {
	*rig.System

	o   Options
	out io.Writer

	pictures *pictureHost
	sim      *subprocess.Process
	workers  []*worker
	read     uint64 // of EVENTS
	emitted  map[string][]string
	judged   map[string]bool // the simulator's mistakes that were judged already
	old      []string        // posts of earlier rounds
	ctx      context.Context //nolint:containedctx // of the workers, which live as long as the run
}

func open(ctx context.Context, o Options, out io.Writer) (_ *env, err error) {
	e := &env{o: o, out: out, emitted: map[string][]string{}, judged: map[string]bool{}, ctx: ctx}
	if e.pictures, err = openPictureHost(ctx); err != nil {
		return nil, err
	}
	settings := map[string]string{
		"LOG_LEVEL": "info", "PUBLISHER_MEDIA_NETWORKS": e.pictures.network(), "PUBLISHER_MEDIA_PORTS": e.pictures.port(),
	}
	maps.Copy(settings, waits)
	e.System, err = rig.Open(ctx, rig.Options{Name: "torture", Dir: o.dir, Breakable: true, MaxConns: 8, Settings: settings})
	if err != nil {
		e.pictures.close()
		return nil, err
	}
	e.OnClose(e.pictures.close)
	e.sim, err = e.StartPart(ctx, rig.PartSimulator, nil, rig.PartSimulator, "--journal", filepath.Join(e.Dir, "simulator.journal"), "--knobs", normal)
	if err != nil {
		e.close(false)
		return nil, err
	}
	e.OnClose(e.sim.Stop)
	e.ThreadsURL = e.sim.URL
	return e, nil
}

// close ends everything. keep leaves the directory behind, with the logs of all processes.
func (e *env) close(keep bool) {
	for _, w := range e.workers {
		w.stop()
	}
	e.Close(keep)
	if keep {
		e.say("the logs of all processes are in %s", e.Dir)
	}
}

func (e *env) say(format string, args ...any) { _, _ = fmt.Fprintf(e.out, format+"\n", args...) }

// ask is one call to the simulator's own side.
func (e *env) ask(ctx context.Context, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, e.sim.URL+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask the simulator: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answered %s to %s %s: %s", resp.Status, method, path, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the simulator's answer to %s: %w", path, err)
	}
	return nil
}
