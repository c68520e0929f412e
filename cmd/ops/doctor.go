package ops

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/auth"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/tokenkeeper"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
}

// Level is how bad a finding is.
type Level string

// The levels. A deployment with something wrong does not do its work; one with a warning does, and somebody should know.
const (
	Well    Level = "ok"
	Warning Level = "warning"
	Wrong   Level = "wrong"
)

// errUnwell is the end of a doctor that found something wrong.
var errUnwell = errors.New("something is wrong with this deployment; the lines above say what")

// doctor checks a deployment from outside and says in plain words what is wrong.
func doctor(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("doctor", "doctor [-json]: check settings, NATS, Postgres, keys, clock, issuer and Threads; status 1 when something is wrong")
	asJSON := f.Bool("json", false, "JSON (default: a table)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("doctor takes flags only, not %q", f.Arg(0))
	}
	d := &examination{o: o}
	for _, look := range []func(context.Context){d.settings, d.addresses, d.scopes, d.nats, d.postgres, d.posts, d.keys, d.issuer, d.reachThreads} {
		look(ctx)
	}
	if err := d.print(*asJSON); err != nil {
		return err
	}
	if slices.ContainsFunc(d.found, func(f Finding) bool { return f.Level == Wrong }) {
		return errUnwell
	}
	return nil
}

type examination struct {
	o     *Ops
	found []Finding
}

func (d *examination) say(level Level, check, format string, args ...any) {
	d.found = append(d.found, Finding{check, level, fmt.Sprintf(format, args...)})
}

func (d *examination) print(asJSON bool) error {
	if asJSON {
		return d.o.printJSON(d.found)
	}
	for _, f := range d.found {
		if _, err := fmt.Fprintf(d.o.out, "%-8s %-10s %s\n", f.Level, f.Check, f.Says); err != nil {
			return err
		}
	}
	return nil
}

