package signin

import (
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// OperatorClaim is what a token says of somebody who runs the system: a claim, and the value that it must have or hold. The zero value
// is nobody.
type OperatorClaim struct{ name, value string }

// ReadOperatorClaim reads a claim and its value, as role=operator; nothing is nobody.
func ReadOperatorClaim(text string) (OperatorClaim, error) {
	text = strings.TrimSpace(text)
	name, value, ok := strings.Cut(text, "=")
	if text != "" && (!ok || name == "" || value == "") {
		return OperatorClaim{}, errors.New("it is not a claim and its value, as role=operator")
	}
	return OperatorClaim{name, value}, nil
}

// In says whether claims have it: under its very name, or along its dots (realm_access.roles), as a text, in a list, or as true.
func (o OperatorClaim) In(claims jwt.MapClaims) bool {
	if o.name == "" {
		return false
	}
	if found, ok := claims[o.name]; ok {
		return o.is(found)
	}
	var at any = map[string]any(claims)
	for word := range strings.SplitSeq(o.name, ".") {
		inner, ok := at.(map[string]any)
		if !ok {
			return false
		}
		at = inner[word]
	}
	return o.is(at)
}

func (o OperatorClaim) is(found any) bool {
	switch v := found.(type) {
	case string:
		return v == o.value
	case bool:
		return v && o.value == "true"
	case []any:
		return slices.Contains(v, any(o.value))
	}
	return false
}

// holds says whether a token, which was checked before, has it.
func (o OperatorClaim) holds(token string) bool {
	if o.name == "" {
		return false
	}
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(token, claims)
	return err == nil && o.In(claims)
}
