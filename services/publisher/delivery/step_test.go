package delivery_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/posts"
)

// Steps are written together where they are plain, and each as if it were alone: the second of one post, one whose row somebody
// else holds and one whose row has moved are left to be written alone.
func TestStepsAreSavedTogether(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	step := func(p *posts.Post, container string) posts.Step {
		next := *p
		next.Lease, next.ContainerID, next.ContainerAt, next.WakeAt = "", container, time.Now(), time.Now().Add(time.Hour)
		next.ContainerID = container
		return posts.Step{Old: p, Next: &next, Tried: []asks.Attempt{{At: time.Now(), Phase: "create", OK: true}}}
	}
	plain, twice, held, moved := r.readyPost(s, testUser, r.Account.ID, "plain"), r.readyPost(s, testUser, r.Account.ID, "twice"),
		r.readyPost(s, testUser, r.Account.ID, "held"), r.readyPost(s, testUser, r.Account.ID, "moved")
	for _, p := range []*posts.Post{plain, twice, held, moved} {
		if err := s.Delivery.AcquireLease(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET attempt = attempt + 1 WHERE id = ?", moved.ID); err != nil {
		t.Fatal(err)
	}
	tx, err := r.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT id FROM posts WHERE id = ? FOR UPDATE", held.ID); err != nil {
		t.Fatal(err)
	}
	steps := []posts.Step{step(plain, "c1"), step(twice, "c2"), step(twice, "c3"), step(held, "c4"), step(moved, "c5")}
	for _, n := range steps {
		if !n.Plain() {
			t.Errorf("%s is not plain", n.Next.ContainerID)
		}
	}
	alone := []bool{false, false, true, true, true}
	for i, err := range s.Delivery.Store().SaveSteps(t.Context(), steps) {
		if errors.Is(err, batch.ErrAlone) != alone[i] || !alone[i] && err != nil {
			t.Errorf("%s: %v", steps[i].Next.ContainerID, err)
		}
		row := r.Any(steps[i].Old.ID)
		if got := row.ContainerID == steps[i].Next.ContainerID; got == alone[i] {
			t.Errorf("the row of %s has %q", steps[i].Next.ContainerID, row.ContainerID)
		}
		if attempts, err := s.Delivery.Store().Attempts(t.Context(), r.DB, row.ID); err != nil || !alone[i] && (row.Lease != "" || len(attempts) == 0 || attempts[len(attempts)-1].Phase != "create") {
			t.Errorf("the row of %s: lease %q, attempts %+v", steps[i].Next.ContainerID, row.Lease, attempts)
		}
	}
}

// A step that takes part in a doubt, a quota or what was asked for has guards of its own, and is written alone.
func TestPlainSteps(t *testing.T) {
	t.Parallel()
	p := posts.Post{ID: "post_1", State: events.StateReady, Rev: 3, Lease: "mine", ContainerID: "c"}
	for name, change := range map[string]func(old, next *posts.Post){
		"a doubt":          func(_, next *posts.Post) { next.Doubt = true },
		"the end of one":   func(old, _ *posts.Post) { old.Doubt = true },
		"an answer":        func(_, next *posts.Post) { next.Answered = true },
		"a lease":          func(_, next *posts.Post) { next.Lease = "another" },
		"another text":     func(_, next *posts.Post) { next.Text = "other" },
		"another time":     func(_, next *posts.Post) { next.PublishAt = time.Now() },
		"a deadline":       func(_, next *posts.Post) { next.CallDeadline = time.Now() },
		"an attempt":       func(_, next *posts.Post) { next.Attempt++ },
		"an illegal state": func(_, next *posts.Post) { next.State = events.StateParked },
	} {
		old, next := p, p
		change(&old, &next)
		if (posts.Step{Old: &old, Next: &next}).Plain() {
			t.Errorf("%s is plain", name)
		}
	}
	next := p
	next.State, next.Lease, next.Rev, next.Fact, next.WakeAt = events.StateWaiting, "", 4, events.FactPostponed, time.Now()
	next.Reason = events.Faultf(events.RateLimited, "wait")
	if old := p; !(posts.Step{Old: &old, Next: &next}).Plain() {
		t.Error("a plain step is not")
	}
}

// More rows than are locked without a try: the update is tried, finds one that is held, and leaves that one out, attempts and all.
func TestManyStepsAreSavedTogether(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	var steps []posts.Step
	for i := range 20 {
		p := r.readyPost(s, testUser, r.Account.ID, fmt.Sprintf("step %d", i))
		if err := s.Delivery.AcquireLease(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		next := *p
		next.Lease, next.ContainerID, next.ContainerAt, next.WakeAt = "", fmt.Sprintf("c%d", i), time.Now(), time.Now().Add(time.Hour)
		steps = append(steps, posts.Step{Old: p, Next: &next, Tried: []asks.Attempt{
			{At: time.Now(), Phase: "create", OK: true}, {At: time.Now(), Phase: "status", OK: true},
		}})
	}
	const held = 7
	tx, err := r.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT id FROM posts WHERE id = ? FOR UPDATE", steps[held].Old.ID); err != nil {
		t.Fatal(err)
	}
	before, err := s.Delivery.Store().Attempts(t.Context(), r.DB, steps[0].Old.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range s.Delivery.Store().SaveSteps(t.Context(), steps) {
		row := r.Any(steps[i].Old.ID)
		attempts, readErr := s.Delivery.Store().Attempts(t.Context(), r.DB, row.ID)
		if readErr != nil {
			t.Fatal(readErr)
		}
		added := attempts[len(before):]
		switch {
		case i == held:
			if !errors.Is(err, batch.ErrAlone) || row.ContainerID == steps[i].Next.ContainerID || len(added) != 0 {
				t.Errorf("the one that is held: %v, container %q, attempts %+v", err, row.ContainerID, added)
			}
		case err != nil || row.ContainerID != steps[i].Next.ContainerID || row.Lease != "":
			t.Errorf("step %d: %v, container %q, lease %q", i, err, row.ContainerID, row.Lease)
		case len(added) != 2 || added[0].Phase != "create" || added[1].Phase != "status":
			t.Errorf("step %d has the attempts %+v", i, added)
		}
	}
}
