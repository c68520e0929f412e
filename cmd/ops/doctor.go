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
	"github.com/omni-write/threads/internal/posts/queue"
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

// Doctor checks the deployment from outside and says in plain words what is wrong.
func (d *Deployment) Doctor(ctx context.Context, asJSON bool) error {
	e := &examination{d: d}
	for _, check := range []func(context.Context){e.settings, e.addresses, e.scopes, e.nats, e.postgres, e.posts, e.keys, e.issuer, e.reachThreads} {
		check(ctx)
	}
	if err := e.print(asJSON); err != nil {
		return err
	}
	if slices.ContainsFunc(e.found, func(f Finding) bool { return f.Level == Wrong }) {
		return errUnwell
	}
	return nil
}

type examination struct {
	d     *Deployment
	found []Finding
}

func (e *examination) say(level Level, check, format string, args ...any) {
	e.found = append(e.found, Finding{check, level, fmt.Sprintf(format, args...)})
}

func (e *examination) print(asJSON bool) error {
	if asJSON {
		return e.d.printJSON(e.found)
	}
	for _, f := range e.found {
		if _, err := fmt.Fprintf(e.d.out, "%-8s %-10s %s\n", f.Level, f.Check, f.Says); err != nil {
			return err
		}
	}
	return nil
}

// settings reads the settings of each service as it would itself.
func (e *examination) settings(context.Context) {
	for _, s := range []struct {
		name string
		read func(func(string) string) error
	}{
		{"gateway", func(env func(string) string) error { _, err := gateway.ConfigFromEnv(env); return err }},
		{"auth", func(env func(string) string) error { _, err := auth.ConfigFromEnv(env); return err }},
		{"publisher", func(env func(string) string) error { _, err := publisher.ConfigFromEnv(env); return err }},
		{"tokenkeeper", func(env func(string) string) error { _, err := tokenkeeper.ConfigFromEnv(env); return err }},
	} {
		if err := s.read(e.d.getenv); err != nil {
			e.say(Wrong, "settings", "The settings of %s would not do here: %s", s.name, oneLine(err))
			continue
		}
		e.say(Well, "settings", "The settings of %s are complete.", s.name)
	}
	if err := e.d.common.Missing(); err != nil {
		e.say(Wrong, "settings", "%s", oneLine(err))
	}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// callback is the path that Threads must send browsers back to.
const callback = "/api/auth/threads/callback"

// addresses looks whether the addresses agree with each other: a redirect URI that is a letter off loses every connect.
func (e *examination) addresses(context.Context) {
	redirect := e.d.getenv("THREADS_REDIRECT_URI")
	u, err := url.Parse(redirect)
	switch {
	case redirect == "" || err != nil || u.Host == "":
		return // settings has said so
	case u.Path != callback:
		e.say(Wrong, "addresses", "THREADS_REDIRECT_URI ends in %q; the gateway answers at %s.", u.Path, callback)
	case u.Scheme != "https" && !isLocal(u.Hostname()):
		e.say(Wrong, "addresses", "THREADS_REDIRECT_URI is http; Threads takes https, but for a machine of one's own.")
	default:
		e.say(Well, "addresses", "Threads sends browsers back to %s; the app's dashboard must have it to the letter.", redirect)
	}
	if public, err := url.Parse(e.d.getenv("PUBLIC_URL")); err == nil && public.Host != "" && public.Host != u.Host {
		e.say(Warning, "addresses", "PUBLIC_URL is on %s and THREADS_REDIRECT_URI on %s: the cookie of a connect is lost between two hosts.", public.Host, u.Host)
	}
}

func isLocal(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// what each scope is for.
var scopeFor = map[string]string{
	threads.ScopeContentPublish: "publishing", threads.ScopeReadReplies: "finding out what became of a reply whose answer was lost",
	threads.ScopeManageReplies: "hiding and approving replies", threads.ScopeManageInsights: "insights", threads.ScopeDelete: "deleting",
}

func (e *examination) scopes(context.Context) {
	cfg, err := auth.ConfigFromEnv(e.d.getenv)
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
		e.say(Warning, "scopes", "THREADS_DEFAULT_SCOPES asks for fewer scopes than there is use for: without %s.", strings.Join(lacks, ", "))
		return
	}
	e.say(Well, "scopes", "People are asked for all that the product uses.")
}

func (e *examination) nats(ctx context.Context) {
	b, err := e.d.streams(ctx)
	if err != nil {
		e.say(Wrong, "nats", "%s", oneLine(err))
		return
	}
	nc := b.JetStream().Conn()
	trip, err := nc.RTT()
	if err != nil {
		e.say(Wrong, "nats", "NATS does not answer: %s", oneLine(err))
		return
	}
	e.say(Well, "nats", "NATS %s answers in %s.", nc.ConnectedServerVersion(), trip.Round(10*time.Microsecond))
	var streams, durables []string
	for _, s := range events.Streams(e.d.common.Replicas, e.d.common.EventsMaxAge) {
		streams = append(streams, s.Name)
	}
	for _, c := range events.Durables() {
		durables = append(durables, c.Config.Durable)
	}
	if err := bus.Verify(ctx, b, streams, durables); err != nil {
		e.say(Wrong, "streams", "%s", oneLine(err))
		return
	}
	e.say(Well, "streams", "All streams and durables are as this version needs them.")
	for _, name := range streams {
		e.stream(ctx, b.JetStream(), name)
	}
	for _, c := range events.Durables() {
		e.durable(ctx, b.JetStream(), c)
	}
}

// behind is how many messages may wait at a durable before it is worth a word.
const behind = 1000

func (e *examination) stream(ctx context.Context, js jetstream.JetStream, name string) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		e.say(Wrong, "streams", "%s cannot be read: %s", name, oneLine(err))
		return
	}
	info := s.CachedInfo()
	if info.Config.Replicas != e.d.common.Replicas {
		e.say(Warning, "streams", "%s has %d replicas, NATS_REPLICAS says %d: run migrate.", name, info.Config.Replicas, e.d.common.Replicas)
	}
	if full := info.Config.MaxBytes; full > 0 && info.State.Bytes > uint64(full)*8/10 {
		e.say(Warning, "streams", "%s is %d %% full; when it is full, new work is refused.", name, 100*info.State.Bytes/uint64(full))
	}
	if name == events.StreamDead && info.State.Msgs > 0 {
		e.say(Warning, "streams", "%d dead letters: nobody could handle them; `dead list` shows why.", info.State.Msgs)
	}
}

