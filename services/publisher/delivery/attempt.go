package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/threads"
)

// attempted is a line of the attempt log.
func attempted(phase string, began, ended time.Time, err error) asks.Attempt {
	a := asks.Attempt{At: began, Phase: phase, TookMs: float64(ended.Sub(began).Microseconds()) / 1000, OK: err == nil, Message: "Threads accepted the call."}
	if err == nil {
		return a
	}
	a.Message = "Threads could not be reached."
	if e := apiError(err); e != nil {
		a.Message, a.Code, a.Subcode, a.TraceID = e.Sentence, e.Code, e.Subcode, e.TraceID
	}
	return a
}

func statusSentence(st threads.Status) string {
	if st.ErrorMessage != "" {
		return fmt.Sprintf("The container is %s (%s).", st.Status, st.ErrorMessage)
	}
	return fmt.Sprintf("The container is %s.", st.Status)
}

func apiError(err error) *threads.Error {
	if e := new(threads.Error); errors.As(err, &e) {
		return e
	}
	return nil
}
