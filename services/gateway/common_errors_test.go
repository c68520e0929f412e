package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// limitSaid is how a refusal of a large body names the route's limit.
var limitSaid = regexp.MustCompile(`may have up to [1-9][0-9]* KiB\.$`)

// TestCommonErrors tries the same wrong things at every operation of the description, so that a route that is added
// without one of the checks is found out without a line here.
func TestCommonErrors(t *testing.T) {
	t.Parallel()
	h := setup(t)
	doc := parsed(t, served(t))
	fill := strings.NewReplacer("{id}", "post_1", "{deliveryId}", "dlv_1", "{code}", "c", "{username}", "u")
	// every calls fn with each operation, and fails when there were none.
	every := func(t *testing.T, fn func(method, path string, op spec)) {
		t.Helper()
		n := 0
		operationsOf(doc, func(route, _ string, op spec) {
			method, path, _ := strings.Cut(route, " ")
			n++
			fn(method, fill.Replace(path), op)
		})
		if n == 0 {
			t.Fatal("the description has no operations")
		}
	}
	signedIn := func(op spec) bool { return len(each(op["security"])) > 0 }

	t.Run("tells every stranger the same", func(t *testing.T) {
		t.Parallel()
		for _, bearer := range []string{"", "Bearer x.y.z", "Bearer " + strings.Repeat("x", 9<<10)} {
			var first map[string]any
			every(t, func(method, path string, op spec) {
				if !signedIn(op) {
					return
				}
				// What else is wrong is not looked at before it is known who asks.
				r := h.do(t, method, path, "<a/>", "Authorization", bearer, "Content-Type", "text/xml", "Accept", "text/xml")
				r.problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization")
				body := parsed(t, r.body)
				delete(body, "requestId")
				if first == nil {
					first = body
				}
				if !reflect.DeepEqual(first, body) {
					t.Errorf("%s %s says %v, another says %v", method, path, body, first)
				}
			})
		}
	})

	t.Run("takes no body of another kind", func(t *testing.T) {
		t.Parallel()
		every(t, func(method, path string, op spec) {
			if !signedIn(op) || at(op, "requestBody") == nil {
				return
			}
			for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/pdf"} {
				if r := h.do(t, method, path, "{}", "Content-Type", kind); r.status != http.StatusUnsupportedMediaType {
					t.Errorf("%s %s with %s: %d %s", method, path, kind, r.status, r.body)
				} else {
					r.problem(t, http.StatusUnsupportedMediaType, "unsupported_media_type")
				}
			}
		})
	})

	t.Run("takes no other method, and says which", func(t *testing.T) {
		t.Parallel()
		for path, item := range object(doc["paths"]) {
			for _, method := range []string{http.MethodPut, http.MethodTrace, "BREW"} {
				r := h.do(t, method, fill.Replace(path), "")
				r.problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
				allowed := strings.Split(r.header.Get("Allow"), ", ")
				for ours := range maps.Keys(object(item)) {
					if !slices.Contains(allowed, strings.ToUpper(ours)) {
						t.Errorf("%s: Allow is %q, without %s", path, allowed, ours)
					}
				}
			}
		}
	})

	t.Run("takes no body without measure, and says how much it takes", func(t *testing.T) {
		t.Parallel()
		every(t, func(method, path string, _ spec) {
			// Nothing of the body is sent: its announcement is enough.
			r := h.raw(t, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
				method, path, h.token, 100<<20))
			if r.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
				return
			}
			if p := r.problem(t, http.StatusRequestEntityTooLarge, "too_large"); !limitSaid.MatchString(p.Detail) {
				t.Errorf("%s %s says %q", method, path, p.Detail)
			}
		})
	})
}
