package gateway

import (
	"context"

	"github.com/omni-write/threads/services/gateway/signin"
)

// ReadKeys reads the issuer's keys now. Run does so in the background, and a request waits for a second only.
func (s *Service) ReadKeys(ctx context.Context) error { return s.keys.Read(ctx) }

// Trusts says whether an issuer's keys may be read from an address that its discovery document names.
func Trusts(issuer, address string) bool { return (&signin.Keys{Issuer: issuer}).Trusts(address) }
