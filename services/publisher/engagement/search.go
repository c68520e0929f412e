package engagement

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// maxQuery bounds the words of a search.
const maxQuery = 200

// SearchPosts answers with public posts that have a word or a topic tag. Only a search that finds something counts, 2,200
// of them in a day; without Threads' approval of the app it finds the account's own posts alone.
func (s *Service) SearchPosts(ctx context.Context, q asks.SearchPosts) (asks.ThreadsPage, error) {
	list, err := s.pageQuery(q.Limit, q.After, q.Since, q.Until)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	f := events.Faultf(events.Invalid, "This search cannot be made; see errors for each field.")
	if strings.TrimSpace(q.Query) == "" || len(q.Query) > maxQuery {
		f.At("/q", "query_invalid", fmt.Sprintf("Say in q what to look for, in up to %d bytes.", maxQuery))
	}
	if !slices.Contains([]string{"", "text", "image", "video"}, q.MediaType) {
		f.At("/mediaType", "media_type_unknown", "A mediaType is text, image or video; choose one of them, or leave it out.")
	}
	author := strings.TrimPrefix(q.Author, "@")
	if author != "" && !isUsername(author) {
		f.At("/author", "username_invalid", notUsername)
	}
	if fault := draft.FieldErrors(f); fault != nil {
		return asks.ThreadsPage{}, fault
	}
	account, err := accounts.Resolve(ctx, s.side, q.UserID, q.AccountID)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	if err := s.checkSearchQuota(ctx, account.ID, posts.QuotaKeywords); err != nil {
		return asks.ThreadsPage{}, err
	}
	find := func(ctx context.Context, a ownercalls.Access) (threads.Page, error) {
		return s.api.Search(ctx, a.Token, threads.SearchQuery{
			Q: q.Query, Recent: q.Recent, Tag: q.Tag, MediaType: strings.ToUpper(q.MediaType), Author: author, ListQuery: list,
		})
	}
	page, err := s.fetchPage(ctx, account, threads.ScopeKeywordSearch, &list, find)
	if err == nil && len(page.Items) > 0 {
		s.countSearch(ctx, account.ID, posts.QuotaKeywords)
	}
	return page, err
}

const notUsername = "A username at Threads has up to 30 letters, digits, dots and underscores."

func isUsername(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._"
	return name != "" && len(name) <= 30 && strings.Trim(name, letters) == ""
}

// LookUpProfile answers with what anyone may see of a public profile.
func (s *Service) LookUpProfile(ctx context.Context, q asks.LookUpProfile) (asks.PublicProfile, error) {
	account, name, err := s.resolveProfile(ctx, q.UserID, q.AccountID, q.Username)
	if err != nil {
		return asks.PublicProfile{}, err
	}
	read := func(ctx context.Context, a ownercalls.Access) (threads.PublicProfile, error) {
		s.countSearch(ctx, account.ID, posts.QuotaProfiles)
		p, err := s.api.ProfileLookup(ctx, a.Token, name)
		return p, profileFault(err)
	}
	p, err := ownercalls.Do(ctx, s.calls, account, threads.ScopeProfileDiscovery, read)
	if err != nil {
		return asks.PublicProfile{}, err
	}
	return asks.PublicProfile{
		Username: p.Username, Name: p.Name, Bio: p.Biography, ProfilePictureURL: p.PictureURL, IsVerified: p.IsVerified,
		Followers: p.Followers, Likes: p.Likes, Quotes: p.Quotes, Replies: p.Replies, Reposts: p.Reposts, Views: p.Views,
	}, nil
}

