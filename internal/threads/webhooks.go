package threads

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
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
	// Value is what Threads told, word for word: of a field of tomorrow nothing else may be known.
	Value json.RawMessage
}

// Key is the same for the same thing told twice.
func (e WebhookEvent) Key() string {
	about := e.Media.ID
	if about == "" { // then only the words tell one thing from another
		sum := sha256.Sum256(e.Value)
		about = hex.EncodeToString(sum[:8])
	}
	return fmt.Sprintf("%s/%s/%s/%d", e.Topic, e.Field, about, e.At.Unix())
}

// ParseWebhook reads the body of a webhook whose signature was checked. Its values may be one object or a list, and updates
// may come several in one. One that is not understood does not keep the others from being read: refused, all of them would
// come again for a day and a half, and then no more.
//
// https://developers.facebook.com/documentation/threads/webhooks
func ParseWebhook(body []byte) ([]WebhookEvent, error) {
	updates, err := oneOrMore[wireUpdate](body)
	if err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	var told []WebhookEvent
	for _, w := range updates {
		values, bad := oneOrMore[wireValue](w.Values)
		err = cmp.Or(err, bad)
		for _, v := range values {
			told = append(told, w.event(v))
		}
	}
	if len(told) == 0 {
		return nil, fmt.Errorf("read webhook values: %w", cmp.Or(err, errors.New("there are none")))
	}
	return told, nil
}

// oneOrMore reads a list, or a thing that stands for a list of one.
func oneOrMore[T any](b []byte) (list []T, err error) {
	if json.Unmarshal(b, &list) == nil {
		return list, nil
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return nil, err
	}
	return []T{one}, nil
}

type wireUpdate struct {
	AppID          decoration[id]     `json:"app_id"`
	Topic          decoration[string] `json:"topic"`
	TargetID       decoration[id]     `json:"target_id"`
	Time           moment             `json:"time"`
	SubscriptionID decoration[id]     `json:"subscription_id"`
	Values         json.RawMessage    `json:"values"`
}

type wireValue struct {
	Field decoration[string] `json:"field"`
	Value json.RawMessage    `json:"value"`
}

func (w wireUpdate) event(v wireValue) WebhookEvent {
	e := WebhookEvent{
		AppID: string(w.AppID.is), Topic: w.Topic.is, TargetID: string(w.TargetID.is), SubscriptionID: string(w.SubscriptionID.is),
		At: w.Time.time(), Field: v.Field.is, Value: v.Value,
	}
	var r wireReport
	if json.Unmarshal(v.Value, &r) != nil {
		return e
	}
	e.Media, e.DeletedAt = r.media(), r.DeletedAt.time()
	e.Media.RootID, e.RootOwnerID, e.RootUsername = string(r.Root.is.ID), string(r.Root.is.OwnerID), r.Root.is.Username
	e.Media.OwnerID = cmp.Or(string(r.Owner.is.OwnerID), string(r.Owner.is.ID))
	return e
}

// wireReport is a post as webhooks tell of it: the owner and the root have more than an id, and times may be of the Unix
// clock.
type wireReport struct {
	wireMedia
	Owner decoration[struct {
		ID      id `json:"id"`
		OwnerID id `json:"owner_id"`
	}] `json:"owner"`
	Root decoration[struct {
		ID       id     `json:"id"`
		OwnerID  id     `json:"owner_id"`
		Username string `json:"username"`
	}] `json:"root_post"`
	DeletedAt moment `json:"deleted_at"`
}

// moment is a time in either of Threads' forms, or in thousandths of a second; what is neither is no moment.
type moment time.Time

func (m *moment) UnmarshalJSON(b []byte) error {
	if s, err := strconv.Unquote(string(b)); err == nil {
		b = []byte(s)
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		switch {
		case n > 0 && n < 1<<33:
			*m = moment(time.Unix(n, 0).UTC())
		case n > 0 && n < 1000<<33:
			*m = moment(time.UnixMilli(n).UTC())
		}
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
