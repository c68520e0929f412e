package edge

import "testing"

func TestShares(t *testing.T) {
	t.Parallel()
	ada, bob := client{"ada", true}, client{"bob", true}
	near, far := client{"192.0.2.1", false}, client{"192.0.2.2", false}
	fill := func(s *shares, who client) (n int, why verdict) {
		for ; ; n++ {
			if why = s.take(who, 1); why != granted {
				return n, why
			}
		}
	}
	s := newShares(1024, 16)
	if n, why := fill(s, near); n != 128 || why != ownFull {
		t.Errorf("an address alone has %d, then %v", n, why)
	}
	if n, why := fill(s, far); n != 64 || why != ownFull {
		t.Errorf("another has %d, then %v", n, why)
	}
	if n, why := fill(s, ada); n != 256 || why != ownFull {
		t.Errorf("a user alone has %d, then %v", n, why)
	}
	if n, why := fill(s, bob); n != 64 || why != ownFull {
		t.Errorf("another has %d, then %v", n, why)
	}
	for i := range 20 {
		fill(s, client{string(rune('a' + i)), false})
	}
	if s.unknown != 512 {
		t.Errorf("all strangers together have %d", s.unknown)
	}
	if s.take(client{"new", false}, 1) != allTaken || s.take(client{"new", true}, 1) != granted {
		t.Error("the other half is not the signed in's")
	}
	s.give(near, 128)
	if s.take(far, 1) != ownFull || s.take(client{"new", false}, 1) != granted {
		t.Error("what was given back is not there for others")
	}

	small := newShares(16, 16)
	if n, why := fill(small, ada); n != 16 || why != allTaken {
		t.Errorf("of sixteen a user has %d, then %v", n, why)
	}
}
