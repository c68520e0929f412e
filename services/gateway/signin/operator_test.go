package signin

import (
	"encoding/json"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestOperatorClaim(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claim, claims string
		want          bool
	}{
		{"role=operator", `{"role":"operator"}`, true},
		{"role=operator", `{"role":"operators"}`, false},
		{"role=operator", `{"role":["reader","operator"]}`, true},
		{"role=operator", `{"role":["reader"]}`, false},
		{"role=operator", `{"role":{"operator":true}}`, false},
		{"role=operator", `{"roles":"operator"}`, false},
		{"role=operator", `{}`, false},
		{"role=operator", `{"role":null}`, false},
		{"scope=operator", `{"scope":"openid operator"}`, false}, // a list of words is no list
		{"realm_access.roles=operator", `{"realm_access":{"roles":["operator"]}}`, true},
		{"realm_access.roles=operator", `{"realm_access":["roles"]}`, false},
		{"https://app.example.com/roles=operator", `{"https://app.example.com/roles":["operator"]}`, true},
		{"operator=true", `{"operator":true}`, true},
		{"operator=true", `{"operator":false}`, false},
		{"operator=true", `{"operator":1}`, false},
		{"key=a=b", `{"key":"a=b"}`, true},
		{"", `{"":""}`, false},
	} {
		o, err := ReadOperatorClaim(c.claim)
		if err != nil {
			t.Fatal(err)
		}
		claims := jwt.MapClaims{}
		if err := json.Unmarshal([]byte(c.claims), &claims); err != nil {
			t.Fatal(err)
		}
		if got := o.In(claims); got != c.want {
			t.Errorf("%s in %s: %t", c.claim, c.claims, got)
		}
	}
	for _, wrong := range []string{"role", "=operator", "role=", "="} {
		if _, err := ReadOperatorClaim(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
