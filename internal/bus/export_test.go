package bus

import "time"

// What tests may see and shorten.

func (b *Bus) Home() string { return b.home.address }

func (b *Bus) SetPatience(d time.Duration) { b.patience = d }

var (
	RetryDelay     = retryDelay
	WithoutSecrets = withoutSecrets
)

const (
	EmitBatch = emitBatch
	EmitFew   = emitFew
)
