package gateway

import (
	"cmp"
	"context"
	"strings"
)

// Issuer is what an issuer of bearer tokens shows of itself.
type Issuer struct {
	Name   string // as its discovery document has it; empty: it has none that can be read
	KeysAt string // where the gateway reads its keys
}

// LookAtIssuer reads an issuer's keys as the gateway of these settings does. Its error is that of the keys.
func LookAtIssuer(ctx context.Context, cfg Config) (found Issuer, err error) {
	k := newKeys(cfg.AuthIssuer, cfg.AuthJWKSURL)
	defer k.client.CloseIdleConnections()
	var doc struct {
		Issuer string `json:"issuer"`
	}
	if k.get(ctx, strings.TrimRight(cfg.AuthIssuer, "/")+"/.well-known/openid-configuration", &doc) == nil {
		found.Name = doc.Issuer
	}
	found.KeysAt = cmp.Or(cfg.AuthJWKSURL, k.discover(ctx))
	return found, k.read(ctx)
}
