package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
)

// What Threads answered is known nowhere else: a media id that is dropped may never be found again. So an answer that
// Postgres would not take at once is kept in memory and offered again until it is in its row, while others hold the places
// for calls and for batches. Only the end of the process ends that, and then the answer goes to EVENTS instead.

// answer is what Threads said to one call.
type answer struct {
	post    *posts.Post // as it was when the call was made
	mediaID string      // where the answer is a clear yes
	tried   asks.Attempt
	// awaited says whether a row, as it is now, still waits for this answer: whoever had the lease, it may have moved since.
	awaited func(row *posts.Post) bool
	// save writes the answer into the row and goes on from there.
	save func(ctx context.Context, row *posts.Post) (end, error)
	// lastWord emits the answer where it cannot be saved any more; may be nil.
	lastWord func(ctx context.Context) error
}

// answers are those that are not in a row yet.
type answers struct {
	mu    sync.Mutex
	kept  int
	bytes int
	idle  chan struct{} // closed when none is kept; nil while nobody waits for that
	ended chan struct{} // closed at the end of the process
}

const (
	// maxAnswerBytes is how much of them is kept before no further call is made: what comes of it could not be saved either.
	maxAnswerBytes = 64 << 20
	// answerFirst and answerMost are the pauses between two tries.
	answerFirst = 100 * time.Millisecond
	answerMost  = 2 * time.Second
	// answerTry bounds one try.
	answerTry = time.Minute
	// answersEnd is how long a process that ends goes on trying. It is over before those who stop us lose their patience.
	answersEnd = 20 * time.Second
	// lastWordWithin bounds the emitting of what could not be saved.
	lastWordWithin = 5 * time.Second
)

func newAnswers() *answers { return &answers{ended: make(chan struct{})} }

// full says that no further call should be made for now.
func (a *answers) full() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes >= maxAnswerBytes
}

// keep counts one more; the returned function takes it off.
func (a *answers) keep(size int) (done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept, a.bytes = a.kept+1, a.bytes+size
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.kept, a.bytes = a.kept-1, a.bytes-size; a.kept == 0 && a.idle != nil {
			close(a.idle)
			a.idle = nil
		}
	}
}

// none is closed when no answer is kept.
func (a *answers) none() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	return a.idle
}

// finish gives the answers that are kept until then to get into their rows. What is left is emitted and logged.
func (a *answers) finish(until time.Duration) {
	limit := time.NewTimer(until)
	defer limit.Stop()
	select {
	case <-a.none():
	case <-limit.C:
	}
	close(a.ended)
	limit.Reset(2 * lastWordWithin)
	select {
	case <-a.none():
	case <-limit.C:
	}
}

// answerSaver gets answers into their rows.
type answerSaver struct {
	bus     *bus.Bus
	db      *bun.DB
	store   *posts.Store
	answers *answers
	leases  *leases
	outbox  *outbox
	log     *zap.Logger
}

// save saves an answer. Where that does not succeed at once it goes on beside the caller, who is told why.
func (k *answerSaver) save(ctx context.Context, a answer) (end, error) {
	end, err := a.save(ctx, a.post)
	if err == nil {
		return end, nil
	}
	body, _ := json.Marshal(a.post.Snapshot()) // only its length is of interest
	done := k.answers.keep(len(body))
	go func() {
		defer done()
		k.saveLater(context.WithoutCancel(ctx), a)
	}()
	return 0, err
}

// saveLater tries until the answer is in its row, or the row no longer waits for it. It keeps the lease as long as it can;
// where that is lost the answer is written all the same: who holds it only asks what we know.
func (k *answerSaver) saveLater(ctx context.Context, a answer) {
	defer k.leases.keep(ctx, a.post)()
	log := k.log.With(postField(a.post.ID), accountField(a.post.AccountID), zap.String("media_id", a.mediaID))
	for wait, tries := time.Duration(0), 0; ; wait, tries = min(max(2*wait, answerFirst), answerMost), tries+1 {
		select {
		case <-time.After(wait):
		case <-k.answers.ended:
			k.emitUnsavedOutcome(ctx, a, log)
			return
		}
		saved, err := k.saveOnce(ctx, a, log)
		if saved {
			return
		}
		if tries%30 == 1 {
			log.Warn("an answer of Threads is not in its row yet; it is kept and tried again", errField(err))
		}
	}
}

// saveOnce offers an answer to the row as it is now. saved says that nothing is left to be tried.
func (k *answerSaver) saveOnce(ctx context.Context, a answer, log *zap.Logger) (saved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTry)
	defer cancel()
	row, err := k.store.Get(ctx, k.db, a.post.ID)
	if errors.Is(err, &events.Fault{Code: events.NotFound}) { // erased
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if !a.awaited(row) {
		if a.mediaID != "" && !row.Has(a.mediaID) {
			log.Error("Threads' answer came too late for its row; a person must look", zap.String("state", string(row.State)))
		}
		return true, nil
	}
	end, err := a.save(ctx, row)
	if err != nil {
		return false, err
	}
	if end != final { // the row may have something to do now, and no message of ours is in anybody's hand
		if err := k.bus.Wake(ctx, events.PostDue(row.ID), row.PublishAt); err != nil {
			log.Warn("not woken; the sweep does it", errField(err))
		}
	}
	return true, nil
}

// emitUnsavedOutcome is all that can be done for an answer when the process ends first.
func (k *answerSaver) emitUnsavedOutcome(ctx context.Context, a answer, log *zap.Logger) {
	err := errors.New("it can only be asked for again")
	if a.lastWord != nil {
		ctx, cancel := context.WithTimeout(ctx, lastWordWithin)
		defer cancel()
		err = a.lastWord(ctx)
	}
	log.Error("the process ends before an answer of Threads could be saved", zap.Bool("ok", a.tried.OK),
		zap.Time("called_at", a.tried.At), zap.String("answer", a.tried.Message), zap.Bool("emitted", err == nil), zap.Error(err))
}

// answerOf is the answer to the publish call of a claimed post.
func (k *answerSaver) answerOf(p *posts.Post, mediaID string, called, accepted time.Time, tried asks.Attempt, save func(context.Context, *posts.Post) (end, error)) answer {
	a := answer{post: p, mediaID: mediaID, tried: tried, save: save, awaited: func(row *posts.Post) bool {
		return row.State == events.StatePublishing && posts.SameCall(row, p)
	}}
	if mediaID == "" {
		return a
	}
	// That it is live is news to a row in any state but the last ones, for as long as it speaks of this very call.
	a.awaited = func(row *posts.Post) bool {
		return !posts.IsFinal(row.State) && row.State != events.StateConcluding && posts.SameCall(row, p)
	}
	a.lastWord = func(ctx context.Context) error {
		next, more := p.Publish(mediaID, "", called, accepted, accepted)
		if more {
			return errors.New("other parts of the chain are to follow; the row must say so first")
		}
		next.Canonicalize()
		return k.outbox.emit(ctx, posts.OutcomeEvent(next, events.FactPublished))
	}
	return a
}
