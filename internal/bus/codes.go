package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/internal/clock"
)

// JetStream's words for why a message was not stored, as far as they are distinguished here.
// All of them: server/errors.json of nats-server.
const (
	codeNoMetaLeader        jetstream.ErrorCode = 10008
	codeNotLeader           jetstream.ErrorCode = 10009
	codeInsufficientStorage jetstream.ErrorCode = 10047
	codeWrongLastSequence   jetstream.ErrorCode = 10071
	codeIDInFlight          jetstream.ErrorCode = 10158 // a message with this id is on its way
	codeSubjectsInFlight    jetstream.ErrorCode = 10163
	codeSubjectInFlight     jetstream.ErrorCode = 10164 // a message on this subject is on its way
	codeTooManyRequests     jetstream.ErrorCode = 10167
	codeBatchDuplicate      jetstream.ErrorCode = 10201
)

// storing is what is known of a message after one try to store it.
type storing int

const (
	isStored storing = iota
	notNow           // not stored, and the next try may be luckier
	notEver          // not stored, and no try will change that
	unsure           // sent; whether it is stored, nobody said
)

// storingOf reads the error of a publish.
func storingOf(err error) storing {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return isStored
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeNoMetaLeader, codeNotLeader, codeIDInFlight, codeSubjectsInFlight, codeSubjectInFlight, codeTooManyRequests:
			return notNow
		}
		return notEver
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders), // leader election, or no stream
		errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, jetstream.ErrTooManyStalledMsgs):
		return notNow
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubject):
		return notEver // it never left
	}
	return unsure
}

func errorCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// backoff waits before another try: long enough for a message in flight to land, and not the same for everybody.
func backoff(ctx context.Context) bool {
	return clock.Sleep(ctx, 50*time.Millisecond+rand.N(150*time.Millisecond)) //nolint:gosec // spreads tries, guards nothing
}
