package pg

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	slowQuery   = 200 * time.Millisecond
	maxTemplate = 512
)

// slowQueries logs what took long: the query with its placeholders, never its values nor the server's error, since
// both hold what people wrote.
type slowQueries struct {
	log  *zap.Logger
	over time.Duration

	// When the database is overrun every query is slow, and the log must not be what overruns it.
	often  *rate.Limiter
	unsaid *atomic.Int64
}

func newSlowQueries(log *zap.Logger) slowQueries {
	return slowQueries{log: log, over: slowQuery, often: rate.NewLimiter(1, 20), unsaid: new(atomic.Int64)}
}

func (s slowQueries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (s slowQueries) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	took := time.Since(event.StartTime)
	if took < s.over {
		return
	}
	if !s.often.Allow() {
		s.unsaid.Add(1)
		return
	}
	s.log.Warn("slow query", zap.Duration("took", took), zap.Int64("others_since", s.unsaid.Swap(0)), zap.Bool("failed", event.Err != nil),
		zap.String("query", template(event)))
}

// template returns the query without its values. For queries made with a builder, event.QueryTemplate already has them
// filled in, so those are formatted again by a generator that leaves placeholders alone.
func template(event *bun.QueryEvent) string {
	text := event.QueryTemplate
	if event.IQuery != nil {
		b, err := event.IQuery.AppendQuery(schema.NewNopQueryGen(), nil)
		if err != nil {
			return event.Operation()
		}
		text = string(b)
	}
	if len(text) > maxTemplate {
		text = text[:maxTemplate] + "…"
	}
	return text
}
