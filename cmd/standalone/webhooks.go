package standalone

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// hookFields are the webhooks that an app can subscribe to.
var hookFields = []string{"publish", "delete", "replies", "mentions"}

// receiveWebhooks subscribes the system to the simulator's webhooks once it is up, as an app's dashboard would to Meta's.
func (sys *System) receiveWebhooks(sim *threadssim.Sim) error {
	token, err := secretFile(filepath.Join(sys.dir, "webhook-verify-token"))
	if err != nil {
		return fmt.Errorf("make the webhooks' verify token: %w", err)
	}
	sys.set("THREADS_WEBHOOK_VERIFY_TOKEN", token)
	sys.parts = append(sys.parts, process.Part{Name: "webhooks", Run: func(ctx context.Context) error {
		for ctx.Err() == nil {
			err := sys.subscribe(ctx, sim)
			if err == nil {
				err = sys.setCallbacks(ctx)
			}
			if err == nil {
				return nil
			}
			sys.log.Debug("the simulator's webhooks are not subscribed to yet", zap.Error(err))
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		return nil
	}})
	return nil
}

// subscribe asks the simulator for its webhooks, unless it brings them already: a subscription survives a restart.
func (sys *System) subscribe(ctx context.Context, sim *threadssim.Sim) error {
	if err := sys.awaitReady(ctx); err != nil {
		return err
	}
	address := sys.Endpoints.GatewayURL + "/api/threads/webhook"
	if slices.ContainsFunc(sim.Hooks(), func(k threadssim.Hook) bool { return k.CallbackURL == address }) {
		return nil
	}
	return sys.configureSimulator(ctx, "/_sim/webhooks", map[string]any{
		"callback_url": address, "verify_token": sys.getenv("THREADS_WEBHOOK_VERIFY_TOKEN"), "fields": hookFields,
	})
}
