package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// ErrUnknownType says that a message's type is not one of ours: set it aside, it may be from a newer version.
var ErrUnknownType = errors.New("unknown message type")

// All is one empty message of each type: every command and event of the system.
func All() []Message {
	return []Message{
		SchedulePost{}, PublishPost{}, EditPost{}, CancelPost{}, DeletePost{}, RetryPost{}, ResolvePost{},
		ImportHistory{}, HideReply{}, ApproveReply{},
		Disconnect{}, RefreshToken{},
		PostScheduled{}, PostEdited{}, PostPrepared{}, PostPostponed{}, PostUnconfirmed{}, PostParked{}, PostPartPublished{}, PostRetried{},
		PostPublished{}, PostFailed{}, PostCancelled{}, PostDeleteRequested{}, PostDeleteFailed{}, PostDeleted{}, PostImported{}, PostUpdated{},
		AccountConnected{}, AccountDisconnected{}, AccountReconnectRequired{}, AccountReconnectSoon{}, TokenRefreshed{}, AccountErased{},
		AccountPaused{}, AccountResumed{},
		ReplyReceived{}, Mentioned{}, PublishedOnThreads{}, DeletedOnThreads{},
	}
}

var byType = func() map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for _, msg := range All() {
		m[msg.Type()] = reflect.TypeOf(msg)
	}
	return m
}()

// Decode reads a message's body as the type that its ce-type header names. Fields it does not know are ignored.
func Decode(typ string, body []byte) (Message, error) {
	t, ok := byType[typ]
	if !ok {
		return nil, fmt.Errorf("%w %q", ErrUnknownType, typ)
	}
	v := reflect.New(t)
	if err := json.Unmarshal(body, v.Interface()); err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	msg, ok := v.Elem().Interface().(Message)
	if !ok {
		return nil, fmt.Errorf("%w %q", ErrUnknownType, typ)
	}
	return msg, nil
}