func (e *examination) durable(ctx context.Context, js jetstream.JetStream, c events.Durable) {
	consumer, err := js.Consumer(ctx, c.Stream, c.Config.Durable)
	if err != nil {
		e.say(Wrong, "streams", "%s cannot be read: %s", c.Config.Durable, oneLine(err))
		return
	}
	info := consumer.CachedInfo()
	switch {
	case info.NumWaiting == 0 && info.NumAckPending == 0:
		e.say(Warning, "streams", "Nobody reads %s: is its service running?", c.Config.Durable)
	case info.NumPending > behind:
		e.say(Warning, "streams", "%s is %d messages behind.", c.Config.Durable, info.NumPending)
	}
}

func (e *examination) postgres(ctx context.Context) {
	db, err := e.d.database(ctx)
	if err != nil {
		e.say(Wrong, "postgres", "%s", oneLine(err))
		return
	}
	var version, fsync, commit string
	var now time.Time
	asked := time.Now()
	err = db.NewRaw("SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), clock_timestamp()").
		Scan(ctx, &version, &fsync, &commit, &now)
	if err != nil {
		e.say(Wrong, "postgres", "Postgres does not answer: %s", oneLine(err))
		return
	}
	e.say(Well, "postgres", "Postgres %s answers.", version)
	if fsync != "on" || commit == "off" {
		e.say(Wrong, "postgres", "fsync is %s and synchronous_commit %s: an accepted post could be lost with the machine's power.", fsync, commit)
	}
	half := time.Since(asked) / 2
	if skew := now.Sub(asked.Add(half)); skew.Abs() > half+200*time.Millisecond {
		e.say(Warning, "clock", "Postgres' clock and ours are %s apart; leases are judged by its clock, due times by ours. Is NTP running on both?", skew.Abs().Round(time.Millisecond))
	} else {
		e.say(Well, "clock", "Postgres' clock and ours agree.")
	}
	pending, err := pg.Pending(ctx, db)
	switch {
	case err != nil:
		e.say(Wrong, "postgres", "The migrations cannot be read: %s", oneLine(err))
	case len(pending) > 0:
		e.say(Wrong, "postgres", "The database lacks %d migrations (%s); run migrate.", len(pending), strings.Join(pending, ", "))
	default:
		e.say(Well, "postgres", "The database is of this version.")
	}
}

