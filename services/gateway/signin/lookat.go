package signin

import (
	"cmp"
	"context"
	"strings"
)

// Seen is what an issuer of bearer tokens shows of itself.
type Seen struct {
	Name   string // as its discovery document has it; empty: it has none that can be read
	KeysAt string // where its keys are read
}

// LookAt reads an issuer's keys as a gateway does. Its error is that of the keys.
func LookAt(ctx context.Context, issuer, jwksURL string) (found Seen, err error) {
	k := NewKeys(issuer, jwksURL)
	defer k.client.CloseIdleConnections()
	var doc struct {
		Issuer string `json:"issuer"`
	}
	if k.get(ctx, strings.TrimRight(issuer, "/")+"/.well-known/openid-configuration", &doc) == nil {
		found.Name = doc.Issuer
	}
	found.KeysAt = cmp.Or(jwksURL, k.discover(ctx))
	return found, k.Read(ctx)
}
