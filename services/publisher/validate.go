package publisher

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/panics"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/probe"
)

// ValidatePost holds a draft against the rules by which it would be accepted, all of them, and adds what its author should
// know. Nothing is stored.
func (s *Service) ValidatePost(ctx context.Context, q events.ValidatePost) (events.Validation, error) {
	now := s.now()
	v := events.Validation{Errors: []events.Detail{}, Warnings: []events.Detail{}, Parts: []events.TextCount{}, Media: []events.MediaLook{}, PublishAt: q.PublishAt.UTC()}
	if q.PublishAt.IsZero() {
		v.PublishAt = now.UTC()
	} else if late := pastTime(q.PublishAt, now); late != nil {
		v.Errors = append(v.Errors, late.Details...)
	}
	v.Parts = counts(q.Draft)
	looks := make(chan []events.MediaLook, 1) // side by side with the rest, which may wait for Threads
	if q.Fetch {
		ctx, cancel := context.WithTimeout(ctx, looksWithin)
		defer cancel()
		go func() { looks <- s.lookAtMedia(ctx, q.Draft) }()
	}
	own, err := accounts.ForUser(ctx, s.side().DB, q.UserID)
	if err != nil {
		return v, err
	}
	account, err := accounts.Choose(own, q.Draft.AccountID)
	if err := refuses(&v, err, "/accountId"); err != nil {
		return v, err
	}
	if account.ID != "" {
		if err := s.ofAccount(ctx, &v, account, q.Draft, now); err != nil {
			return v, err
		}
	}
	if fault := s.checkDraft(q.Draft); fault != nil {
		v.Errors = append(v.Errors, fault.Details...)
	}
	whole := s.newPost(events.NewPostID(), q.UserID, account.ID, q.Draft, v.PublishAt)
	if err := refuses(&v, tellable(whole), ""); err != nil {
		return v, err
	}
	if q.Fetch {
		v.Media = <-looks
		for _, m := range v.Media {
			if m.Fetched && !m.Usable {
				v.Warnings = append(v.Warnings, events.Detail{Pointer: m.Pointer, Code: "media_not_usable",
					Message: "Threads would probably refuse this file as it is now; see media for the reason."})
			}
		}
	}
	v.Valid = len(v.Errors) == 0
	return v, nil
}

// pastTime refuses a time that is over.
func pastTime(at, asked time.Time) *events.Fault {
	if !at.Before(asked.Add(-pastGrace)) {
		return nil
	}
	return events.Faultf(events.Invalid, "The time of this post has passed.").
		At("/scheduledAt", "time_in_past", "The time is more than a minute in the past; choose a later one, or post it now.")
}

// refuses adds a refusal to the errors. What is no refusal comes back.
func refuses(v *events.Validation, err error, pointer string) error {
	if err == nil {
		return nil
	}
	fault := outcomeFault(err)
	if fault == nil {
		return err
	}
	if len(fault.Details) > 0 {
		v.Errors = append(v.Errors, fault.Details...)
		return nil
	}
	v.Errors = append(v.Errors, events.Detail{Pointer: pointer, Code: string(fault.Code), Message: fault.Message})
	return nil
}

// ofAccount adds what follows from the account: whether it can be used, what it has left, and how long.
func (s *Service) ofAccount(ctx context.Context, v *events.Validation, account accounts.Account, d events.Draft, now time.Time) error {
	v.AccountID = account.ID
	if err := refuses(v, mayPost(account, d), "/accountId"); err != nil {
		return err
	}
	if err := refuses(v, s.checkRefs(ctx, s.side().DB, account.UserID, account.ID, d), ""); err != nil {
		return err
	}
	warn := func(pointer, code, words string) {
		v.Warnings = append(v.Warnings, events.Detail{Pointer: pointer, Code: code, Message: words})
	}
	if (d.ReplyTo != "" || len(d.Parts) > 1) && !account.HasScope(scopeReadReplies) {
		warn("/accountId", "no_read_replies", "This account did not grant "+scopeReadReplies+": should Threads' answer to a reply be lost, a person must look whether it is live.")
	}
	v.Token = &events.Runway{Status: account.Status, ExpiresAt: account.ExpiresAt.UTC(),
		DaysLeft: int(account.ExpiresAt.Sub(v.PublishAt).Hours() / 24)}
	if account.ExpiresAt.Before(v.PublishAt) {
		warn("/scheduledAt", "token_runway", "The account's token ends before this time; it is refreshed before, unless Threads refuses and the account must be connected again.")
	}
	quota, err := s.forecast(ctx, account, clock.Latest(v.PublishAt, now), now)
	if err != nil {
		return err
	}
	v.Quota = &quota
	posts, replies := 1, 0
	switch {
	case len(d.Parts) > 0:
		replies = len(d.Parts) - 1
	case d.ReplyTo != "":
		posts, replies = 0, 1
	}
	if quota.Posts.Remaining < posts || quota.Replies.Remaining < replies {
		warn("/scheduledAt", "quota_full", "The account's allowance will be used up at this time; the post would wait until there is room again.")
	}
	return nil
}

