package tokenkeeper

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
)

const (
	// measureEvery is how often all accounts are counted.
	measureEvery = 30 * time.Second
	// overdueAfter is how late a refresh must be to be counted as overdue: it is tried again and again meanwhile.
	overdueAfter = 24 * time.Hour
)

var (
	accountsBy = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "threads_accounts",
		Help: "Accounts by the status of their connection: active, reconnect_required, disconnected.",
	}, []string{"status"})
	tokenRunway = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_token_runway_seconds",
		Help: "How long the token still lives that expires first, of all active accounts. A healthy one is refreshed when half of its 60 days are over. Infinite when there is no account.",
	})
	tokensOverdue = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_tokens_overdue",
		Help: "Active accounts whose token should have been refreshed more than a day ago.",
	})
	refreshes = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "threads_token_refreshes_total",
		Help: "Refreshes of tokens, by outcome: refreshed, failed (tried again later), reconnect_required (Threads ended the connection), superseded (the token had been replaced meanwhile).",
	}, []string{"outcome"})
	lastTick = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_token_alarms_last_tick_timestamp_seconds",
		Help: "When this process last heard the tick of TOKEN_ALARMS, unix time. It comes to one of the tokenkeepers: the largest of theirs shows that JetStream's alarm clock goes.",
	})
)

func measureRefresh(err error) {
	outcome := "failed"
	switch {
	case err == nil:
		outcome = "refreshed"
	case errors.Is(err, errSuperseded):
		outcome = "superseded"
	case errors.Is(err, &events.Fault{Code: events.ReauthRequired}):
		outcome = "reconnect_required"
	case errors.Is(err, context.Canceled):
		return // told to stop
	}
	refreshes.WithLabelValues(outcome).Inc()
}

// measure counts the accounts again and again.
func (s *Service) measure(ctx context.Context) error {
	look := time.NewTicker(measureEvery)
	defer look.Stop()
	for {
		if err := s.measureOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the accounts are not measured this time", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

func (s *Service) measureOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureEvery)
	defer cancel()
	now := s.now()
	counts, err := accounts.Count(ctx, s.db, now.Add(-overdueAfter))
	if err != nil {
		return err
	}
	for status, n := range counts.ByStatus {
		accountsBy.WithLabelValues(string(status)).Set(float64(n))
	}
	tokensOverdue.Set(float64(counts.Overdue))
	runway := math.Inf(1)
	if !counts.FirstExpiry.IsZero() {
		runway = counts.FirstExpiry.Sub(now).Seconds()
	}
	tokenRunway.Set(runway)
	return nil
}