// settings reads the settings of each service as it would itself.
func (d *examination) settings(context.Context) {
	for _, s := range []struct {
		name string
		read func(func(string) string) error
	}{
		{"gateway", func(env func(string) string) error { _, err := gateway.ConfigFromEnv(env); return err }},
		{"auth", func(env func(string) string) error { _, err := auth.ConfigFromEnv(env); return err }},
		{"publisher", func(env func(string) string) error { _, err := publisher.ConfigFromEnv(env); return err }},
		{"tokenkeeper", func(env func(string) string) error { _, err := tokenkeeper.ConfigFromEnv(env); return err }},
	} {
		if err := s.read(d.o.getenv); err != nil {
			d.say(Wrong, "settings", "The settings of %s would not do here: %s", s.name, oneLine(err))
			continue
		}
		d.say(Well, "settings", "The settings of %s are complete.", s.name)
	}
	if err := d.o.common.Missing(); err != nil {
		d.say(Wrong, "settings", "%s", oneLine(err))
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// callback is the path that Threads must send browsers back to.
const callback = "/api/auth/threads/callback"

// addresses looks whether the addresses agree with each other: a redirect URI that is a letter off loses every connect.
func (d *examination) addresses(context.Context) {
	redirect := d.o.getenv("THREADS_REDIRECT_URI")
	u, err := url.Parse(redirect)
	switch {
	case redirect == "" || err != nil || u.Host == "":
		return // settings has said so
	case u.Path != callback:
		d.say(Wrong, "addresses", "THREADS_REDIRECT_URI ends in %q; the gateway answers at %s.", u.Path, callback)
	case u.Scheme != "https" && !isLocal(u.Hostname()):
		d.say(Wrong, "addresses", "THREADS_REDIRECT_URI is http; Threads takes https, but for a machine of one's own.")
	default:
		d.say(Well, "addresses", "Threads sends browsers back to %s; the app's dashboard must have it to the letter.", redirect)
	}
	if public, err := url.Parse(d.o.getenv("PUBLIC_URL")); err == nil && public.Host != "" && public.Host != u.Host {
		d.say(Warning, "addresses", "PUBLIC_URL is on %s and THREADS_REDIRECT_URI on %s: the cookie of a connect is lost between two hosts.", public.Host, u.Host)
	}
}

func isLocal(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// what each scope is for.
var scopeFor = map[string]string{
	threads.ScopeContentPublish: "publishing", threads.ScopeReadReplies: "finding out what became of a reply whose answer was lost",
	threads.ScopeManageReplies: "hiding and approving replies", threads.ScopeManageInsights: "insights", threads.ScopeDelete: "deleting",
}

func (d *examination) scopes(context.Context) {
	cfg, err := auth.ConfigFromEnv(d.o.getenv)
	if err != nil {
		return // settings has said so
	}
	var lacks []string
	for _, scope := range []string{threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights, threads.ScopeDelete} {
		if !slices.ContainsFunc(cfg.Scopes, func(s string) bool { return strings.TrimSpace(s) == scope }) {
			lacks = append(lacks, scope+" ("+scopeFor[scope]+")")
		}
	}
	if len(lacks) > 0 {
		d.say(Warning, "scopes", "THREADS_DEFAULT_SCOPES asks for fewer scopes than there is use for: without %s.", strings.Join(lacks, ", "))
		return
	}
	d.say(Well, "scopes", "People are asked for all that the product uses.")
}

func (d *examination) nats(ctx context.Context) {
	b, err := d.o.streams(ctx)
	if err != nil {
		d.say(Wrong, "nats", "%s", oneLine(err))
		return
	}
	nc := b.JetStream().Conn()
	trip, err := nc.RTT()
	if err != nil {
		d.say(Wrong, "nats", "NATS does not answer: %s", oneLine(err))
		return
	}
	d.say(Well, "nats", "NATS %s answers in %s.", nc.ConnectedServerVersion(), trip.Round(10*time.Microsecond))
	var streams, durables []string
	for _, s := range events.Streams(d.o.common.Replicas, d.o.common.EventsMaxAge) {
		streams = append(streams, s.Name)
	}
	for _, c := range events.Durables() {
		durables = append(durables, c.Config.Durable)
	}
	if err := bus.Verify(ctx, b, streams, durables); err != nil {
		d.say(Wrong, "streams", "%s", oneLine(err))
		return
	}
	d.say(Well, "streams", "All streams and durables are as this version needs them.")
	for _, name := range streams {
		d.stream(ctx, b.JetStream(), name)
	}
	for _, c := range events.Durables() {
		d.durable(ctx, b.JetStream(), c)
	}
}

// behind is how many messages may wait at a durable before it is worth a word.
const behind = 1000

func (d *examination) stream(ctx context.Context, js jetstream.JetStream, name string) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		d.say(Wrong, "streams", "%s cannot be read: %s", name, oneLine(err))
		return
	}
	info := s.CachedInfo()
	if info.Config.Replicas != d.o.common.Replicas {
		d.say(Warning, "streams", "%s has %d replicas, NATS_REPLICAS says %d: run migrate.", name, info.Config.Replicas, d.o.common.Replicas)
	}
	if full := info.Config.MaxBytes; full > 0 && info.State.Bytes > uint64(full)*8/10 {
		d.say(Warning, "streams", "%s is %d %% full; when it is full, new work is refused.", name, 100*info.State.Bytes/uint64(full))
	}
	if name == events.StreamDead && info.State.Msgs > 0 {
		d.say(Warning, "streams", "%d dead letters: nobody could handle them; `dead list` shows why.", info.State.Msgs)
	}
}

func (d *examination) durable(ctx context.Context, js jetstream.JetStream, c events.Durable) {
	consumer, err := js.Consumer(ctx, c.Stream, c.Config.Durable)
	if err != nil {
		d.say(Wrong, "streams", "%s cannot be read: %s", c.Config.Durable, oneLine(err))
		return
	}
	info := consumer.CachedInfo()
	switch {
	case info.NumWaiting == 0 && info.NumAckPending == 0:
		d.say(Warning, "streams", "Nobody reads %s: is its service running?", c.Config.Durable)
	case info.NumPending > behind:
		d.say(Warning, "streams", "%s is %d messages behind.", c.Config.Durable, info.NumPending)
	}
}

func (d *examination) postgres(ctx context.Context) {
	db, err := d.o.database(ctx)
	if err != nil {
		d.say(Wrong, "postgres", "%s", oneLine(err))
		return
	}
	var version, fsync, commit string
	var now time.Time
	asked := time.Now()
	err = db.NewRaw("SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), clock_timestamp()").
		Scan(ctx, &version, &fsync, &commit, &now)
	if err != nil {
		d.say(Wrong, "postgres", "Postgres does not answer: %s", oneLine(err))
		return
	}
	d.say(Well, "postgres", "Postgres %s answers.", version)
	if fsync != "on" || commit == "off" {
		d.say(Wrong, "postgres", "fsync is %s and synchronous_commit %s: an accepted post could be lost with the machine's power.", fsync, commit)
	}
	half := time.Since(asked) / 2
	if skew := now.Sub(asked.Add(half)); skew.Abs() > half+200*time.Millisecond {
		d.say(Warning, "clock", "Postgres' clock and ours are %s apart; leases are judged by its clock, due times by ours. Is NTP running on both?", skew.Abs().Round(time.Millisecond))
	} else {
		d.say(Well, "clock", "Postgres' clock and ours agree.")
	}
	pending, err := pg.Pending(ctx, db)
	switch {
	case err != nil:
		d.say(Wrong, "postgres", "The migrations cannot be read: %s", oneLine(err))
	case len(pending) > 0:
		d.say(Wrong, "postgres", "The database lacks %d migrations (%s); run migrate.", len(pending), strings.Join(pending, ", "))
	default:
		d.say(Well, "postgres", "The database is of this version.")
	}
}

// posts counts what an operator should know of.
func (d *examination) posts(ctx context.Context) {
	if d.o.db == nil {
		return // postgres has said so
	}
	var parked, overdue, untold, reconnect int
	err := d.o.db.NewRaw(`SELECT (SELECT count(*) FROM posts WHERE state = 'parked'),
		(SELECT count(*) FROM posts WHERE wake_at < now() - interval '1 minute'),
		(SELECT count(*) FROM posts WHERE told_rev < rev AND updated_at < now() - interval '1 minute'),
		(SELECT count(*) FROM social_connections WHERE status = ?)`, events.ConnectionReconnectRequired).Scan(ctx, &parked, &overdue, &untold, &reconnect)
	if err != nil {
		d.say(Wrong, "posts", "The posts cannot be counted: %s", oneLine(err))
		return
	}
	level := func(n int, bad Level) Level {
		if n > 0 {
			return bad
		}
		return Well
	}
	d.say(level(overdue, Wrong), "posts", "%d posts are overdue to be looked at by more than a minute.", overdue)
	d.say(level(parked, Warning), "posts", "%d posts are parked and need a person.", parked)
	d.say(level(untold, Warning), "posts", "%d changes are not told on EVENTS for more than a minute.", untold)
	d.say(level(reconnect, Warning), "accounts", "%d accounts need their owner to connect them again.", reconnect)
}

// samples is how many sealed tokens are opened.
const samples = 25

func (d *examination) keys(ctx context.Context) {
	if d.o.common.Keyset == "" {
		return // settings has said so
	}
	v, err := boot.OpenVault(d.o.common)
	if err != nil {
		d.say(Wrong, "keys", "%s", oneLine(err))
		return
	}
	if d.o.db == nil {
		return
	}
	var rows []accounts.Account
	err = d.o.db.NewSelect().Model(&rows).Where("access_token IS NOT NULL").OrderBy("updated_at", bun.OrderDesc).Limit(samples).Scan(ctx)
	if err != nil {
		d.say(Wrong, "keys", "The sealed tokens cannot be read: %s", oneLine(err))
		return
	}
	closed := 0
	for _, a := range rows {
		if _, err := v.Open(a.ID, a.Sealed); err != nil {
			closed++
		}
	}
	if closed > 0 {
		d.say(Wrong, "keys", "TOKEN_KEYSET does not open %d of %d sealed tokens: is it the keyset of this database?", closed, len(rows))
		return
	}
	d.say(Well, "keys", "TOKEN_KEYSET opens the sealed tokens (%d tried).", len(rows))
}

// issuer asks the issuer of bearer tokens for its keys, as the gateway does.
func (d *examination) issuer(ctx context.Context) {
	base := strings.TrimRight(d.o.getenv("AUTH_ISSUER"), "/")
	if base == "" {
		return // settings has said so
	}
	address := d.o.getenv("AUTH_JWKS_URL")
	if address == "" {
		address = base + "/.well-known/jwks.json"
	}
	status, _, err := fetch(ctx, address)
	switch {
	case err != nil:
		d.say(Wrong, "issuer", "The issuer's keys cannot be had at %s: %s", address, oneLine(err))
	case status != http.StatusOK:
		d.say(Warning, "issuer", "%s answers %d; the gateway also asks the issuer's discovery document.", address, status)
	default:
		d.say(Well, "issuer", "The issuer's keys are at %s.", address)
	}
}

func (d *examination) reachThreads(ctx context.Context) {
	base := d.o.getenv("THREADS_API_URL")
	if base == "" {
		base = threads.DefaultBaseURL
	}
	_, date, err := fetch(ctx, base)
	if err != nil {
		d.say(Wrong, "threads", "Threads cannot be reached at %s: %s", base, oneLine(err))
		return
	}
	d.say(Well, "threads", "Threads answers at %s.", base)
	if at, err := http.ParseTime(date); err == nil {
		if skew := time.Since(at); skew.Abs() > 3*time.Second {
			d.say(Warning, "clock", "Threads' clock and ours are %s apart: posts go out by ours. Is NTP running?", skew.Abs().Round(time.Second))
		}
	}
}

// fetch gets an address and throws the answer away, but for its status and date.
func fetch(ctx context.Context, address string) (status int, date string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
	return resp.StatusCode, resp.Header.Get("Date"), nil
}
