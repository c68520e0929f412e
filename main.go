// Omni Write · Threads puts people's posts on Meta Threads at the second they asked for, exactly once, and tells everyone
// what happened. One program; the first word says what runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // containers have no zone files

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/lab/bench"
	"github.com/omni-write/threads/cmd/lab/torture"
	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

const usage = `usage: threads [command]

  (none)       everything in one process: embedded NATS, private Postgres, simulated Threads
  demo         the same, and the story of the product; -exit ends after it
  bench        measure the delivery path on this machine; bench -h shows its flags, docs/benchmarks.md what it means
  torture      hold posts of all kinds against everything that can go wrong; torture -h shows its flags

  gateway, auth, publisher, tokenkeeper
               one service, against NATS_URL and DATABASE_URL
  migrate      bring database and streams to this version
  secrets      make the files of secrets that compose.yaml wants, in ./secrets or the directory given
  keys         make, list and change the keys that seal tokens, in TOKEN_KEYSET_FILE; docs/security.md
  simulator    a simulated Threads alone; simulator -h shows its flags
  replay       show or tell again the facts of EVENTS
  rebuild      build the table of posts anew from EVENTS, and show where the live one differs
  explain      everything that is known of one post
  reconcile    compare rows, streams and Threads; -mend sets right what is safe
  pause, resume
               hold the posts of one account back, and let them go again
  doctor       check a deployment, and say what is wrong with it
  dead         list, show and requeue what nobody could handle
  import-original
               take over accounts, queue and history of the system before this one; docs/moving.md
  healthcheck  ask the service in this container whether it is ready (ADMIN_ADDR)

Settings come from the environment; .env.example lists those that must be set.
`

// gcPercent lets the heap grow to four times of what lives before it is collected, unless GOGC says otherwise. What lives is
// small, some tens of MiB, and what a rush leaves behind is much.
const gcPercent = 300

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := process.Signals(context.Background())
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "threads: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	word := ""
	if len(args) > 0 {
		word, args = args[0], args[1:]
	}
	if err := crash.Arm(getenv); err != nil {
		return err
	}
	if word == "keys" {
		return ops.Keys(ctx, args, getenv, out, os.Stderr) // the file of its setting may not exist yet
	}
	common, err := process.Env[boot.Common](getenv)
	if err != nil {
		return err
	}
	builders := boot.Builders()
	// A flag must not be taken for consent: `migrate -h` asks what migrate does, and changes nothing.
	flagless := builders[word] != nil || word == "migrate" || word == "secrets" || word == "healthcheck"
	if len(args) > 0 && strings.HasPrefix(args[0], "-") && flagless {
		_, err := io.WriteString(out, usage)
		return errors.Join(err, flag.ErrHelp)
	}
	level := common.LogLevel
	if word == "demo" && getenv("LOG_LEVEL") == "" {
		level = "warn" // the story should be heard
	}
	log, err := process.Logger(level, common.LogFormat)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()

	if op := ops.OpWords()[word]; op != nil {
		return ops.RunOp(ctx, op, args, getenv, log, out, os.Stderr)
	}
	flush, err := common.Traces(ctx, word, log)
	if err != nil {
		return err
	}
	defer flush()
	switch {
	case word == "":
		return runHouse(ctx, getenv, log, out)
	case word == "demo":
		return runDemo(ctx, args, getenv, log, out)
	case word == "bench":
		return bench.Main(ctx, args, getenv, out, os.Stderr)
	case word == "torture":
		return torture.Main(ctx, args, getenv, out, os.Stderr)
	case word == "migrate":
		return boot.Migrate(ctx, getenv, log)
	case word == "secrets":
		return ops.Secrets(append(args, "secrets")[0], out)
	case word == "simulator":
		return runSimulator(ctx, args, getenv, log)
	case word == "healthcheck":
		return process.HealthCheck(ctx, common.AdminAddr)
	case builders[word] != nil:
		s, err := builders[word](ctx, getenv, log)
		if err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
		return process.Run(ctx, log, s.Part, process.Admin(common.AdminAddr, s.Ready))
	case word == "help", strings.HasPrefix(word, "-h"), word == "--help":
		_, err := io.WriteString(out, usage)
		return err
	default:
		known := slices.Concat(slices.Sorted(maps.Keys(builders)), slices.Sorted(maps.Keys(ops.OpWords())),
			[]string{"bench", "demo", "keys", "migrate", "secrets", "simulator", "torture"})
		return fmt.Errorf("there is no command %q; there are %s, and help", word, strings.Join(known, ", "))
	}
}

