package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
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

const profileFields = "id,username,name,threads_profile_picture_url,threads_biography,is_verified"

// Me returns the owner of the token. Its ID is the one to keep.
//
// https://developers.facebook.com/documentation/threads/reference/user
func (c *Client) Me(ctx context.Context, token Token) (Profile, error) {
	q := reading(token, OpMe, "me", url.Values{"fields": {profileFields}})
	var answer struct {
		ID         id     `json:"id"`
		Username   string `json:"username"`
		Name       string `json:"name"`
		PictureURL string `json:"threads_profile_picture_url"`
		Biography  string `json:"threads_biography"`
		IsVerified bool   `json:"is_verified"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return Profile{}, err
	}
	if answer.ID == "" {
		return Profile{}, c.unanswered(q, http.StatusOK, errors.New("answer without an id"))
	}
	return Profile{
		ID:         string(answer.ID),
		Username:   answer.Username,
		Name:       answer.Name,
		PictureURL: answer.PictureURL,
		Biography:  answer.Biography,
		IsVerified: answer.IsVerified,
	}, nil
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
