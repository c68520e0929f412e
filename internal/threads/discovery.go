package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// SearchQuery is what public posts are searched for. Q is needed; the rest narrows it.
type SearchQuery struct {
	Q string
	// Recent sorts by time; otherwise the most popular come first.
	Recent bool
	// Tag looks for a topic tag instead of words.
	Tag bool
	// MediaType is TEXT, IMAGE or VIDEO; empty: all.
	MediaType string
	// Author is a username, without @.
	Author string
	ListQuery
}

// Search finds public posts; without advanced access, only the owner's own. 2,200 searches in 24 hours.
//
// https://developers.facebook.com/documentation/threads/keyword-search
func (c *Client) Search(ctx context.Context, token Token, s SearchQuery) (Page, error) {
	query := s.values()
	query.Set("q", s.Q)
	query.Set("fields", publicFields)
	if s.Recent {
		query.Set("search_type", "RECENT")
	}
	if s.Tag {
		query.Set("search_mode", "TAG")
	}
	if s.MediaType != "" {
		query.Set("media_type", s.MediaType)
	}
	if s.Author != "" {
		query.Set("author_username", s.Author)
	}
	return c.page(ctx, call{op: OpSearch, method: http.MethodGet, path: "/v1.0/keyword_search", query: query, token: token})
}

// PublicProfile is what anyone may see of a profile with at least 100 followers. The counts are of the last seven days,
// but for the followers.
type PublicProfile struct {
	Username   string
	Name       string
	PictureURL string
	Biography  string
	IsVerified bool

	Followers, Likes, Quotes, Replies, Reposts, Views int
}

// ProfileLookup reads a public profile. 1,000 calls in 24 hours, together with ProfilePosts.
//
// https://developers.facebook.com/documentation/threads/threads-profiles
func (c *Client) ProfileLookup(ctx context.Context, token Token, username string) (PublicProfile, error) {
	var w struct {
		Username   string `json:"username"`
		Name       string `json:"name"`
		PictureURL string `json:"profile_picture_url"`
		Biography  string `json:"biography"`
		IsVerified bool   `json:"is_verified"`
		Followers  number `json:"follower_count"`
		Likes      number `json:"likes_count"`
		Quotes     number `json:"quotes_count"`
		Replies    number `json:"replies_count"`
		Reposts    number `json:"reposts_count"`
		Views      number `json:"views_count"`
	}
	q := reading(token, OpProfileLookup, "profile_lookup", url.Values{"username": {username}})
	if err := c.do(ctx, q, &w); err != nil {
		return PublicProfile{}, err
	}
	if w.Username == "" {
		return PublicProfile{}, c.unanswered(q, http.StatusOK, errors.New("answer without a profile"))
	}
	return PublicProfile{
		Username: w.Username, Name: w.Name, PictureURL: w.PictureURL, Biography: w.Biography, IsVerified: w.IsVerified,
		Followers: int(w.Followers), Likes: int(w.Likes), Quotes: int(w.Quotes), Replies: int(w.Replies),
		Reposts: int(w.Reposts), Views: int(w.Views),
	}, nil
}

// ProfilePosts lists the posts of a public profile.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-discover-posts/retrieve-posts
func (c *Client) ProfilePosts(ctx context.Context, token Token, username string, l ListQuery) (Page, error) {
	query := l.values()
	query.Set("username", username)
	query.Set("fields", publicFields)
	return c.page(ctx, call{op: OpProfilePosts, method: http.MethodGet, path: "/v1.0/profile_posts", query: query, token: token})
}
