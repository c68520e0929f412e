package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// place is a place on EVENTS, as clients carry it in Last-Event-ID: which stream, and how far. To them it is opaque.
type place struct {
	born     int64 // tells the stream from one that was made in its place
	sequence uint64
}

func placeOn(born time.Time, sequence uint64) place { return place{born.UnixNano(), sequence} }

func (p place) String() string {
	return strconv.FormatInt(p.born, 36) + "-" + strconv.FormatUint(p.sequence, 36)
}

// readPlace reads what String wrote.
func readPlace(id string) (place, bool) {
	left, right, found := strings.Cut(id, "-")
	born, err := strconv.ParseInt(left, 36, 64)
	if err != nil || !found {
		return place{}, false
	}
	sequence, err := strconv.ParseUint(right, 36, 64)
	return place{born, sequence}, err == nil
}

// The events of a stream that are no facts.
const (
	// eventReady says that the past is sent, and that what follows is sent as it happens. It comes with an id from which to
	// go on, so that nothing is lost between a first connection and its first fact.
	eventReady = "ready"
	// eventReset says that what lies between the client's place and now cannot be sent: read everything anew.
	eventReset = "reset"
	// eventEnd says why the stream ends: connect again, from the last id.
	eventEnd = "end"
)

// frame is an event on its way to clients, encoded once for all of them.
type frame struct {
	sequence uint64
	account  string
	name     string
	bytes    []byte
}

// frameOf encodes a fact.
func frameOf(born time.Time, f bus.StoredEvent) *frame {
	name := events.NameOf(f.Meta.Type)
	return &frame{
		sequence: f.Sequence, account: events.AccountOf(f.Subject), name: name,
		bytes: encodeEvent(placeOn(born, f.Sequence).String(), name, f.Body),
	}
}

// encodeEvent writes an event of text/event-stream. A line break in the data would end its field, so each line is one.
func encodeEvent(id, name string, data []byte) []byte {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "event: %s\n", name)
	for line := range bytes.SplitSeq(bytes.ReplaceAll(data, []byte("\r"), nil), []byte("\n")) {
		fmt.Fprintf(&b, "data: %s\n", line)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// sink is the client's end of a stream.
type sink struct {
	w      http.ResponseWriter
	ctl    *http.ResponseController
	within time.Duration // how long the client may take to make room for the next bytes
	fail   error
}

// openSink begins the answer. The server's own time limits are for answers that end.
func openSink(w http.ResponseWriter, within time.Duration) *sink {
	s := &sink{w: w, ctl: http.NewResponseController(w), within: within}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would collect a page of it first
	_ = s.ctl.SetReadDeadline(time.Time{})
	_ = s.ctl.SetWriteDeadline(time.Now().Add(s.within))
	w.WriteHeader(http.StatusOK)
	return s
}

// put writes bytes; flush sends them. After a failure both do nothing.
func (s *sink) put(b []byte) {
	if s.fail != nil {
		return
	}
	_ = s.ctl.SetWriteDeadline(time.Now().Add(s.within)) // some writers have none, and are for tests
	_, s.fail = s.w.Write(b)
}

func (s *sink) flush() error {
	if s.fail == nil {
		s.fail = s.ctl.Flush()
	}
	return s.fail
}

// say writes an event that is no fact.
func (s *sink) say(id, name, reason, detail string) {
	data, _ := json.Marshal(map[string]string{"reason": reason, "detail": detail}) // strings always encode
	s.put(encodeEvent(id, name, data))
}

// mark tells the client how far it has come, by an id without an event: browsers keep it and call nobody. The comment is
// the heartbeat for whoever reads lines.
func (s *sink) mark(p place) { s.put(fmt.Appendf(nil, ": beat\nid: %s\n\n", p)) }
