package delivery_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher"
)

func decodePost(t *testing.T, o events.Outcome) (p events.Post) {
	t.Helper()
	if len(o.Result) > 0 {
		if err := json.Unmarshal(o.Result, &p); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// redeliver stores a command again as a message that the stream does not know, as after its memory of ids has run out.
func (r *rig) redeliver(id string, cmd events.Command) events.Outcome {
	r.t.Helper()
	body, err := json.Marshal(cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	nc := r.bus.JetStream().Conn()
	inbox := nats.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		r.t.Fatal(err)
	}
	m := &nats.Msg{Subject: cmd.Subject(), Data: body, Header: nats.Header{
		events.HeaderID: {id}, events.HeaderType: {cmd.Type()}, events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)}, events.HeaderOutcomeTo: {inbox},
	}}
	if _, err := r.bus.JetStream().PublishMsg(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
	answer, err := answers.NextMsg(waiting.Limit)
	if err != nil {
		r.t.Fatalf("no answer to the redelivered command: %v", err)
	}
	var o events.Outcome
	if err := json.Unmarshal(answer.Data, &o); err != nil {
		r.t.Fatal(err)
	}
	return o
}

// idle is a publisher that does nothing by itself.
func (r *rig) idle() *publisher.Service {
	return publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
}

// useBus has a publisher speak through another connection to NATS.
func useBus(s *publisher.Service, b *bus.Bus) {
	s.Projector.Bus = b
	s.Delivery.UseBus(b)
}
