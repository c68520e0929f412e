package edge

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// answerWithin is how long a client may take to take its answer.
	answerWithin = 30 * time.Second
	// discardWithin is how long the rest of a body is read that nobody wanted. net/http reads it before it answers.
	discardWithin = time.Second
)

// setDeadlines limits how long a body may take to arrive, and the client to take the answer. The server's own limits would be of
// the whole request, and cut what waits for its outcome, or streams.
func (e *Edge) setDeadlines(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(time.Time{}) // of the answer before on this connection; some writers have none, and are for tests
	limited := &deadlineWriter{ResponseWriter: w, ctl: ctl}
	if r.Body != nil && r.Body != http.NoBody {
		_ = ctl.SetReadDeadline(time.Now().Add(e.Limits.BodyTimeout))
		limited.body = &deadlineBody{ReadCloser: r.Body, ctl: ctl}
		r.Body = limited.body
	}
	return limited
}

// deadlineBody lifts the limit when it has arrived: from then on the server reads ahead, only to notice when the client
// leaves, and the limit would look like that.
type deadlineBody struct {
	io.ReadCloser
	ctl  *http.ResponseController
	read bool // to its end
}

// Read reads the body.
func (b *deadlineBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.read = true
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// deadlineWriter sets the limit when the answer begins.
type deadlineWriter struct {
	http.ResponseWriter
	ctl   *http.ResponseController
	body  *deadlineBody // nil: none
	begun bool
}

func (w *deadlineWriter) begin() {
	if !w.begun {
		w.begun = true
		if w.body != nil && !w.body.read {
			_ = w.ctl.SetReadDeadline(time.Now().Add(discardWithin))
		}
		_ = w.ctl.SetWriteDeadline(time.Now().Add(answerWithin))
	}
}

// WriteHeader begins the answer.
func (w *deadlineWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer, too. A stream that sets limits of its own does so after this.
func (w *deadlineWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
