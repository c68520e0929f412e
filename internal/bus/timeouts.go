package bus

import (
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/internal/dial"
)

// A server that falls silent, and is not gone, is left for another within seconds: its kernel takes what we send, so that
// only the missing answers show. The library's own limits are minutes.
const (
	pingEvery    = 2 * time.Second
	pingsUnheard = 2
	dialWithin   = 2 * time.Second
	// flushWithin bounds a write: it is made under the lock that the pings need as well.
	flushWithin = 4 * time.Second
	// pullBeat is how often the server says that a request for messages still stands. Without two of them it is made anew: the
	// server that had it may be silent, or no longer the durable's leader.
	pullBeat = 2 * time.Second
	// lookUpWithin bounds the question for a durable, which its leader answers; while there is none, nobody does.
	lookUpWithin = 2 * time.Second
)

func promptTimeouts() []nats.Option {
	return []nats.Option{
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsUnheard), nats.FlusherTimeout(flushWithin),
		nats.Timeout(dialWithin), nats.SetCustomDialer(dial.Dialer(dialWithin)),
	}
}

// Pulls is how messages are asked for, so many at a time.
func Pulls(most int) []jetstream.PullMessagesOpt {
	return []jetstream.PullMessagesOpt{jetstream.PullMaxMessages(most), jetstream.PullExpiry(pullFor), jetstream.PullHeartbeat(pullBeat)}
}