// ListProfilePosts answers with the posts of a public profile.
func (s *Service) ListProfilePosts(ctx context.Context, q asks.ListProfilePosts) (asks.ThreadsPage, error) {
	list, err := s.pageQuery(q.Limit, q.After, q.Since, q.Until)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	account, name, err := s.resolveProfile(ctx, q.UserID, q.AccountID, q.Username)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	read := func(ctx context.Context, a ownercalls.Access) (threads.Page, error) {
		s.countSearch(ctx, account.ID, posts.QuotaProfiles)
		page, err := s.api.ProfilePosts(ctx, a.Token, name, list)
		if list.After != "" {
			return page, err // the profile was there a page ago
		}
		return page, profileFault(err)
	}
	return s.fetchPage(ctx, account, threads.ScopeProfileDiscovery, &list, read)
}

// resolveProfile is the account through which a profile is read, and the profile's name.
func (s *Service) resolveProfile(ctx context.Context, userID, accountID, username string) (accounts.Account, string, error) {
	name := strings.TrimPrefix(username, "@")
	if !isUsername(name) {
		return accounts.Account{}, "", events.Faultf(events.Invalid, notUsername).At("/username", "username_invalid", notUsername)
	}
	account, err := accounts.Resolve(ctx, s.side, userID, accountID)
	if err != nil {
		return account, "", err
	}
	return account, name, s.checkSearchQuota(ctx, account.ID, posts.QuotaProfiles)
}

// profileFault says that Threads shows no such profile, in whichever way it answered that.
func profileFault(err error) error {
	if class := threads.ClassOf(err); class == threads.Invalid || class == threads.NotFound {
		return events.Faultf(events.NotFound, "Threads shows no public profile of this name with at least 100 followers.")
	}
	return err
}

// FindLocations answers with places that a post can be tagged with.
func (s *Service) FindLocations(ctx context.Context, q asks.FindLocations) (asks.LocationList, error) {
	f := events.Faultf(events.Invalid, "These places cannot be looked for; see errors for each field.")
	switch {
	case (q.Latitude == nil) != (q.Longitude == nil):
		f.At("/latitude", "half_a_point", "A point has a latitude and a longitude; give both.")
	case q.Latitude != nil && !(*q.Latitude >= -90 && *q.Latitude <= 90):
		f.At("/latitude", "out_of_range", "A latitude lies between -90 and 90 degrees; correct it.")
	case q.Longitude != nil && !(*q.Longitude >= -180 && *q.Longitude <= 180):
		f.At("/longitude", "out_of_range", "A longitude lies between -180 and 180 degrees; correct it.")
	case strings.TrimSpace(q.Name) == "" && q.Latitude == nil, len(q.Name) > maxQuery:
		f.At("/q", "query_invalid", fmt.Sprintf("Say in q the name of a place, in up to %d bytes; or give a point.", maxQuery))
	}
	if fault := draft.FieldErrors(f); fault != nil {
		return asks.LocationList{}, fault
	}
	account, err := accounts.Resolve(ctx, s.side, q.UserID, q.AccountID)
	if err != nil {
		return asks.LocationList{}, err
	}
	if err := s.checkSearchQuota(ctx, account.ID, posts.QuotaLocations); err != nil {
		return asks.LocationList{}, err
	}
	var point *threads.Point
	if q.Latitude != nil {
		point = &threads.Point{Latitude: *q.Latitude, Longitude: *q.Longitude}
	}
	read := func(ctx context.Context, a ownercalls.Access) ([]threads.Location, error) {
		s.countSearch(ctx, account.ID, posts.QuotaLocations)
		return s.api.LocationSearch(ctx, a.Token, q.Name, point)
	}
	found, err := ownercalls.Do(ctx, s.calls, account, threads.ScopeLocationTagging, read)
	if err != nil {
		return asks.LocationList{}, err
	}
	list := asks.LocationList{Items: make([]asks.Location, len(found))}
	for i, l := range found {
		list.Items[i] = asks.Location{
			ID: l.ID, Name: l.Name, Address: l.Address, City: l.City, Country: l.Country, PostalCode: l.PostalCode,
			Latitude: l.Latitude, Longitude: l.Longitude,
		}
	}
	return list, nil
}
