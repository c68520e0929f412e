package draft

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/panics"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/probe"
)

// allMedia are the pictures and videos of a draft with their JSON pointers, in order.
func allMedia(d events.Draft) func(yield func(string, events.Media) bool) {
	return func(yield func(string, events.Media) bool) {
		for i, m := range d.Media {
			if !yield(fmt.Sprintf("/media/%d", i), m) {
				return
			}
		}
		for n, part := range d.Parts {
			for i, m := range part.Media {
				if !yield(fmt.Sprintf("/parts/%d/media/%d", n, i), m) {
					return
				}
			}
		}
	}
}

// probesAtOnce bounds how many files of one request are probed side by side, maxProbes how many in all, and probesWithin how
// long that takes in all.
const (
	probesAtOnce = 4
	maxProbes    = 40
	probesWithin = 15 * time.Second
)

// filesOf is how many files of a draft are looked at.
func filesOf(d events.Draft) (n int) {
	for range allMedia(d) {
		n++
	}
	return min(n, maxProbes)
}

// probeAll reads the files of a draft as Threads would.
func (s *Service) probeAll(ctx context.Context, d events.Draft) []asks.MediaLook {
	looks := []asks.MediaLook{}
	g := new(errgroup.Group)
	g.SetLimit(probesAtOnce)
	var all []*asks.MediaLook
	for pointer, m := range allMedia(d) {
		if len(all) == maxProbes {
			break
		}
		look := &asks.MediaLook{Pointer: pointer}
		all = append(all, look)
		g.Go(func() error {
			s.probeOne(ctx, look, m)
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	for _, look := range all {
		looks = append(looks, *look)
	}
	return looks
}

func (s *Service) probeOne(ctx context.Context, look *asks.MediaLook, m events.Media) {
	kind := threads.Image
	if m.Type == events.Video {
		kind = threads.Video
	}
	problem := func(code, words string) {
		look.Problems = append(look.Problems, events.Detail{Pointer: look.Pointer + "/url", Code: code, Message: words})
	}
	// As much as it may read is taken before, and what it did not read is given back.
	pay := payerOf(ctx)
	if !pay.take(probe.MaxBytes) {
		problem("not_looked_at", "As much was fetched for you within a minute as may be; validate again in a moment, or with media=false.")
		return
	}
	var read int64
	facts, found, err := s.probe(probe.Metered(ctx, &read), kind, m.URL)
	pay.giveBack(probe.MaxBytes - read)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("media could not be probed", zap.Error(err))
		}
		problem("not_looked_at", "There was no time to look at this file.")
		return
	}
	look.Fetched, look.Usable = true, len(found) == 0
	look.Format, look.Bytes, look.Width, look.Height = facts.Format, facts.Bytes, facts.Width, facts.Height
	look.DurationSeconds, look.VideoCodec, look.AudioCodec = facts.Duration.Seconds(), facts.VideoCodec, facts.AudioCodec
	for _, p := range found {
		problem(p.Code, strings.TrimSpace(p.Detail))
	}
}

// probe reads bytes that a stranger chose: a panic over them becomes an error.
func (s *Service) probe(ctx context.Context, kind, address string) (facts threads.MediaFacts, found []threads.Problem, err error) {
	defer panics.ToError(&err)
	return s.prober.Probe(ctx, kind, address)
}
