package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/threads"
)

// VerifyWebhook answers the question by which Meta finds out whether the callback address is ours.
func (s *Service) VerifyWebhook(_ context.Context, q asks.VerifyWebhook) (asks.WebhookVerified, error) {
	challenge, ok := threads.VerifySubscription(url.Values{
		"hub.mode": {q.Mode}, "hub.verify_token": {q.VerifyToken}, "hub.challenge": {q.Challenge},
	}, s.cfg.WebhookVerifyToken.Reveal())
	if !ok {
		return asks.WebhookVerified{}, events.Faultf(events.Unauthorized, "The verify token is not ours, or none is set here.")
	}
	return asks.WebhookVerified{Challenge: challenge}, nil
}

// ReceiveWebhook emits on EVENTS what Meta sent, if Meta sent it. It returns when everything is on disk there; what is
// answered to Meta then ends its tries, and no one else has it.
func (s *Service) ReceiveWebhook(ctx context.Context, q asks.ReceiveWebhook) (asks.WebhookReceived, error) {
	if err := threads.VerifyWebhook(q.Body, q.Signature, s.cfg.AppSecret.Reveal(), s.cfg.WebhookSecret.Reveal()); err != nil {
		return asks.WebhookReceived{}, events.Faultf(events.Unauthorized, "The signature is not Meta's.")
	}
	updates, err := threads.ParseWebhook(q.Body)
	if err != nil { // refused, it would come again for a day and a half, no better than now
		s.log.Error("a webhook of Meta's was not understood, and is dropped", zap.Int("bytes", len(q.Body)))
		return asks.WebhookReceived{}, nil //nolint:nilerr // as said
	}
	var received []events.Event
	for _, u := range updates {
		more, err := s.eventsOf(ctx, u)
		if err != nil {
			return asks.WebhookReceived{}, err
		}
		received = append(received, more...)
	}
	fresh, err := s.withoutReceived(ctx, received)
	if err != nil || len(fresh) == 0 {
		return asks.WebhookReceived{}, err
	}
	if err := s.bus.Emit(ctx, fresh...); err != nil {
		s.log.Warn("the events of a webhook could not be emitted; Meta sends it again", zap.Error(err))
		return asks.WebhookReceived{}, events.Faultf(events.Unavailable, "We cannot take this in at the moment; please send it again.")
	}
	return asks.WebhookReceived{Facts: len(fresh)}, s.markReceived(ctx, fresh)
}

// eventsOf are the events that an update is: one for each account of ours that it is about.
func (s *Service) eventsOf(ctx context.Context, u threads.WebhookEvent) ([]events.Event, error) {
	eventOf, identity := reading(u)
	if eventOf == nil {
		s.log.Info("a webhook of a kind that is none of ours", zap.String("field", u.Field))
		return nil, nil
	}
	if u.Media.ID == "" {
		s.log.Warn("a webhook names no post, and is dropped", zap.String("field", u.Field))
		return nil, nil
	}
	if !s.timely(happenedOrSent(u)) {
		s.log.Warn("a webhook is too old, from the future or without a time, and is dropped", zap.String("field", u.Field))
		return nil, nil
	}
	list, err := accounts.ByThreadsIdentity(ctx, s.db, identity)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		s.log.Info("a webhook is about nobody here", zap.String("field", u.Field))
	}
	at := happened(u)
	found := []events.Event{}
	for _, a := range list {
		found = append(found, eventOf(events.Heard{UserID: a.UserID, AccountID: a.ID, MediaID: u.Media.ID, At: at}))
	}
	return found, nil
}

