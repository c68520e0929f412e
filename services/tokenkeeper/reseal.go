package tokenkeeper

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/accounts"
)

// resealBatch is how many rows are read at once.
const resealBatch = 100

var (
	sealedOld = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_sealed_with_old_key",
		Help: "Secrets in the database that are sealed with another key than the keyset's primary; -1 before the first look.",
	})
	resealed = promauto.NewCounter(prometheus.CounterOpts{
		Name: "threads_resealed_total",
		Help: "Secrets that were sealed anew with the keyset's primary key.",
	})
)

// resealAll seals anew, again and again, what is sealed with a key that is not the primary any more: after a promotion, and
// what a service that had not heard of it yet has sealed since. There is nothing to do at nearly every look.
func (s *Service) resealAll(ctx context.Context) error {
	sealedOld.Set(-1)
	look := time.NewTicker(s.cfg.Reseal)
	defer look.Stop()
	for {
		s.reseal(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

func (s *Service) reseal(ctx context.Context) {
	done, err := accounts.Reseal(ctx, s.db, s.vault, resealBatch)
	resealed.Add(float64(done.Done))
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.log.Warn("sealing anew stopped, will go on later", zap.Int("done", done.Done), zap.Error(err))
		return
	}
	sealedOld.Set(float64(done.Left))
	if done.Failed != nil {
		s.log.Error("secrets do not open with the keyset; put the missing key back", zap.Int("left", done.Left), zap.Error(done.Failed))
	}
	if done.Done > 0 {
		s.log.Info("sealed anew with the primary key", zap.Int("done", done.Done), zap.Int("left", done.Left),
			zap.Uint32("primary", s.vault.Primary()))
	}
}
