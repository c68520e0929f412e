package engagement

import (
	"context"
	"math"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/signin"
)

type listMentionsInput struct {
	accounts.AccountQuery
	Paged
	Spanned
}

// ListMentions shows the public posts of others that name the account.
func (h *Handlers) ListMentions(ctx context.Context, in *listMentionsInput) (*threadsPageOutput, error) {
	since, until, err := in.span()
	if err != nil {
		return nil, err
	}
	return h.threadsPage(ctx, &in.Paged, asks.ListMentions{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, Since: since, Until: until, Limit: in.Limit, After: in.After,
	})
}

type searchInput struct {
	accounts.AccountQuery
	Paged
	Spanned
	Q         string `query:"q" required:"true" doc:"What to look for."`
	Order     string `query:"order" enum:"top,recent" doc:"Which come first. Left out: the most popular."`
	Mode      string `query:"mode" enum:"keyword,tag" doc:"Whether q is words or a topic tag. Left out: words."`
	MediaType string `query:"mediaType" enum:"text,image,video" doc:"Left out: all."`
	Author    string `query:"author" doc:"Only posts of this username."`
}

// Search finds public posts.
func (h *Handlers) Search(ctx context.Context, in *searchInput) (*threadsPageOutput, error) {
	since, until, err := in.span()
	if err != nil {
		return nil, err
	}
	return h.threadsPage(ctx, &in.Paged, asks.SearchPosts{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, Query: in.Q, Recent: in.Order == "recent", Tag: in.Mode == "tag",
		MediaType: in.MediaType, Author: in.Author, Since: since, Until: until, Limit: in.Limit, After: in.After,
	})
}

type lookUpProfileInput struct {
	accounts.AccountQuery
	Username string `path:"username" doc:"With or without @."`
}

type publicProfileOutput struct{ Body asks.PublicProfile }

// LookUpProfile shows what anyone may see of a public profile.
func (h *Handlers) LookUpProfile(ctx context.Context, in *lookUpProfileInput) (*publicProfileOutput, error) {
	q := asks.LookUpProfile{UserID: signin.UserOf(ctx), AccountID: in.AccountID, Username: in.Username}
	p, err := askThreads[asks.PublicProfile](ctx, h.Bus, q)
	if err != nil {
		return nil, err
	}
	return &publicProfileOutput{Body: p}, nil
}

type profilePostsInput struct {
	accounts.AccountQuery
	Paged
	Spanned
	Username string `path:"username" doc:"With or without @."`
}

// ListProfilePosts shows the posts of a public profile.
func (h *Handlers) ListProfilePosts(ctx context.Context, in *profilePostsInput) (*threadsPageOutput, error) {
	since, until, err := in.span()
	if err != nil {
		return nil, err
	}
	return h.threadsPage(ctx, &in.Paged, asks.ListProfilePosts{
		UserID: signin.UserOf(ctx), AccountID: in.AccountID, Username: in.Username,
		Since: since, Until: until, Limit: in.Limit, After: in.After,
	})
}

type findLocationsInput struct {
	accounts.AccountQuery
	Q         string  `query:"q" doc:"The place's name."`
	Latitude  float64 `query:"latitude" doc:"With longitude: near this point, in degrees."`
	Longitude float64 `query:"longitude" doc:"With latitude."`

	hasLatitude, hasLongitude bool
}

// Resolve tells a latitude of 0 from none, and refuses NaN and infinities, which JSON cannot write.
func (in *findLocationsInput) Resolve(ctx huma.Context) (wrong []error) {
	in.hasLatitude, in.hasLongitude = ctx.Query("latitude") != "", ctx.Query("longitude") != ""
	for at, degrees := range map[string]float64{"/latitude": in.Latitude, "/longitude": in.Longitude} {
		if math.IsNaN(degrees) || math.IsInf(degrees, 0) {
			const sentence = "This must be a number of degrees, such as 52.52."
			wrong = append(wrong, events.Faultf(events.Invalid, sentence).At(at, "not_a_number", sentence))
		}
	}
	return wrong
}

type locationsOutput struct{ Body asks.LocationList }

// FindLocations finds places; the location of a post is the id of one.
func (h *Handlers) FindLocations(ctx context.Context, in *findLocationsInput) (*locationsOutput, error) {
	q := asks.FindLocations{UserID: signin.UserOf(ctx), AccountID: in.AccountID, Name: in.Q}
	if in.hasLatitude {
		q.Latitude = &in.Latitude
	}
	if in.hasLongitude {
		q.Longitude = &in.Longitude
	}
	list, err := askThreads[asks.LocationList](ctx, h.Bus, q)
	if err != nil {
		return nil, err
	}
	return &locationsOutput{Body: list}, nil
}