// reading says what an update means, and how to find whose it is.
func reading(u threads.WebhookEvent) (func(events.Heard) events.Event, accounts.ThreadsIdentity) {
	m := u.Media
	owner := accounts.ThreadsIdentity{ThreadsUserID: m.OwnerID, MediaIDs: []string{m.ID}}
	if m.OwnerID == "" { // another may have the name by now; an id stays
		owner.Username = m.Username
	}
	words := events.Words{
		Username: m.Username, Text: m.Text, MediaType: m.MediaType, Permalink: m.Permalink, RepliedTo: m.ReplyToID, RootID: m.RootID,
	}
	switch u.Field {
	case threads.WebhookReplies:
		// The conversation's owner, or who was replied to within somebody else's: which of them is meant is not said.
		return func(h events.Heard) events.Event { return events.ReplyReceived{Heard: h, Words: words} },
			accounts.ThreadsIdentity{ThreadsUserID: u.RootOwnerID, MediaIDs: []string{m.ReplyToID, m.RootID}}
	case threads.WebhookMentions:
		return func(h events.Heard) events.Event { return events.Mentioned{Heard: h, Words: words} },
			accounts.ThreadsIdentity{ThreadsUserID: u.TargetID}
	case threads.WebhookPublish:
		return func(h events.Heard) events.Event {
			return events.PublishedOnThreads{Heard: h, MediaType: m.MediaType, Permalink: m.Permalink}
		}, owner
	case threads.WebhookDelete:
		return func(h events.Heard) events.Event { return events.DeletedOnThreads{Heard: h} }, owner
	}
	return nil, accounts.ThreadsIdentity{}
}

// happened is when Threads says that it happened.
func happened(u threads.WebhookEvent) time.Time {
	at := u.At
	switch {
	case u.Field == threads.WebhookDelete && !u.DeletedAt.IsZero():
		at = u.DeletedAt
	case u.Field != threads.WebhookDelete && !u.Media.Timestamp.IsZero():
		at = u.Media.Timestamp
	}
	return at.UTC()
}

// happenedOrSent is when Threads sent a webhook, as far as it says.
func happenedOrSent(u threads.WebhookEvent) time.Time {
	if u.At.IsZero() {
		return happened(u)
	}
	return u.At
}

const (
	// timelyFor is how old what Meta signed may be: longer than it tries. What is older is somebody's recording.
	timelyFor = 3 * 24 * time.Hour
	// receivedFor is how long it is known again: for as long as it may come, with room for clocks that differ.
	receivedFor = timelyFor + earlyFor + time.Hour
	// earlyFor is how far Meta's clock may be ahead of ours.
	earlyFor = time.Hour
)

// timely says whether what Meta signed at that time is still taken. It must be no longer than what was taken is known again:
// or it could be emitted twice.
func (s *Service) timely(at time.Time) bool {
	now := s.now()
	return at.After(now.Add(-timelyFor)) && at.Before(now.Add(earlyFor))
}

// receivedWebhook is an event that a webhook became.
type receivedWebhook struct {
	bun.BaseModel `bun:"table:webhooks_heard"`

	EventID string    `bun:"event_id,pk"`
	At      time.Time `bun:"at"`
}

// withoutReceived leaves out what was emitted before, and what is twice among them. Two who ask at the same moment may both get an
// event: then JetStream knows its id.
func (s *Service) withoutReceived(ctx context.Context, list []events.Event) ([]events.Event, error) {
	if len(list) == 0 {
		return nil, nil
	}
	ids := make([]string, len(list))
	for i, f := range list {
		ids[i] = f.EventID()
	}
	var known []string
	err := s.db.NewSelect().Model((*receivedWebhook)(nil)).Column("event_id").Where("event_id IN (?)", bun.List(ids)).Scan(ctx, &known)
	if err != nil {
		return nil, fmt.Errorf("look for what was received: %w", err)
	}
	seen := map[string]bool{}
	for _, id := range known {
		seen[id] = true
	}
	var fresh []events.Event
	for _, f := range list {
		if !seen[f.EventID()] {
			seen[f.EventID()] = true
			fresh = append(fresh, f)
		}
	}
	return fresh, nil
}

// markReceived saves what was emitted, after it was: a crash in between emits it twice under one id, and never not at all.
func (s *Service) markReceived(ctx context.Context, list []events.Event) error {
	rows := make([]receivedWebhook, len(list))
	for i, f := range list {
		rows[i] = receivedWebhook{EventID: f.EventID(), At: s.now()}
	}
	_, err := s.db.NewInsert().Model(&rows).On("CONFLICT DO NOTHING").Exec(ctx)
	_, forget := s.db.NewDelete().Model((*receivedWebhook)(nil)).Where("at < ?", s.now().Add(-receivedFor)).Exec(ctx)
	if err := errors.Join(err, forget); err != nil {
		return fmt.Errorf("save what was received: %w", err)
	}
	return nil
}
