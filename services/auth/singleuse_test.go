package auth

import (
	"errors"
	"testing"
)

func TestOnce(t *testing.T) {
	w := setup(t)
	ctx, states := t.Context(), w.svc.states
	secret := newSecret()
	if err := states.put(ctx, secret, oauthFlow{User: "user_1"}); err != nil {
		t.Fatal(err)
	}
	one, err := states.find(ctx, secret)
	if err != nil || one.Value.User != "user_1" {
		t.Fatalf("%+v, %v", one, err)
	}
	two, err := states.find(ctx, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := states.consume(ctx, one); err != nil {
		t.Errorf("the first consumes it: %v", err)
	}
	if err := states.consume(ctx, two); !errors.Is(err, errSpent) {
		t.Errorf("the second, who had found it too: %v", err)
	}
	if _, err := states.find(ctx, secret); !errors.Is(err, errSpent) {
		t.Errorf("found after it was consumed: %v", err)
	}
}
