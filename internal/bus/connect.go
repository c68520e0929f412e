// Package bus is the plumbing over NATS: connecting, declaring streams, sending commands, emitting events, asking
// questions, handling messages and setting alarms. What a handler returns decides what becomes of its message; no handler
// touches an ack.
package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// Config says which NATS to use, and as whom.
type Config struct {
	URL  string // nats://host:4222, several comma-separated
	Name string // the service; also the prefix of its inboxes, _INBOX_<name>
	Identity
	Options []nats.Option // for tests and standalone: an in-process connection
	Log     *zap.Logger
	Now     func() time.Time // nil: time.Now
	// PreferredCheckEvery is how often a process looks whether the server that it belongs to is well again. 0: 15 s.
	PreferredCheckEvery time.Duration
}

// Bus is a connection to NATS.
type Bus struct {
	name string
	nc   *nats.Conn
	js   jetstream.JetStream
	log  *zap.Logger
	now  func() time.Time

	patience time.Duration // how long an acknowledgement is waited for, before it is asked for again

	events   *emitter
	commands *emitter
	outcomes outcomes
	answers  answers
	streams  sync.Map // handles by stream name, see stream
	problems sync.Map // durable: why its messages cannot be read at the moment

	dependencies dependencies
	stores       stores

	preferred *preferredServer
	asking    atomic.Int64 // questions on their way
	life      context.Context
	stop      context.CancelFunc
}

const (
	connectPatience = 30 * time.Second
	ackPatience     = 5 * time.Second
)

// Connect connects, waiting a while for a server that is not up yet, and keeps reconnecting for ever after.
func Connect(ctx context.Context, c Config) (*Bus, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	opts := []nats.Option{
		nats.Name(c.Name), nats.MaxReconnects(-1), nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.CustomInboxPrefix("_INBOX_" + c.Name), // permissions give each service its own inboxes only
		nats.PermissionErrOnSubscribe(true),
		nats.IgnoreAuthErrorAbort(), // a key that is being rotated must not end the reconnecting
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.Log.Error("nats", zap.Error(err)) // a denied publish shows here, and as a time-out where it was made
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // without one we closed it ourselves
				c.Log.Warn("nats connection lost", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { c.Log.Info("nats connection is back") }),
	}
	preferred := &preferredServer{}
	opts = append(opts, nats.ReconnectToServer(preferred.choose))
	identity, err := c.options(c.Name)
	if err != nil {
		return nil, err
	}
	opts = append(opts, promptTimeouts()...)
	opts = append(opts, identity...)
	opts = append(opts, c.Options...)
	nc, err := connect(ctx, c.URL, opts)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(ackPatience))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	b := &Bus{name: c.Name, nc: nc, js: js, log: c.Log, now: c.Now, patience: ackPatience, answers: newAnswers(), preferred: preferred}
	b.events, b.commands = newEmitter(b, events.StreamEvents, b.followEvent), newEmitter(b, events.StreamCommands, followCommand)
	preferred.draw(nc)
	b.life, b.stop = context.WithCancel(context.Background())
	go b.returnToPreferred(b.life, cmp.Or(c.PreferredCheckEvery, preferredCheckEvery))
	return b, nil
}

func connect(ctx context.Context, url string, opts []nats.Option) (*nats.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	for {
		nc, err := nats.Connect(url, opts...)
		switch {
		case err == nil:
			return nc, nil
		case errors.Is(err, nats.ErrAuthorization):
			return nil, fmt.Errorf("the NATS server at %s does not let us in; check the credentials: %w", withoutSecrets(url), err)
		case hopeless(err) != "":
			return nil, fmt.Errorf("the NATS server at %s %s: %w", withoutSecrets(url), hopeless(err), err)
		case !clock.Sleep(ctx, 250*time.Millisecond):
			return nil, fmt.Errorf("no NATS server answers at %s; start one or set NATS_URL: %w", withoutSecrets(url), err)
		}
	}
}

// withoutSecrets blanks the password or token that each of the comma-separated URLs may hold. A URL that cannot be read
// is not shown at all: it may be one because of the password in it.
func withoutSecrets(urls string) string {
	shown := strings.Split(urls, ",")
	for i, one := range shown {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			shown[i] = "an address that cannot be read"
			continue
		}
		if u.User != nil {
			u.User = url.User("xxxxx") // a lone user name is a token
		}
		shown[i] = u.String()
	}
	return strings.Join(shown, ",")
}

// Close takes no more questions and events, finishes those in hand, and disconnects. Whoever calls Handle must have
// ended it before.
func (b *Bus) Close(ctx context.Context) error {
	err := errors.Join(b.StopAnswering(ctx), b.events.close(ctx), b.commands.close(ctx))
	if b.nc.IsConnected() {
		err = errors.Join(err, b.flush(ctx))
	}
	b.stop()
	b.nc.Close()
	return err
}

// Healthy says why messages cannot travel, or nil.
func (b *Bus) Healthy(ctx context.Context) error {
	if !b.nc.IsConnected() {
		return fmt.Errorf("nats is %s", b.nc.Status())
	}
	is, err := b.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("jetstream does not answer: %w", err)
	}
	b.stores.reaches(events.StreamEvents, is.CachedInfo().State.LastSeq, b.now())
	if err := b.stores.err(); err != nil {
		return err
	}
	var unread error
	b.problems.Range(func(durable, why any) bool {
		unread = fmt.Errorf("messages of %s cannot be read: %w", durable, why.(error)) //nolint:forcetypeassert // Handle stores nothing else
		return false
	})
	return unread
}

// JetStream is for what this package has no word for.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// flush returns when the server has what was sent. (nats.go insists on a deadline.)
func (b *Bus) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	return b.nc.FlushWithContext(ctx)
}

// stream is a handle to a stream. It is kept: finding one costs a question to the server.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if kept, ok := b.streams.Load(name); ok {
		if s, ok := kept.(jetstream.Stream); ok {
			return s, nil
		}
	}
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find stream %s: %w", name, err)
	}
	b.streams.Store(name, s)
	return s, nil
}
