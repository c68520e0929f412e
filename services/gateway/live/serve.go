package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// FactNames reads the filter of facts: names, or the last words of names. Nil means all.
func FactNames(filter string) (map[string]bool, error) {
	if strings.TrimSpace(filter) == "" {
		return nil, nil //nolint:nilnil // nil is no filter
	}
	wanted := map[string]bool{}
	known := events.FactNames()
	for word := range strings.SplitSeq(filter, ",") {
		word = strings.TrimSpace(word)
		found := false
		for _, name := range known {
			if name == word || word != "" && strings.HasSuffix(name, "."+word) {
				wanted[name], found = true, true
			}
		}
		if !found {
			const sentence = "One of these facts is none that we tell of; /docs lists them."
			return nil, events.Faultf(events.Invalid, sentence).At("/facts", "fact_unknown", sentence)
		}
	}
	return wanted, nil
}

// unknownLife is how long a stream lives when nobody said how long its sign-in does.
const unknownLife = 10 * time.Minute

// Serve is a stream from its first byte to its last.
func (h *Streams) Serve(
	ctx context.Context, w http.ResponseWriter, l *Listener, until time.Time, resumed string, accounts []string,
) {
	liveStreams.Inc()
	defer liveStreams.Dec()
	defer h.leave(l)
	if until.IsZero() {
		until = h.now().Add(unknownLife)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer time.AfterFunc(until.Sub(h.now()), func() { cancel(endOf(endExpired)) }).Stop()
	go func() { // a replay hears of the end as well
		select {
		case <-h.closed:
			cancel(endOf(endStopping))
		case <-l.gone:
			cancel(endOf(l.why))
		case <-ctx.Done():
		}
	}()

	out := openSink(w, h.cfg.LiveWriteWithin)
	// Not all at the same moment: a gateway that restarts has all its clients coming back.
	out.put(fmt.Appendf(nil, "retry: %d\n\n", 1000+rand.IntN(2000))) //nolint:gosec // no secret
	err := h.catchUp(ctx, out, l, resumed, accounts)
	if err == nil {
		err = h.follow(ctx, out, l)
	}
	h.endStream(ctx, out, err)
}

// endOf is a reason to end a stream, as an error.
type endOf string

func (e endOf) Error() string { return string(e) }

var endings = map[string]string{
	endSlow:     "Events came faster than you took them; connect again, and go on from the last id.",
	endReplaced: "What happened so far can no longer be told; connect again.",
	endStopping: "This server is restarting; connect again.",
	endExpired:  "The sign-in has expired; connect again with a new one.",
	endTrouble:  "We cannot tell you what happens at the moment; connect again shortly.",
}

// endStream says why the stream ends, if anybody is there to hear it.
func (h *Streams) endStream(ctx context.Context, out *sink, err error) {
	var end endOf
	switch {
	case out.fail != nil:
		end = endClient
	case errors.As(context.Cause(ctx), &end), errors.As(err, &end):
	case ctx.Err() != nil:
		end = endClient
	default:
		end = endTrouble
		h.log.Warn("a live stream ends early", zap.Error(err))
	}
	liveEnds.WithLabelValues(string(end)).Inc()
	if end != endClient {
		out.say("", eventEnd, string(end), endings[string(end)])
		_ = out.flush() // the client is gone: nobody to tell
	}
}

// catchUp brings the client to the place from which its queue goes on: with what it missed, or with the word that this
// cannot be sent.
func (h *Streams) catchUp(ctx context.Context, out *sink, l *Listener, resumed string, accounts []string) error {
	at := l.joined
	if resumed == "" {
		out.put(encodeEvent(at.String(), eventReady, []byte("{}")))
		return out.flush()
	}
	from, missing, err := h.resumable(ctx, l, resumed)
	if err != nil {
		return err
	}
	if missing == "" {
		err = h.replay(ctx, out, l, from, accounts)
		var many *bus.TooManyError
		if errors.As(err, &many) {
			missing, err = "too_much_missed", nil
		}
	}
	if err != nil {
		return err
	}
	if missing != "" {
		l.after = 0
		out.say(at.String(), eventReset, missing, "What happened meanwhile cannot be told; read again what you show.")
	}
	at.sequence = max(at.sequence, l.after) // another gateway may have sent more than ours has read
	out.put(encodeEvent(at.String(), eventReady, []byte("{}")))
	return out.flush()
}

// resumable finds the place that the client names, or says why nobody can go on from there.
func (h *Streams) resumable(ctx context.Context, l *Listener, id string) (from place, missing string, err error) {
	from, ok := readPlace(id)
	if !ok {
		return from, "id_unknown", nil
	}
	extent, err := h.bus.Holds(ctx)
	if err != nil {
		return from, "", err
	}
	switch {
	case from.born != placeOn(extent.Born, 0).born || from.sequence > extent.Last:
		return from, "events_replaced", nil
	case from.sequence+1 < extent.First:
		return from, "events_gone", nil
	case from.sequence > 0 && from.sequence >= extent.First:
		// Erased, with what came after it? Only what is still there is a place to go on from.
		if there, err := h.bus.Has(ctx, from.sequence); err != nil || !there {
			return from, "events_gone", err
		}
	}
	l.after = from.sequence
	return from, "", nil
}

// replay sends what the client missed, up to where its queue begins.
func (h *Streams) replay(ctx context.Context, out *sink, l *Listener, from place, accounts []string) error {
	done, err := h.replays.take(ctx, l.User, h.cfg.LiveHeartbeat, func() error {
		out.put([]byte(": beat\n\n"))
		return out.flush()
	})
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, replayWithin, endOf(endSlow))
	defer cancel()
	upTo := l.joined.sequence
	most := uint64(h.cfg.LiveReplay) //nolint:gosec // checked to be positive
	err = h.bus.Replay(ctx, from.sequence, upTo, most, events.FactsOf(accounts...), func(f bus.StoredEvent) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		told := frameOf(time.Unix(0, l.joined.born), f)
		if events.OwnerOf(f.Body) != l.User || !l.wants(told) {
			return nil
		}
		out.put(told.bytes)
		return out.fail
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// follow sends what happens, as it happens, until the stream must end.
func (h *Streams) follow(ctx context.Context, out *sink, l *Listener) error {
	beat := time.NewTicker(h.cfg.LiveHeartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-l.queue:
			for ok := true; ok; {
				if f.sequence > l.after {
					out.put(f.bytes)
				}
				select {
				case f = <-l.queue:
				default:
					ok = false
				}
			}
		case <-beat.C:
			if at, ok := h.idle(l); ok {
				out.mark(at)
			} else {
				out.put([]byte(": beat\n\n"))
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}
