package posts

import (
	"context"
	"fmt"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

// RoutePosts is where posts are listed page by page.
const RoutePosts = "/api/threads/posts"

type findPostsInput struct {
	AccountID string          `query:"accountId" doc:"Only posts of this account."`
	Status    []events.Status `query:"status,explode" enum:"QUEUED,POSTED,FAILED,CANCELLED,DELETED" doc:"Only posts with this status; may be given several times. Left out: all."`
	State     []events.State  `query:"state,explode" enum:"waiting,unconfirmed,parked" doc:"Only queued posts that are held up: parked ones need a person, who says what became of them (resolve); waiting ones are postponed, with a reason; of unconfirmed ones Threads is being asked whether they are live. May be given several times."`
	Reason    events.Code     `query:"reason" enum:"reauth_required,missing_scope,rate_limited,refused,paused,missed,outcome_unknown,unavailable,invalid,not_found,conflict,internal" doc:"Only posts whose reason has this code. As with search, a page looks through some thousands of posts."`
	Kind      []events.Kind   `query:"kind,explode" enum:"post,repost,imported" doc:"imported are posts that were made elsewhere and taken over from Threads. Left out: post and repost."`
	From      string          `query:"from" format:"date-time" doc:"Only posts whose scheduledAt is at or after this time; RFC 3339 with Z or an offset."`
	To        string          `query:"to" format:"date-time" doc:"Only posts whose scheduledAt is before this time."`
	Search    string          `query:"search" maxLength:"200" doc:"Only posts whose text has these words, whatever their case. A page looks through some thousands of posts; it may be short, or empty, and have a next one all the same."`
	Order     string          `query:"order" enum:"newest,oldest" doc:"By scheduledAt. Left out: newest."`
	Limit     int             `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"Posts of a page at most; where they are long it has fewer, and a next one."`
	After     string          `query:"after" doc:"The cursor of the page before: its next, or in place in its Link header. Posts that come in between shift nothing."`

	Counts bool `query:"counts" doc:"Count the posts of each status, too: for accountId, kind, from and to, whatever else is asked for. A status is counted up to 1000."`

	address url.URL
}

// Resolve keeps the address, from which that of the next page is made.
func (in *findPostsInput) Resolve(ctx huma.Context) []error {
	in.address = ctx.URL()
	return nil
}

// countedRows is what counts weigh, in posts of a page: some thousands of entries of an index are passed, and no post is read.
const countedRows = 1000

// PostPage is a page of posts.
type PostPage struct {
	Posts []events.Post `json:"posts"`
	Next  string        `json:"next,omitempty" doc:"The cursor of the next page; left out on the last."`

	Counts *asks.PostCounts `json:"counts,omitempty" doc:"When it was asked for."`
}

type postPageOutput struct {
	Link string `header:"Link" doc:"The next page, where there is one: <…>; rel=\"next\"."`
	Body PostPage
}

// FindPosts lists posts of all states and kinds, page by page.
func (h *Handlers) FindPosts(ctx context.Context, in *findPostsInput) (*postPageOutput, error) {
	q := asks.ListPosts{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, Statuses: in.Status, States: in.State, Reason: in.Reason, Kinds: in.Kind, Search: in.Search,
		Newest: in.Order != "oldest", Limit: in.Limit, After: in.After, Counts: in.Counts,
	}
	var err error
	if q.From, err = times.Bound("/from", in.From); err != nil {
		return nil, err
	}
	if q.To, err = times.Bound("/to", in.To); err != nil {
		return nil, err
	}
	rows := in.Limit
	if in.Counts {
		rows += countedRows
	}
	if err := h.Edge.SpendPage(ctx, rows, in.Search != "" || in.Reason != ""); err != nil {
		return nil, err
	}
	list, err := bus.Ask[asks.PostList](ctx, h.Bus, q)
	if err != nil {
		return nil, err
	}
	out := &postPageOutput{Body: PostPage{Posts: list.Posts, Next: list.Next, Counts: list.Counts}}
	if out.Body.Posts == nil {
		out.Body.Posts = []events.Post{} // [] on the wire, not null
	}
	if list.Next != "" {
		query := in.address.Query()
		query.Set("after", list.Next)
		out.Link = fmt.Sprintf(`<%s?%s>; rel="next"`, RoutePosts, query.Encode())
	}
	return out, nil
}
