package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Profile is the owner of a token.
type Profile struct {
	ID         string
	Username   string
	Name       string
	PictureURL string
	Biography  string
	IsVerified bool
}

// ProfileDetail is the owner of a token, with what only few callers need.
type ProfileDetail struct {
	Profile
	// GeoGating says that posts of this account may be kept to some countries.
	GeoGating bool
	// Searches are the words looked for lately; empty without ScopeKeywordSearch.
	Searches []RecentSearch
}

// RecentSearch is what was searched for, and when.
type RecentSearch struct {
	Query string
	At    time.Time
}

const profileFields = "id,username,name,threads_profile_picture_url,threads_biography,is_verified"

// Me returns the owner of the token. Its ID is the one to keep.
//
// https://developers.facebook.com/documentation/threads/reference/user
func (c *Client) Me(ctx context.Context, token Token) (Profile, error) {
	p, err := c.me(ctx, token, profileFields)
	return p.Profile, err
}

// MeDetail reads all that the scopes let one know of the owner of the token.
//
// https://developers.facebook.com/documentation/threads/reference/user
func (c *Client) MeDetail(ctx context.Context, token Token, scopes []string) (ProfileDetail, error) {
	fields := profileFields + ",is_eligible_for_geo_gating"
	if slices.Contains(scopes, ScopeKeywordSearch) {
		fields += ",recently_searched_keywords"
	}
	return c.me(ctx, token, fields)
}

func (c *Client) me(ctx context.Context, token Token, fields string) (ProfileDetail, error) {
	q := reading(token, OpMe, "me", url.Values{"fields": {fields}})
	type search struct {
		Query string `json:"query"`
		At    number `json:"timestamp"` // of the Unix clock, but in milliseconds, unlike everywhere else
	}
	var answer struct {
		ID         id                   `json:"id"`
		Username   string               `json:"username"`
		Name       string               `json:"name"`
		PictureURL string               `json:"threads_profile_picture_url"`
		Biography  string               `json:"threads_biography"`
		IsVerified bool                 `json:"is_verified"`
		GeoGating  decoration[bool]     `json:"is_eligible_for_geo_gating"`
		Searches   decoration[[]search] `json:"recently_searched_keywords"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return ProfileDetail{}, err
	}
	if answer.ID == "" {
		return ProfileDetail{}, c.unanswered(q, http.StatusOK, errors.New("answer without an id"))
	}
	p := ProfileDetail{
		Profile: Profile{
			ID:         string(answer.ID),
			Username:   answer.Username,
			Name:       answer.Name,
			PictureURL: answer.PictureURL,
			Biography:  answer.Biography,
			IsVerified: answer.IsVerified,
		},
		GeoGating: answer.GeoGating.is,
	}
	for _, s := range answer.Searches.is {
		p.Searches = append(p.Searches, RecentSearch{s.Query, time.UnixMilli(int64(s.At)).UTC()})
	}
	return p, nil
}

// TokenInfo is what Threads knows about a token. A zero time means that Threads did not say.
type TokenInfo struct {
	Scopes    []string
	ExpiresAt time.Time
	// DataAccessExpiresAt is the end of the person's grant, a clock of its own: 90 days, renewed by a refresh for public
	// profiles only.
	DataAccessExpiresAt time.Time
	IssuedAt            time.Time
	UserID              string
	IsValid             bool
}

// DebugToken asks about the token itself. It is the only way to learn which scopes a person really granted.
//
// https://developers.facebook.com/documentation/threads/troubleshooting/debug-access-token
func (c *Client) DebugToken(ctx context.Context, token Token) (TokenInfo, error) {
	q := call{
		op:      OpDebugToken,
		method:  http.MethodGet,
		path:    "/v1.0/debug_token",
		query:   url.Values{"input_token": {token.Reveal()}},
		token:   token,
		secrets: []string{token.Reveal()},
	}
	var answer struct {
		Data *struct {
			Scopes              []string `json:"scopes"`
			ExpiresAt           seconds  `json:"expires_at"`
			DataAccessExpiresAt seconds  `json:"data_access_expires_at"`
			IssuedAt            seconds  `json:"issued_at"`
			UserID              id       `json:"user_id"`
			IsValid             bool     `json:"is_valid"`
		} `json:"data"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return TokenInfo{}, err
	}
	// Read as told, nothing at all would be a token without a single scope.
	if answer.Data == nil {
		return TokenInfo{}, c.unanswered(q, http.StatusOK, errors.New("answer without a token's data"))
	}
	return TokenInfo{
		Scopes:              answer.Data.Scopes,
		ExpiresAt:           answer.Data.ExpiresAt.time(),
		DataAccessExpiresAt: answer.Data.DataAccessExpiresAt.time(),
		IssuedAt:            answer.Data.IssuedAt.time(),
		UserID:              string(answer.Data.UserID),
		IsValid:             answer.Data.IsValid,
	}, nil
}
