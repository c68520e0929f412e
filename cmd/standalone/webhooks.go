package standalone

import (
	"context"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// receiveWebhooks tells the simulator, once the system is up, what an app's dashboard would tell Meta: where webhooks go, and
// where the system hears that a person removed the app or wants their data deleted.
func (sys *System) receiveWebhooks(sim *threadssim.Sim) error {
	token, err := secretFile(filepath.Join(sys.dir, "webhook-verify-token"))
	if err != nil {
		return fmt.Errorf("make the webhooks' verify token: %w", err)
	}
	sys.set("THREADS_WEBHOOK_VERIFY_TOKEN", token)
	sys.parts = append(sys.parts, process.Part{Name: "webhooks", Run: func(ctx context.Context) error {
		if err := sys.awaitReady(ctx); err != nil || ctx.Err() != nil {
			return nil //nolint:nilerr // the part that starts the system says so
		}
		base := sys.Endpoints.GatewayURL
		if err := sim.SetCallbacks(base+"/api/threads/uninstall", base+"/api/threads/data-deletion"); err != nil {
			return fmt.Errorf("tell the simulator its callbacks: %w", err)
		}
		sim.SubscribeApp(ctx, sys.Endpoints.SimulatorURL, base+"/api/threads/webhook", sys.getenv("THREADS_WEBHOOK_VERIFY_TOKEN"), func(err error) {
			sys.log.Debug("the simulator's webhooks are not subscribed to yet", zap.Error(err))
		})
		return nil
	}})
	return nil
}
