package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

type streamInput struct {
	AccountQuery
	Facts       string `query:"facts" doc:"Only these facts, with commas between: published,failed or post.published."`
	Ticket      string `query:"ticket" doc:"A ticket, good once, for EventSource, which cannot send a bearer token."`
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that you have: what you missed comes first."`
	ResumeAfter string `query:"lastEventId" doc:"The same, for a new EventSource, which cannot send it as a header."`

	onceOnly
	head bool
}

// Resolve looks for repeated parameters, and whether only the headers are asked for.
func (in *streamInput) Resolve(ctx huma.Context) []error {
	in.check(ctx)
	in.head = ctx.Method() == http.MethodHead
	return nil
}

// streamEvents opens a live stream of the caller's facts.
func (s *Service) streamEvents(ctx context.Context, in *streamInput) (*huma.StreamResponse, error) {
	if in.head { // a look must not use up a ticket, and must end
		return &huma.StreamResponse{Body: func(c huma.Context) { c.SetHeader("Content-Type", "text/event-stream") }}, nil
	}
	if in.repeated != "" {
		return nil, in.refuse()
	}
	l := &listener{account: in.AccountID}
	var err error
	if l.names, err = factNames(in.Facts); err != nil {
		return nil, err
	}
	who, err := s.listenerOf(ctx, in.Ticket)
	if err != nil {
		return nil, err
	}
	l.user = who.user
	noteOf(ctx).user = who.user

	resumed := in.LastEventID
	if resumed == "" {
		resumed = in.ResumeAfter
	}
	var accounts []string
	if resumed != "" || l.account != "" {
		if accounts, err = s.accountsOf(ctx, l); err != nil {
			return nil, err
		}
	}
	if err := s.live.enter(ctx, l); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		s.serveStream(c.Context(), w, l, who.until, resumed, accounts)
	}}, nil
}

// listenerOf is who listens, by the bearer token or by a ticket.
func (s *Service) listenerOf(ctx context.Context, ticket string) (session, error) {
	if ticket == "" {
		return sessionOf(ctx), nil
	}
	holder, err := bus.Ask[events.TicketHolder](ctx, s.bus, events.RedeemTicket{Ticket: ticket})
	if err != nil {
		return session{}, err
	}
	return session{holder.UserID, holder.SignedInUntil}, nil
}

// accountsOf are the accounts whose facts the client may have missed.
func (s *Service) accountsOf(ctx context.Context, l *listener) ([]string, error) {
	all, err := bus.Ask[events.AccountIDs](ctx, s.bus, events.ListAccountIDs{UserID: l.user})
	switch {
	case err != nil:
		return nil, err
	case l.account == "":
		return all.IDs, nil
	case !slices.Contains(all.IDs, l.account):
		return nil, events.Faultf(events.NotFound, "There is no connected account with this id among yours.")
	}
	return []string{l.account}, nil
}