// runHouse runs everything until Ctrl-C.
func runHouse(ctx context.Context, getenv func(string) string, log *zap.Logger, out io.Writer) error {
	house, err := standalone.Start(ctx, getenv, log)
	if err != nil {
		return err
	}
	return house.Run(ctx, func(context.Context) error { return walkthrough.Welcome(out, house.Place) })
}

// runDemo runs everything and tells the story.
func runDemo(ctx context.Context, args []string, getenv func(string) string, log *zap.Logger, out io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	exit := flags.Bool("exit", false, "end after the story: status 0 when every step happened")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	house, err := standalone.Start(ctx, getenv, log)
	if err != nil {
		return err
	}
	return house.Run(ctx, func(ctx context.Context) error {
		if err := walkthrough.Tell(ctx, house.Place, out, !*exit); err != nil {
			return fmt.Errorf("the story broke off: %w", err)
		}
		if *exit {
			stop()
		}
		return nil
	})
}

// runSimulator serves a simulated Threads alone.
func runSimulator(ctx context.Context, args []string, getenv func(string) string, log *zap.Logger) error {
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:9099", "where to listen, `host:port`")
	appID := flags.String("app-id", threadssim.DefaultAppID, "the app's `id`")
	secret := flags.String("app-secret", threadssim.DefaultAppSecret, "the app's `secret`")
	secretFile := flags.String("app-secret-file", "", "`file` with the app's secret")
	approve := flags.Bool("auto-approve", false, "answer the authorize page at once, without a person")
	journal := flags.String("journal", "", "`file` for what must survive a restart (default: memory only)")
	quick := flags.Bool("quick", false, "nothing takes long and nothing is left to chance (default: as slow and as moody as Threads)")
	changes := flags.String("knobs", "", "`JSON` of knobs to start with, on top of the profile; docs/simulator.md lists them")
	seed := flags.Uint64("seed", 1, "`number` that chance begins with: the same seed and calls give the same outcome")
	redirects := flags.String("redirect-uris", "", "registered redirect `URIs`, separated by commas (default: any)")
	name := flags.String("app-name", "", "the app's `name` on the page that asks for consent (default Omni Write)")
	uninstall := flags.String("uninstall-url", "", "`URL` that is told when a person removes the app")
	deletion := flags.String("data-deletion-url", "", "`URL` that is told when a person wants their data deleted")
	hosts := flags.String("callback-hosts", "", "`hosts` besides this machine that webhooks and callbacks may go to, separated by commas")
	links := flags.String("permalink-base", "", "`address` that permalinks begin with, e.g. https://www.threads.com (default: the simulator itself)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *secretFile != "" {
		content, err := os.ReadFile(*secretFile)
		if err != nil {
			return fmt.Errorf("-app-secret-file: %w", err)
		}
		*secret = strings.TrimSpace(string(content))
	}
	knobs := threadssim.Realistic()
	if *quick {
		knobs = threadssim.Quick()
		knobs.ProcessingTime.Text = threadssim.Span{} // many clients publish a text as soon as its container is made
	}
	if *changes != "" {
		if err := knobs.Read([]byte(*changes)); err != nil {
			return fmt.Errorf("-knobs: %w", err)
		}
	}
	opts := threadssim.Options{AppID: *appID, AppSecret: *secret, AutoApprove: *approve, Journal: *journal, Knobs: &knobs,
		Seed: *seed, PermalinkBase: *links, AppName: *name, UninstallURL: *uninstall, DataDeletionURL: *deletion}
	if *hosts != "" {
		opts.CallbackHosts = strings.Split(*hosts, ",")
	}
	if *redirects != "" {
		opts.RedirectURIs = strings.Split(*redirects, ",")
	}
	sim, err := threadssim.New(opts)
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	server := &http.Server{Addr: *addr, Handler: sim, ReadHeaderTimeout: 5 * time.Second}
	// Only where it is asked for: beside a service on the same machine the usual address is taken.
	return process.Run(ctx, log, process.Admin(getenv("ADMIN_ADDR")), process.Part{Name: "simulator", Run: func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		log.Info("simulated Threads is up", zap.String("url", "http://"+*addr), zap.String("app_id", *appID))
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}})
}
