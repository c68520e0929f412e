package edge

import (
	"strings"
	"testing"
)

// FuzzAccept holds the reading of Accept to its laws, whatever the header.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"*/*", "application/json;q=0, */*", "text/html", "application/*;q=0.5", ",,", "a/b;q=x", "application/json;charset=utf-8"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if !takes("application/json, "+strings.ReplaceAll(accept, "application/json", ""), "application/json") {
			t.Errorf("%q spoils application/json", accept)
		}
		if takes("text/x", "application/json") {
			t.Error("text/x allows everything")
		}
	})
}
