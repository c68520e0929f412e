package pg

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
	"go.uber.org/zap"
)

const (
	slowQuery   = 200 * time.Millisecond
	maxTemplate = 2048
)

// slowQueries logs what took long: the query with its placeholders, never its values nor the server's error, since
// both hold what people wrote.
type slowQueries struct {
	log  *zap.Logger
	over time.Duration
}

func (s slowQueries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (s slowQueries) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	took := time.Since(event.StartTime)
	if took < s.over {
		return
	}
	s.log.Warn("slow query", zap.Duration("took", took), zap.Bool("failed", event.Err != nil),
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
