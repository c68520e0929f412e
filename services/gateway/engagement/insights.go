package engagement

import (
	"context"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/posts"
	"github.com/omni-write/threads/services/gateway/signin"
)

type accountInsightsInput struct {
	accounts.AccountQuery
	Spanned
	Metrics   []string `query:"metrics" doc:"Names of Threads' metrics, separated by commas: views, likes, replies, reposts, quotes, clicks, followers_count, follower_demographics. Left out: all that need no breakdown."`
	Breakdown string   `query:"breakdown" enum:"country,city,age,gender" doc:"By what follower_demographics, which needs it, is told; it takes 100 followers."`
	Snapshots int      `query:"snapshots" minimum:"1" maximum:"1000" doc:"How many of the figures that were kept are told, the latest: 1 to 1000. Left out: 90."`
}

type insightsOutput struct{ Body asks.Insights }

// GetAccountInsights shows the figures of an account, and how they were before.
func (h *Handlers) GetAccountInsights(ctx context.Context, in *accountInsightsInput) (*insightsOutput, error) {
	since, until, err := in.span()
	if err != nil {
		return nil, err
	}
	return h.insights(ctx, in.Snapshots, asks.GetAccountInsights{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, Metrics: in.Metrics, Since: since, Until: until,
		Breakdown: in.Breakdown, Snapshots: in.Snapshots,
	})
}

type postInsightsInput struct {
	accounts.AccountQuery
	ID        string   `path:"id" doc:"Our id of the post, or Threads' media id."`
	Metrics   []string `query:"metrics" doc:"Names of Threads' metrics, separated by commas: views, likes, replies, reposts, quotes, shares. Left out: all."`
	Snapshots int      `query:"snapshots" minimum:"1" maximum:"1000" doc:"How many of the figures that were kept are told, the latest: 1 to 1000. Left out: 90."`
}

// GetPostInsights shows the figures of a post over its life, and how they were before.
func (h *Handlers) GetPostInsights(ctx context.Context, in *postInsightsInput) (*insightsOutput, error) {
	if !posts.PlausibleID(in.ID) {
		return nil, posts.NoSuchPost()
	}
	return h.insights(ctx, in.Snapshots, asks.GetPostInsights{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, ID: in.ID, Metrics: in.Metrics, Snapshots: in.Snapshots,
	})
}

func (h *Handlers) insights(ctx context.Context, snapshots int, q asks.Question) (*insightsOutput, error) {
	if err := h.Edge.SpendPage(ctx, snapshots, false); err != nil {
		return nil, err
	}
	insights, err := askThreads[asks.Insights](ctx, h.Bus, q)
	if err != nil {
		return nil, err
	}
	return &insightsOutput{Body: insights}, nil
}
