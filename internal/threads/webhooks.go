package threads

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// The fields that webhooks tell of.
const (
	WebhookReplies  = "replies"
	WebhookMentions = "mentions"
	WebhookPublish  = "publish"
	WebhookDelete   = "delete"
)

// WebhookEvent is one thing that Threads tells of. There is no id of the delivery, and the same may come twice, late, or in
// another order: Key is the same for the same thing.
type WebhookEvent struct {
	AppID string
	Topic string // moderate, interaction
	Field string // an open list
	// TargetID is the post, or the user who was mentioned.
	TargetID       string
	SubscriptionID string
	At             time.Time
	// Media is what the event is about. Of a published post Threads tells neither the text nor the container.
	Media Media
	// RootOwnerID, RootUsername are of the post that a reply's conversation began with.
	RootOwnerID, RootUsername string
	DeletedAt                 time.Time
}

// Key is the same for the same thing told twice.
func (e WebhookEvent) Key() string {
	return fmt.Sprintf("%s/%s/%s/%d", e.Topic, e.Field, e.Media.ID, e.At.Unix())
}

// ParseWebhook reads the body of a webhook whose signature was checked. Its values may be one object or a list.
//
// https://developers.facebook.com/documentation/threads/webhooks
func ParseWebhook(body []byte) ([]WebhookEvent, error) {
	var w struct {
		AppID          id              `json:"app_id"`
		Topic          string          `json:"topic"`
		TargetID       id              `json:"target_id"`
		Time           seconds         `json:"time"`
		SubscriptionID id              `json:"subscription_id"`
		Values         json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	var values []wireValue
	if err := json.Unmarshal(w.Values, &values); err != nil {
		var one wireValue
		if err := json.Unmarshal(w.Values, &one); err != nil {
			return nil, fmt.Errorf("read webhook values: %w", err)
		}
		values = []wireValue{one}
	}
	if len(values) == 0 {
		return nil, errors.New("a webhook without values")
	}
	told := make([]WebhookEvent, len(values))
	for i, v := range values {
		told[i] = WebhookEvent{
			AppID: string(w.AppID), Topic: w.Topic, TargetID: string(w.TargetID), SubscriptionID: string(w.SubscriptionID),
			At: w.Time.time(), Field: v.Field, Media: v.Value.media(), DeletedAt: v.Value.DeletedAt.time(),
			RootOwnerID: string(v.Value.Root.OwnerID), RootUsername: v.Value.Root.Username,
		}
		told[i].Media.RootID = string(v.Value.Root.ID)
		if told[i].Media.OwnerID == "" {
			told[i].Media.OwnerID = string(v.Value.Owner.OwnerID)
		}
	}
	return told, nil
}

type wireValue struct {
	Field string     `json:"field"`
	Value wireReport `json:"value"`
}

// wireReport is a post as webhooks tell of it: the owner and the root have more than an id, and times may be of the Unix
// clock.
type wireReport struct {
	wireMedia
	Owner struct {
		ID      id `json:"id"`
		OwnerID id `json:"owner_id"`
	} `json:"owner"`
	Root struct {
		ID       id     `json:"id"`
		OwnerID  id     `json:"owner_id"`
		Username string `json:"username"`
	} `json:"root_post"`
	DeletedAt moment `json:"deleted_at"`
}

// moment is a time in either of Threads' forms; what is neither is no moment.
type moment time.Time

func (m *moment) UnmarshalJSON(b []byte) error {
	if s, err := strconv.Unquote(string(b)); err == nil {
		b = []byte(s)
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil && n >= 0 && n < 1<<33 {
		*m = moment(time.Unix(n, 0).UTC())
		return nil
	}
	var t timestamp
	if err := t.UnmarshalJSON([]byte(strconv.Quote(string(b)))); err == nil {
		*m = moment(t)
	}
	return nil
}

func (m moment) time() time.Time { return time.Time(m) }

// VerifySubscription answers the handshake with which Meta asks whether a callback address is ours. challenge is to be
// answered as it is.
//
// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
func VerifySubscription(query url.Values, verifyToken string) (challenge string, ok bool) {
	if query.Get("hub.mode") != "subscribe" || verifyToken == "" ||
		subtle.ConstantTimeCompare([]byte(query.Get("hub.verify_token")), []byte(verifyToken)) != 1 {
		return "", false
	}
	return query.Get("hub.challenge"), true
}