// posts counts what an operator should know of.
func (e *examination) posts(ctx context.Context) {
	if e.d.db == nil {
		return // postgres has said so
	}
	troubles, err := queue.Count(ctx, e.d.db)
	var reconnect int
	if err == nil {
		err = e.d.db.NewRaw("SELECT count(*) FROM social_connections WHERE status = ?", events.ConnectionReconnectRequired).Scan(ctx, &reconnect)
	}
	if err != nil {
		e.say(Wrong, "posts", "The posts cannot be counted: %s", oneLine(err))
		return
	}
	level := func(n int, bad Level) Level {
		if n > 0 {
			return bad
		}
		return Well
	}
	e.say(level(troubles.Overdue, Wrong), "posts", "%d posts are overdue to be looked at by more than a minute.", troubles.Overdue)
	e.say(level(troubles.Parked, Warning), "posts", "%d posts are parked and need a person.", troubles.Parked)
	e.say(level(troubles.NotOut, Warning), "posts", "%d changes have not been emitted on EVENTS for more than a minute.", troubles.NotOut)
	e.say(level(reconnect, Warning), "accounts", "%d accounts need their owner to connect them again.", reconnect)
}

// samples is how many sealed tokens are opened.
const samples = 25

func (e *examination) keys(ctx context.Context) {
	if e.d.common.Keyset == "" {
		return // settings has said so
	}
	v, err := boot.OpenVault(e.d.common)
	if err != nil {
		e.say(Wrong, "keys", "%s", oneLine(err))
		return
	}
	if e.d.db == nil {
		return
	}
	var rows []accounts.Account
	err = e.d.db.NewSelect().Model(&rows).Where("access_token IS NOT NULL").OrderBy("updated_at", bun.OrderDesc).Limit(samples).Scan(ctx)
	if err != nil {
		e.say(Wrong, "keys", "The sealed tokens cannot be read: %s", oneLine(err))
		return
	}
	closed := 0
	for _, a := range rows {
		if _, err := v.Open(a.ID, a.Sealed); err != nil {
			closed++
		}
	}
	if closed > 0 {
		e.say(Wrong, "keys", "TOKEN_KEYSET does not open %d of %d sealed tokens: is it the keyset of this database?", closed, len(rows))
		return
	}
	e.say(Well, "keys", "TOKEN_KEYSET opens the sealed tokens (%d tried).", len(rows))
}

// issuer asks the issuer of bearer tokens for its keys, as the gateway does.
func (e *examination) issuer(ctx context.Context) {
	base := strings.TrimRight(e.d.getenv("AUTH_ISSUER"), "/")
	if base == "" {
		return // settings has said so
	}
	address := e.d.getenv("AUTH_JWKS_URL")
	if address == "" {
		address = base + "/.well-known/jwks.json"
	}
	status, _, err := fetch(ctx, address)
	switch {
	case err != nil:
		e.say(Wrong, "issuer", "The issuer's keys cannot be had at %s: %s", address, oneLine(err))
	case status != http.StatusOK:
		e.say(Warning, "issuer", "%s answers %d; the gateway also asks the issuer's discovery document.", address, status)
	default:
		e.say(Well, "issuer", "The issuer's keys are at %s.", address)
	}
}

func (e *examination) reachThreads(ctx context.Context) {
	base := e.d.getenv("THREADS_API_URL")
	if base == "" {
		base = threads.DefaultBaseURL
	}
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
