package bus

import (
	"context"
	"time"
)

// What tests may see and shorten.

func (b *Bus) PreferredServer() string { return b.preferred.address }

func (b *Bus) SetPatience(d time.Duration) { b.patience = d }

func (b *Bus) Doubted() bool { return b.stores.err() != nil }

var (
	Fewer          = fewer
	RetryDelay     = retryDelay
	WithoutSecrets = withoutSecrets
)

const (
	EmitBatch = emitBatch
	EmitFew   = emitFew
)

// Places are the places of a kind of question.
type Places struct{ p *places }

func NewPlaces(b Bounds) Places { return Places{newPlaces(b)} }

func (p Places) Take(ctx context.Context, user string) (leave func(), err error) {
	return p.p.take(ctx, user)
}

func (p Places) Users() int { return len(p.p.users) }
