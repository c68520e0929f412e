package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts/queue"
)

// DeadLetter is a message that nobody could handle, as it was set aside.
type DeadLetter struct {
	Seq        uint64          `json:"seq"` // on DEAD
	At         time.Time       `json:"at"`
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Subject    string          `json:"subject"` // where it was
	Consumer   string          `json:"consumer"`
	Deliveries string          `json:"deliveries"`
	Error      string          `json:"error"`
	Body       json.RawMessage `json:"body,omitempty"`
}

// DeadFilter chooses dead letters. Each empty field passes all.
type DeadFilter struct {
	Since time.Time // set aside since then
	Type  string    // of the message, as post.schedule.v1
}

func (f DeadFilter) passes(l DeadLetter) bool {
	return !l.At.Before(f.Since) && (f.Type == "" || f.Type == l.Type)
}

// ListDead shows what nobody could handle.
func (d *Deployment) ListDead(ctx context.Context, f DeadFilter, asJSON bool) error {
	b, err := d.streams(ctx)
	if err != nil {
		return err
	}
	letters, err := f.letters(ctx, b.JetStream())
	if err != nil {
		return err
	}
	if asJSON {
		return d.printJSON(append([]DeadLetter{}, letters...))
	}
	return PrintLetters(d.out, letters)
}

func (f DeadFilter) letters(ctx context.Context, js jetstream.JetStream) ([]DeadLetter, error) {
	letters, err := DeadLetters(ctx, js)
	return slices.DeleteFunc(letters, func(l DeadLetter) bool { return !f.passes(l) }), err
}

// ShowDead shows one dead letter whole.
func (d *Deployment) ShowDead(ctx context.Context, seq uint64) error {
	b, err := d.streams(ctx)
	if err != nil {
		return err
	}
	l, err := Letter(ctx, b.JetStream(), seq)
	if err != nil {
		return err
	}
	return d.printJSON(l)
}

// RequeueDead gives a dead command back to its stream, to be worked once more.
func (d *Deployment) RequeueDead(ctx context.Context, seq uint64, asJSON bool) error {
	b, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	l, err := Requeue(ctx, b.JetStream(), db, seq)
	if err != nil {
		return err
	}
	return d.printLetter(l, asJSON, "is given back to "+l.Subject)
}

// RequeueAllDead gives all that pass back, one after the other, and goes on after one that cannot be.
func (d *Deployment) RequeueAllDead(ctx context.Context, f DeadFilter, asJSON bool) error {
	b, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	return d.eachDead(ctx, b.JetStream(), f, asJSON, "given back", func(l DeadLetter) (string, error) {
		_, err := Requeue(ctx, b.JetStream(), db, l.Seq)
		return "is given back to " + l.Subject, err
	})
}

// DropDead takes a dead letter away for good.
func (d *Deployment) DropDead(ctx context.Context, seq uint64, asJSON bool) error {
	b, err := d.streams(ctx)
	if err != nil {
		return err
	}
	l, err := Drop(ctx, b.JetStream(), seq)
	if err != nil {
		return err
	}
	return d.printLetter(l, asJSON, "is dropped")
}

// DropAllDead takes all that pass away for good.
func (d *Deployment) DropAllDead(ctx context.Context, f DeadFilter, asJSON bool) error {
	b, err := d.streams(ctx)
	if err != nil {
		return err
	}
	return d.eachDead(ctx, b.JetStream(), f, asJSON, "dropped", func(l DeadLetter) (string, error) {
		_, err := Drop(ctx, b.JetStream(), l.Seq)
		return "is dropped", err
	})
}

// eachDead does something to all letters that pass. What could not be done to one is a line, and an error at the end.
func (d *Deployment) eachDead(ctx context.Context, js jetstream.JetStream, f DeadFilter, asJSON bool, done string, do func(DeadLetter) (string, error)) error {
	letters, err := f.letters(ctx, js)
	if err != nil {
		return err
	}
	failed := 0
	for _, l := range letters {
		what, err := do(l)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed++
			if _, err := fmt.Fprintln(d.errOut, err); err != nil {
				return err
			}
			continue
		}
		if err := d.printLetter(l, asJSON, what); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s could not be %s; the lines above say what to do", failed, some(len(letters), "dead letter"), done)
	}
	if len(letters) == 0 && !asJSON {
		_, err = fmt.Fprintln(d.out, "No dead letter matches.")
	}
	return err
}

func (d *Deployment) printLetter(l DeadLetter, asJSON bool, what string) error {
	if asJSON {
		return d.printJSON(l)
	}
	_, err := fmt.Fprintf(d.out, "%s %s %s\n", l.Type, l.ID, what)
	return err
}

// Drop takes a dead letter away for good, and says what it was.
func Drop(ctx context.Context, js jetstream.JetStream, seq uint64) (DeadLetter, error) {
	s, raw, err := deadLetter(ctx, js, seq)
	if err != nil {
		return DeadLetter{}, err
	}
	l := letterOf(raw.Sequence, raw.Time, raw.Header, raw.Data)
	if err := s.DeleteMsg(ctx, seq); err != nil {
		return l, fmt.Errorf("drop dead letter %d: %w", seq, err)
	}
	return l, nil
}

// DeadLetters are all that lie on DEAD, the oldest first.
func DeadLetters(ctx context.Context, js jetstream.JetStream) (letters []DeadLetter, err error) {
	_, err = read(ctx, js, events.StreamDead, selection{}, func(m Message) error {
		letters = append(letters, letterOf(m.Seq, m.Stored, m.Header, m.Body))
		return nil
	})
	return letters, err
}

