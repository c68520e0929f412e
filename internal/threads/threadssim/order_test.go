package threadssim_test

import (
	"testing"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// Each call has everything wrong with it that the later checks look for; mending one thing leads to the next refusal.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	good := w.token
	reader, _ := w.grant("demo.user", threads.ScopeBasic)
	_, stranger := w.grant("stranger")
	first := w.publish("media_type", "TEXT", "text", "the only one of the day")
	ready := w.create("media_type", "TEXT", "text", "x")
	w.set(`{"quota_total":{"posts":1},"throttle":{"probability":1,"ops":["publish"]}}`)
	own := func(knobs string) {
		t.Helper()
		if r := w.send("PATCH", "/_sim/knobs/demo.user", "application/json", knobs); r.status != 200 {
			t.Fatalf("%s: %s", knobs, r.raw)
		}
	}
	own(`{"uninstall":true,"ungranted":true}`)
	publish := func(user, creation string) reply {
		return w.post("/v1.0/"+user+"/threads_publish", "creation_id", creation)
	}

	w.token = "garbage"
	refused(t, publish(stranger, ""), 400, "190") // 1: the token cannot be read
	w.token = reader
	refused(t, publish(stranger, ""), 400, "190/458") // 2: it is dead
	own(`{"uninstall":false}`)
	refused(t, publish(stranger, ""), 400, "100/10") // 3: it stands for nothing
	own(`{"ungranted":false}`)
	refused(t, publish(stranger, ""), 400, "4") // 4: too many calls
	w.set(`{"throttle":{"probability":0}}`)
	refused(t, publish(stranger, ""), 400, "100/33") // 5: another's object
	refused(t, publish("me", ""), 500, "10")         // 6: no scope
	w.token = good
	refused(t, publish("me", ""), 500, "100")           // 7: a parameter
	refused(t, publish("me", first), 400, "24/4279009") // 8: the state of the container
	refused(t, publish("me", ready), 400, "9/2207042")  // 8: the quota
	w.set(`{"quota_total":{"posts":2},"hidden_success":{"probability":1}}`)
	refused(t, publish("me", ready), 500, "10") // 9: the commit, and only then what happens to the answer
	if got := w.status(ready); got != threads.StatusPublished || len(w.sim.Posts()) != 2 {
		t.Errorf("status %s, %d posts", got, len(w.sim.Posts()))
	}
}

// A refusal is stronger than what would happen to the answer of a success.
func TestHiddenSuccessHidesNoRefusal(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.set(`{"hidden_success":{"probability":1}}`)
	refused(t, w.try("1"), 400, "24/4279009")
}
