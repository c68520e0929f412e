package draft

import (
	"context"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// ValidatePost checks a draft by all the rules by which it would be accepted, and adds what its author should know. Nothing is
// stored.
func (s *Service) ValidatePost(ctx context.Context, q asks.ValidatePost) (asks.Validation, error) {
	now := s.now()
	v := asks.Validation{Errors: []events.Detail{}, Warnings: []events.Detail{}, Parts: []asks.TextCount{}, Media: []asks.MediaLook{}, PublishAt: q.PublishAt.UTC()}
	if q.PublishAt.IsZero() {
		v.PublishAt = now.UTC()
	} else if late := CheckTime(q.PublishAt, now); late != nil {
		v.Errors = append(v.Errors, late.Details...)
	}
	v.Parts = counts(q.Draft)
	media := make(chan []asks.MediaLook, 1) // side by side with the rest, which may wait for Threads
	if q.Fetch {
		if fault := s.budget.takeFetches(q.UserID, filesOf(q.Draft), now); fault != nil {
			return v, fault
		}
		ctx, cancel := context.WithTimeout(ctx, probesWithin)
		defer cancel()
		go func() { media <- s.probeAll(s.budget.paidBy(ctx, q.UserID, s.now), q.Draft) }()
	}
	own, err := accounts.ForUser(ctx, s.db, q.UserID)
	if err != nil {
		return v, err
	}
	account, err := accounts.Choose(own, q.Draft.AccountID)
	if err := addRefusal(&v, err, "/accountId"); err != nil {
		return v, err
	}
	if account.ID != "" {
		if err := s.checkAccount(ctx, &v, account, q.Draft, now); err != nil {
			return v, err
		}
	}
	if fault := s.Check(q.Draft); fault != nil {
		v.Errors = append(v.Errors, fault.Details...)
	}
	v.Warnings = append(v.Warnings, posts.TextWarnings(q.Draft)...)
	whole := s.NewPost(events.NewPostID(), q.UserID, account.ID, q.Draft, v.PublishAt)
	if err := addRefusal(&v, CheckSize(whole), ""); err != nil {
		return v, err
	}
	if q.Fetch {
		v.Media = <-media
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

// addRefusal adds a refusal to the errors. An error that is no refusal comes back.
func addRefusal(v *asks.Validation, err error, pointer string) error {
	if err == nil {
		return nil
	}
	fault := commands.Refusal(err)
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

// checkAccount adds what follows from the account: whether it can be used, what its allowances leave, and how long its token lasts.
func (s *Service) checkAccount(ctx context.Context, v *asks.Validation, account accounts.Account, d events.Draft, now time.Time) error {
	v.AccountID = account.ID
	if err := addRefusal(v, MayPost(account, d), "/accountId"); err != nil {
		return err
	}
	if err := addRefusal(v, s.CheckQueue(ctx, s.db, account.ID), "/accountId"); err != nil {
		return err
	}
	if err := addRefusal(v, s.CheckReferences(ctx, s.db, account.UserID, account.ID, d), ""); err != nil {
		return err
	}
	warn := func(pointer, code, words string) {
		v.Warnings = append(v.Warnings, events.Detail{Pointer: pointer, Code: code, Message: words})
	}
	if (d.ReplyTo != "" || len(d.Parts) > 1) && !account.HasScope(threads.ScopeReadReplies) {
		warn("/accountId", "no_read_replies", "This account did not grant "+threads.ScopeReadReplies+": should Threads' answer to a reply be lost, a person must look whether it is live.")
	}
	v.Token = &asks.Runway{Status: account.Status, ExpiresAt: account.ExpiresAt.UTC(),
		DaysLeft: int(account.ExpiresAt.Sub(v.PublishAt).Hours() / 24)}
	if account.ExpiresAt.Before(v.PublishAt) {
		warn("/scheduledAt", "token_runway", "The account's token ends before this time; it is refreshed before, unless Threads refuses and the account must be connected again.")
	}
	quota, err := s.limits(ctx, account, clock.Latest(v.PublishAt, now), now)
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
func counts(d events.Draft) []asks.TextCount {
	count := func(text, attached string) asks.TextCount {
		return asks.TextCount{Count: threads.Count(text), Limit: threads.MaxText, Links: threads.Links(text, attached)}
	}
	if len(d.Parts) == 0 {
		return []asks.TextCount{count(d.Text, d.LinkAttachment)}
	}
	list := make([]asks.TextCount, min(len(d.Parts), maxParts))
	for i, part := range d.Parts[:len(list)] {
		attached := ""
		if i == 0 {
			attached = d.LinkAttachment
		}
		list[i] = count(part.Text, attached)
	}
	return list
}