// counts are the texts as Threads counts them.
func counts(d events.Draft) []events.TextCount {
	count := func(text, attached string) events.TextCount {
		return events.TextCount{Count: threads.Count(text), Limit: threads.MaxText, Links: threads.Links(text, attached)}
	}
	if len(d.Parts) == 0 {
		return []events.TextCount{count(d.Text, d.LinkAttachment)}
	}
	list := make([]events.TextCount, min(len(d.Parts), maxParts))
	for i, part := range d.Parts[:len(list)] {
		attached := ""
		if i == 0 {
			attached = d.LinkAttachment
		}
		list[i] = count(part.Text, attached)
	}
	return list
}

// checkDraft is every rule that a draft itself can break: Threads' own, and that its addresses lead to the internet.
func (s *Service) checkDraft(d events.Draft) *events.Fault {
	fault := checkWhole(d)
	var private []events.Detail
	each := func(pointer, address string) {
		if address != "" && threads.CheckMediaURL(address) == nil && !probe.Public(address, s.cfg.MediaNetworks) {
			private = append(private, events.Detail{Pointer: pointer, Code: "address_not_public",
				Message: "This address is not on the internet, so Threads could not reach it; use a public one."})
		}
	}
	for pointer, m := range mediaOf(d) {
		each(pointer+"/url", m.URL)
	}
	each("/linkAttachment", d.LinkAttachment)
	if d.TextAttachment != nil {
		each("/textAttachment/link", d.TextAttachment.Link)
	}
	if len(private) == 0 {
		return fault
	}
	if fault == nil {
		fault = events.Faultf(events.Invalid, "%s", private[0].Message)
	}
	fault.Details = append(fault.Details, private...)
	return theFirst(fault)
}

// mediaOf are the pictures and videos of a draft with their pointers, in order.
func mediaOf(d events.Draft) func(yield func(string, events.Media) bool) {
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

// looksAtOnce bounds how many files of one request are looked at side by side, mostLooks how many in all, and looksWithin
// how long that takes in all.
const (
	looksAtOnce = 4
	mostLooks   = 40
	looksWithin = 15 * time.Second
)

// lookAtMedia looks at the files as Threads would.
func (s *Service) lookAtMedia(ctx context.Context, d events.Draft) []events.MediaLook {
	looks := []events.MediaLook{}
	g := new(errgroup.Group)
	g.SetLimit(looksAtOnce)
	var all []*events.MediaLook
	for pointer, m := range mediaOf(d) {
		if len(all) == mostLooks {
			break
		}
		look := &events.MediaLook{Pointer: pointer}
		all = append(all, look)
		g.Go(func() error {
			s.lookAt(ctx, look, m)
			return nil
		})
	}
	_ = g.Wait() // nobody fails
	for _, look := range all {
		looks = append(looks, *look)
	}
	return looks
}

func (s *Service) lookAt(ctx context.Context, look *events.MediaLook, m events.Media) {
	kind := threads.Image
	if m.Type == events.Video {
		kind = threads.Video
	}
	facts, found, err := s.probe(ctx, kind, m.URL)
	problem := func(code, words string) {
		look.Problems = append(look.Problems, events.Detail{Pointer: look.Pointer + "/url", Code: code, Message: words})
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("media not looked at", errField(err))
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

// probe looks at the bytes of a stranger.
func (s *Service) probe(ctx context.Context, kind, address string) (facts threads.MediaFacts, found []threads.Problem, err error) {
	defer panics.ToError(&err)
	return s.prober.Probe(ctx, kind, address)
}
