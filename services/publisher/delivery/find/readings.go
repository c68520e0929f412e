package find

import (
	"context"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/sync/singleflight"

	"github.com/omni-write/threads/internal/threads"
)

// readings keeps what was listed for an account since this process began, for a minute. It serves posts of which no call is
// known and none can have been made since; a post with a call of its own is looked for anew each time.
type readings struct {
	flights singleflight.Group
	kept    *expirable.LRU[string, reading] // by account and list
}

type reading struct {
	since time.Time
	media []threads.Media
}

const readingKept = time.Minute

func newReadings() *readings {
	return &readings{kept: expirable.NewLRU[string, reading](0, nil, readingKept)}
}

// get is a list of an account from a time on. It is read from an hour ago on, so that the account's other posts are served
// by it too; one that is overdue by more has it read again, further back.
func (r *readings) get(ctx context.Context, account, name string, since time.Time,
	read func(context.Context, time.Time) ([]threads.Media, error)) ([]threads.Media, error) {
	key := account + " " + name
	if one, ok := r.find(key, since); ok {
		return one, nil
	}
	got, err, _ := r.flights.Do(key, func() (any, error) {
		if one, ok := r.find(key, since); ok {
			return reading{since: since, media: one}, nil
		}
		from := since
		if early := time.Now().Add(-presumedFor); early.Before(from) {
			from = early
		}
		media, err := read(context.WithoutCancel(ctx), from)
		if err != nil {
			return reading{}, err
		}
		one := reading{since: from, media: media}
		r.kept.Add(key, one)
		return one, nil
	})
	if err != nil {
		return nil, err
	}
	if one := got.(reading); !one.since.After(since) { //nolint:forcetypeassert // what the flight returns
		return one.media, nil
	}
	return read(ctx, since)
}

// presumedFor is how far back a shared reading goes.
const presumedFor = time.Hour

func (r *readings) find(key string, since time.Time) ([]threads.Media, bool) {
	one, ok := r.kept.Get(key)
	return one.media, ok && !one.since.After(since)
}
