package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/bus/contract"
)

func aPost() events.Post {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	return events.Post{
		ID: events.NewPostID(), UserID: "user_1", Provider: events.Provider, Text: "hello", ScheduledAt: at, Status: events.StatusQueued, CreatedAt: at,
		UpdatedAt: at, AccountID: events.NewAccountID(), Kind: events.KindPost, Media: []events.Media{}, State: events.StateScheduled, Rev: 1,
	}
}

func TestWhatTheBusSends(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	stop, err := contract.Watch(b.JetStream().Conn())
	if err != nil {
		t.Fatal(err)
	}
	p := aPost()
	good := []events.Event{events.NewPostEvent(events.FactScheduled, p)}
	if err := b.Emit(t.Context(), good...); err != nil {
		t.Fatal(err)
	}
	cmd := events.CancelPost{PostID: p.ID, UserID: p.UserID}
	if err := b.Send(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	if n, err := contract.Stream(t.Context(), b.JetStream(), events.StreamEvents); n != 1 || err != nil {
		t.Errorf("%d messages: %v", n, err)
	}
	if n, err := stop(); n != 2 || err != nil {
		t.Errorf("%d messages were sent: %v", n, err)
	}

	p.Status, p.Media, p.Rev = "SENT", nil, 2
	if err := b.Emit(t.Context(), events.NewPostEvent(events.FactEdited, p)); err != nil {
		t.Fatal(err)
	}
	n, err := contract.Stream(t.Context(), b.JetStream(), events.StreamEvents)
	if n != 2 || err == nil || !strings.Contains(err.Error(), "/post/status") || !strings.Contains(err.Error(), "/post/media") {
		t.Errorf("of %d messages it says %v", n, err)
	}
}

func TestMessageSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	ev := events.NewPostEvent(events.FactScheduled, aPost())
	if err := b.Emit(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	stream, err := b.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for header, value := range map[string]string{
		events.HeaderSpecVersion: "0.3", events.HeaderSource: "elsewhere", events.HeaderTime: "now", events.HeaderID: "evt_other", events.HeaderDataSchema: "",
		events.HeaderSubject: "post_other", events.HeaderContentType: "text/plain", events.HeaderType: "post.edited.v1",
	} {
		h := nats.Header{}
		for k, v := range m.Header {
			h[k] = v
		}
		h[header] = []string{value}
		if err := contract.Message(m.Subject, h, m.Data); err == nil {
			t.Errorf("%s: %q is taken", header, value)
		}
	}
	if err := contract.Message(m.Subject+"x", m.Header, m.Data); err == nil || !strings.Contains(err.Error(), "belongs on") {
		t.Errorf("the wrong subject: %v", err)
	}
	if err := contract.Message(m.Subject, m.Header, m.Data); err != nil {
		t.Error(err)
	}
}
