package auth

import (
	"errors"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// How a flow can fail. The code of the detail is the word that the gateway puts into the failure redirect.

func accessDenied() *events.Fault {
	const sentence = "Access was not allowed on Threads; nothing was connected."
	return events.Faultf(events.Refused, sentence).At("/error", "access_denied", sentence)
}

// stateInvalid is said alike to an unknown, used or too old state and to a wrong cookie.
func stateInvalid() *events.Fault {
	const sentence = "This sign-in was used before, is too old, or was begun in another browser; please connect again."
	return events.Faultf(events.Invalid, sentence).At("/state", "state_invalid", sentence)
}

// codeInvalid is said alike to an unknown, used or too old code and to somebody else's.
func codeInvalid() *events.Fault {
	const sentence = "This code was used before, is too old, or belongs to a connection that somebody else began; please connect again."
	return events.Faultf(events.Invalid, sentence).At("/code", "connect_code_invalid", sentence)
}

func missingBasicScope() *events.Fault {
	const sentence = "The basic permission was not allowed on Threads, and nothing works without it; please connect again and allow it."
	return events.Faultf(events.MissingScope, sentence).At("/code", "missing_basic_scope", sentence)
}

func otherUser() *events.Fault {
	const sentence = "This is another Threads account than before; log in at Threads as the one that is to be reconnected, or connect this one by itself."
	return events.Faultf(events.Conflict, sentence).At("/accountId", "other_threads_user", sentence)
}

// notGranted is for a flow that broke at Threads: over for good, or worth beginning again.
func (s *Service) notGranted(err error) error {
	refused, ok := errors.AsType[*threads.Error](err)
	if !ok {
		return err
	}
	s.log.Info("threads did not finish the sign-in", zap.Error(err))
	if passing(refused.Class) {
		return unavailable(refused, "Threads did not answer as usual; please connect again in a moment.")
	}
	return exchangeFailed()
}

func exchangeFailed() *events.Fault {
	const sentence = "Threads did not accept this sign-in; please connect the account again from the start."
	return events.Faultf(events.Refused, sentence).At("/code", "exchange_failed", sentence)
}

// passing says that the same request may work later.
func passing(c threads.Class) bool {
	return c == threads.Transient || c == threads.Ambiguous || c == threads.NotReady || c == threads.Quota
}

func unavailable(e *threads.Error, sentence string) *events.Fault {
	return events.Faultf(events.Unavailable, "%s", sentence).At("", "threads_unavailable", sentence).After(e.RetryAfter)
}
