package boot

import (
	"strings"
	"testing"
)

func TestThePasswordIsPutIntoTheURL(t *testing.T) {
	t.Parallel()
	for _, try := range []struct{ name, address, password, is, says string }{
		{"none to put in", "postgres://app:here@db/app", "", "postgres://app:here@db/app", ""},
		{"in its place", "postgres://app@db:5432/app?sslmode=disable", "p@ss:w/rd", "postgres://app:p%40ss%3Aw%2Frd@db:5432/app?sslmode=disable", ""},
		{"two of them", "postgres://app:hunter2@db/app", "hunter3", "", "set one"},
		{"nobody's", "postgres://db/app", "hunter2", "", "names no user"},
		{"no address", "postgres://app:hunter2@db:port/app", "hunter3", "", "DATABASE_URL is not an address"},
	} {
		is, err := withPassword(try.address, try.password)
		if is != try.is || (err == nil) != (try.says == "") || err != nil && !strings.Contains(err.Error(), try.says) {
			t.Errorf("%s: %q, %v", try.name, is, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: shows a password: %v", try.name, err)
		}
	}
}
