package process

import (
	"context"
	"os/signal"
	"syscall"
)

// Signals returns a context that ends with the first Ctrl-C or SIGTERM, which asks for a graceful stop. From then on the
// signals do what they do by themselves, so a second Ctrl-C cuts the stop short.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
