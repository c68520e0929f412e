package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/services/gateway"
)

// TestOperations: how the whole system does is told to those whose token has the claim, signed by the issuer, and to nobody else.
func TestOperations(t *testing.T) {
	t.Parallel()
	for _, claim := range []string{"roles=operator", ""} {
		c, key := newClerkWithKey(t)
		h := &system{bus: bustest.New(t)}
		h.url = serve(t, h.bus, func(cfg *gateway.Config) { cfg.AuthIssuer, cfg.AuthOperatorClaim = c.url, claim })
		asked := make(chan string, 10)
		answer(t, h, func(q asks.GetOperations) (asks.Operations, error) {
			asked <- q.UserID
			return asks.Operations{Unsettled: []asks.Unsettled{}, Consumers: []asks.ConsumerLag{{Name: "a-consumer", Known: true, Pending: 7}}}, nil
		})
		look := func(token string) reply {
			return h.do(t, http.MethodGet, "/api/threads/operations", "", "Authorization", "Bearer "+token)
		}
		operator := c.signedAs(t, key, "JWT", map[string]any{"roles": []string{"reader", "operator"}})
		for name, token := range map[string]string{
			"no claim":          c.signedAs(t, key, "JWT", nil),
			"another value":     c.signedAs(t, key, "JWT", map[string]any{"roles": []string{"reader"}}),
			"in another claim":  c.signedAs(t, key, "JWT", map[string]any{"role": "operator", "metadata": map[string]any{"roles": "operator"}}),
			"where none is set": operator,
		} {
			if name == "where none is set" && claim != "" {
				continue
			}
			if p := look(token).problem(t, http.StatusNotFound, "not_found"); strings.Contains(p.Detail, "consumer") {
				t.Errorf("%s: %s", name, p.Detail)
			}
		}
		if len(asked) > 0 {
			t.Errorf("with the claim %q, somebody was asked in the name of %s", claim, <-asked)
		}
		if claim == "" {
			continue
		}
		var got asks.Operations
		look(operator).is(t, http.StatusOK, &got)
		if len(got.Consumers) != 1 || got.Consumers[0].Pending != 7 || <-asked != ada {
			t.Errorf("%+v", got)
		}
		// The claim in a token whose signature is another's opens nothing.
		words := strings.Split(operator, ".")
		look(words[0]+"."+words[1]+"."+strings.Split(c.signedAs(t, key, "JWT", nil), ".")[2]).problem(t, http.StatusUnauthorized, "unauthorized")
	}
}