func letterOf(seq uint64, at time.Time, h nats.Header, body []byte) DeadLetter {
	meta := bus.MetaOf(h)
	l := DeadLetter{
		Seq: seq, At: at.UTC(), ID: meta.ID, Type: meta.Type, Subject: h.Get(bus.HeaderDeadSubject),
		Consumer: h.Get(bus.HeaderDeadConsumer), Deliveries: h.Get(bus.HeaderDeadDeliveries), Error: h.Get(bus.HeaderDeadError),
	}
	l.Body = body
	if !json.Valid(body) { // that may be why it is here
		l.Body, _ = json.Marshal(string(body))
	}
	return l
}

// Letter is one dead letter.
func Letter(ctx context.Context, js jetstream.JetStream, seq uint64) (DeadLetter, error) {
	_, raw, err := deadLetter(ctx, js, seq)
	if err != nil {
		return DeadLetter{}, err
	}
	return letterOf(raw.Sequence, raw.Time, raw.Header, raw.Data), nil
}

func deadLetter(ctx context.Context, js jetstream.JetStream, seq uint64) (jetstream.Stream, *jetstream.RawStreamMsg, error) {
	s, err := js.Stream(ctx, events.StreamDead)
	if err != nil {
		return nil, nil, fmt.Errorf("find stream %s: %w", events.StreamDead, err)
	}
	raw, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil, fmt.Errorf("no dead letter has the sequence %d; `dead list` shows them", seq)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read dead letter %d: %w", seq, err)
	}
	return s, raw, nil
}

// Requeue gives a dead command back to its stream, to be worked once more, and takes it from DEAD. Its sender was told
// that it failed, and that record is taken back first: else the repeat would be answered from it. A command that made a
// post is not repeated: the post is there, failed, and its owner can have it retried.
func Requeue(ctx context.Context, js jetstream.JetStream, db bun.IDB, seq uint64) (DeadLetter, error) {
	s, raw, err := deadLetter(ctx, js, seq)
	if err != nil {
		return DeadLetter{}, err
	}
	l := letterOf(raw.Sequence, raw.Time, raw.Header, raw.Data)
	if raw.Header.Get(bus.HeaderDeadStream) != events.StreamCommands || l.ID == "" {
		return l, fmt.Errorf("dead letter %d is no command, and only commands can be given back; once its cause is mended, `dead drop %[1]d` takes it away", seq)
	}
	if _, err := events.Decode(l.Type, raw.Data); err != nil {
		return l, fmt.Errorf("dead letter %d cannot be read by this version (%w), and giving it back would only set it aside again: "+
			"where a newer version sent it, requeue it with that; else `dead drop %[1]d` takes it away", seq, err)
	}
	if err := reopen(ctx, db, l); err != nil {
		return l, err
	}
	again := &nats.Msg{Subject: l.Subject, Data: raw.Data, Header: nats.Header{}}
	for key, values := range raw.Header {
		if k := strings.ToLower(key); !strings.HasPrefix(k, "nats-") && !strings.HasPrefix(k, "omni-dead-") {
			again.Header[key] = values
		}
	}
	// Not the id of its first life, which the stream may remember; the same for the same letter, should the answer be lost.
	again.Header[jetstream.MsgIDHeader] = []string{l.ID + ".again." + strconv.FormatUint(seq, 10)}
	if _, err := js.PublishMsg(ctx, again, jetstream.WithExpectStream(events.StreamCommands)); err != nil {
		return l, fmt.Errorf("give %s back: %w", l.ID, err)
	}
	if err := s.DeleteMsg(ctx, seq); err != nil {
		return l, fmt.Errorf("%s is given back, but its letter %d is still on DEAD: %w", l.ID, seq, err)
	}
	return l, nil
}

// reopen takes back the record that a command failed on our side.
func reopen(ctx context.Context, db bun.IDB, l DeadLetter) error {
	command, err := commands.Find(ctx, db, l.ID)
	if err != nil || command == nil {
		return err
	}
	o, done := command.Done()
	if done && (o.Fault == nil || o.Fault.Code != events.Internal) {
		return fmt.Errorf("command %s has an outcome by now, and is not repeated; `dead drop %d` takes the letter away", l.ID, l.Seq)
	}
	if command.PostID != "" {
		made, err := queue.Failed(ctx, db, command.PostID)
		if err != nil {
			return err
		}
		if made {
			return fmt.Errorf("command %s made the post %s, which is there as failed: have that retried instead (POST /api/threads/post/%[2]s/retry), "+
				"and take the letter away with `dead drop %[3]d`", l.ID, command.PostID, l.Seq)
		}
	}
	if _, err := db.NewDelete().Model(command).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("take back the outcome of %s: %w", l.ID, err)
	}
	return nil
}

// PrintLetters writes dead letters for people.
func PrintLetters(out io.Writer, letters []DeadLetter) error {
	if len(letters) == 0 {
		_, err := fmt.Fprintln(out, "No dead letters.")
		return err
	}
	rows := [][]string{{"SEQ", "SET ASIDE (UTC)", "TYPE", "ID", "DELIVERIES", "WHY"}}
	for _, l := range letters {
		rows = append(rows, []string{strconv.FormatUint(l.Seq, 10), clock(l.At), l.Type, l.ID, l.Deliveries, short(l.Error, 80)})
	}
	return table(out, rows)
}