// factNames reads the filter of facts: names, or the last words of names. Nil means all.
func factNames(filter string) (map[string]bool, error) {
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

// serveStream is a stream from its first byte to its last.
func (s *Service) serveStream(
	ctx context.Context, w http.ResponseWriter, l *listener, until time.Time, resumed string, accounts []string,
) {
	liveStreams.Inc()
	defer liveStreams.Dec()
	defer s.live.leave(l)
	if until.IsZero() {
		until = s.now().Add(unknownLife)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer time.AfterFunc(until.Sub(s.now()), func() { cancel(endOf(endExpired)) }).Stop()
	go func() { // a replay hears of the end as well
		select {
		case <-s.live.closed:
			cancel(endOf(endStopping))
		case <-l.gone:
			cancel(endOf(l.why))
		case <-ctx.Done():
		}
	}()

	out := openSink(w)
	// Not all at the same moment: a gateway that restarts has all its clients coming back.
	out.put(fmt.Appendf(nil, "retry: %d\n\n", 1000+rand.IntN(2000))) //nolint:gosec // no secret
	err := s.catchUp(ctx, out, l, resumed, accounts)
	if err == nil {
		err = s.follow(ctx, out, l)
	}
	s.endStream(ctx, out, err)
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
func (s *Service) endStream(ctx context.Context, out *sink, err error) {
	var end endOf
	switch {
	case out.fail != nil:
		end = endClient
	case errors.As(context.Cause(ctx), &end):
	case ctx.Err() != nil:
		end = endClient
	default:
		end = endTrouble
		s.log.Warn("a live stream ends early", zap.Error(err))
	}
	liveEnds.WithLabelValues(string(end)).Inc()
	if end != endClient {
		out.say("", eventEnd, string(end), endings[string(end)])
		_ = out.flush() // the client is gone: nobody to tell
	}
}

// catchUp brings the client to the place from which its queue goes on: with what it missed, or with the word that this
// cannot be told.
func (s *Service) catchUp(ctx context.Context, out *sink, l *listener, resumed string, accounts []string) error {
	at := l.joined
	if resumed == "" {
		out.put(encodeEvent(at.String(), eventReady, []byte("{}")))
		return out.flush()
	}
	from, missing, err := s.resumable(ctx, l, resumed)
	if err != nil {
		return err
	}
	if missing == "" {
		err = s.replay(ctx, out, l, from, accounts)
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
	at.sequence = max(at.sequence, l.after) // another gateway may have told more than ours has read
	out.put(encodeEvent(at.String(), eventReady, []byte("{}")))
	return out.flush()
}

// resumable finds the place that the client names, or says why nobody can go on from there.
func (s *Service) resumable(ctx context.Context, l *listener, id string) (from place, missing string, err error) {
	from, ok := readPlace(id)
	if !ok {
		return from, "id_unknown", nil
	}
	extent, err := s.bus.Holds(ctx)
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
		if there, err := s.bus.Has(ctx, from.sequence); err != nil || !there {
			return from, "events_gone", err
		}
	}
	l.after = from.sequence
	return from, "", nil
}

// replay tells what the client missed, up to where its queue begins.
func (s *Service) replay(ctx context.Context, out *sink, l *listener, from place, accounts []string) error {
	select {
	case s.live.replays <- struct{}{}:
		defer func() { <-s.live.replays }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	upTo := l.joined.sequence
	most := uint64(s.cfg.LiveReplay) //nolint:gosec // checked to be positive
	return s.bus.Replay(ctx, from.sequence, upTo, most, events.FactsOf(accounts...), func(f bus.Fact) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		told := frameOf(time.Unix(0, l.joined.born), f)
		if events.OwnerOf(f.Body) != l.user || !l.wants(told) {
			return nil
		}
		out.put(told.bytes)
		return out.fail
	})
}

// follow tells what happens, as it happens, until the stream must end.
func (s *Service) follow(ctx context.Context, out *sink, l *listener) error {
	beat := time.NewTicker(s.cfg.LiveHeartbeat)
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
			if at, ok := s.live.idle(l); ok {
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

// eventStreamDoc is what /openapi.json says of the stream.
const eventStreamDoc = "Server-sent events. A fact has its name as `event` (post.published, account.connected, …), the whole post " +
	"or connection after it as `data`, and an opaque `id` to resume after. `ready` says that what you missed is told. `reset` says that what you missed cannot be told: " +
	"read again what you show. `end` says why the stream ends; connect again, with the last id. An `id` may also come alone, " +
	"with a heartbeat: it is the place up to which you know everything."

// streams documents an answer of text/event-stream, which may also be asked for with a ticket.
func (o *operation) streams(doc string) *operation {
	o.Security = signedInOrTicket
	o.DefaultStatus = http.StatusOK
	o.Errors = append(o.Errors, http.StatusTooManyRequests)
	o.Responses["200"] = &huma.Response{
		Description: doc,
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	return o
}
