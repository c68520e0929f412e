package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The scopes. A token keeps the grant it was born with.
//
// https://developers.facebook.com/documentation/threads/get-started/get-access-tokens-and-permissions
const (
	ScopeBasic            = "threads_basic"
	ScopeContentPublish   = "threads_content_publish"
	ScopeReadReplies      = "threads_read_replies"
	ScopeManageReplies    = "threads_manage_replies"
	ScopeManageInsights   = "threads_manage_insights"
	ScopeDelete           = "threads_delete"
	ScopeKeywordSearch    = "threads_keyword_search"
	ScopeManageMentions   = "threads_manage_mentions"
	ScopeLocationTagging  = "threads_location_tagging"
	ScopeProfileDiscovery = "threads_profile_discovery"
	ScopeShareToInstagram = "threads_share_to_instagram"
)

// minLongLife is the shortest life a long-lived token may claim. A swallowed exchange leaves a token of one hour that
// looks like any other; stored as long-lived it would kill the account in the night.
const minLongLife = 48 * time.Hour

// ShortToken is what a code buys: an hour to exchange it for a long-lived one. UserID may be refused by other calls
// for some accounts; Me tells the id to keep.
type ShortToken struct {
	Token  Token
	UserID string
}

// LongToken lives about 60 days and can be refreshed from 24 h of age on.
type LongToken struct {
	Token     Token
	ExpiresIn time.Duration
}

// AuthorizeURLFor is the page to send a person's browser to. redirectURI must be registered with the app, byte for
// byte.
//
// https://developers.facebook.com/documentation/threads/get-started/get-access-tokens-and-permissions
func (c *Client) AuthorizeURLFor(redirectURI string, scopes []string, state string) string {
	q := url.Values{
		"client_id":     {c.cfg.AppID},
		"redirect_uri":  {redirectURI},
		"scope":         {strings.Join(scopes, ",")},
		"response_type": {"code"},
		"state":         {state},
	}
	sep := "?"
	if strings.Contains(c.cfg.AuthorizeURL, "?") {
		sep = "&"
	}
	return c.cfg.AuthorizeURL + sep + q.Encode()
}

// ExchangeCode trades the code of the redirect for a short-lived token. A code works once: after a lost answer the
// person has to authorize again.
//
// https://developers.facebook.com/documentation/threads/get-started/get-access-tokens-and-permissions
func (c *Client) ExchangeCode(ctx context.Context, code, redirectURI string) (ShortToken, error) {
	// Meta ends the redirect in "#_"; it is no part of the code, but who copies the address bar copies it too.
	code = strings.TrimSuffix(code, "#_")
	q := call{
		op:     OpExchange,
		method: http.MethodPost,
		path:   "/oauth/access_token",
		form: url.Values{
			"client_id":     {c.cfg.AppID},
			"client_secret": {c.cfg.AppSecret},
			"grant_type":    {"authorization_code"},
			"redirect_uri":  {redirectURI},
			"code":          {code},
		},
		secrets: []string{c.cfg.AppSecret, code},
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		UserID      id     `json:"user_id"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return ShortToken{}, err
	}
	if answer.AccessToken == "" {
		return ShortToken{}, c.unanswered(q, http.StatusOK, errors.New("answer without a token"))
	}
	return ShortToken{Token: Token(answer.AccessToken), UserID: string(answer.UserID)}, nil
}

// CheckApp asks for the app's own token, which nothing here needs: Threads gives it to whoever has the right id and secret.
//
// https://developers.facebook.com/documentation/threads/get-started/get-access-tokens-and-permissions
func (c *Client) CheckApp(ctx context.Context) error {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	q := call{
		op:      OpExchange,
		method:  http.MethodGet,
		path:    "/oauth/access_token",
		query:   url.Values{"client_id": {c.cfg.AppID}, "client_secret": {c.cfg.AppSecret}, "grant_type": {"client_credentials"}},
		secrets: []string{c.cfg.AppSecret},
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return err
	}
	if answer.AccessToken == "" {
		return c.unanswered(q, http.StatusOK, errors.New("answer without a token"))
	}
	return nil
}

// ExchangeLongLived trades a short-lived token for one of about 60 days. An answer that lives under two days is an
// error.
//
// https://developers.facebook.com/documentation/threads/get-started/long-lived-tokens
func (c *Client) ExchangeLongLived(ctx context.Context, short Token) (LongToken, error) {
	return c.longToken(ctx, call{
		op:     OpExchangeLong,
		method: http.MethodGet,
		path:   "/access_token",
		// Documented as query parameters only, the secret among them. Nothing below may record this URL.
		query: url.Values{
			"grant_type":    {"th_exchange_token"},
			"client_secret": {c.cfg.AppSecret},
			"access_token":  {short.Reveal()},
		},
		secrets: []string{c.cfg.AppSecret, short.Reveal()},
	})
}

// Refresh gives a long-lived token of 24 h to 60 days of age another 60 days. Keep the old token until the new one is
// stored: a lost answer leaves the old one as good as it was.
//
// https://developers.facebook.com/documentation/threads/get-started/long-lived-tokens
func (c *Client) Refresh(ctx context.Context, long Token) (LongToken, error) {
	return c.longToken(ctx, call{
		op:      OpRefresh,
		method:  http.MethodGet,
		path:    "/refresh_access_token",
		query:   url.Values{"grant_type": {"th_refresh_token"}, "access_token": {long.Reveal()}},
		secrets: []string{long.Reveal()},
	})
}

func (c *Client) longToken(ctx context.Context, q call) (LongToken, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   seconds `json:"expires_in"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return LongToken{}, err
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	if answer.AccessToken == "" || life < minLongLife {
		q.secrets = append(q.secrets, answer.AccessToken)
		return LongToken{}, c.unanswered(q, http.StatusOK, errors.New("answer without a long-lived token"))
	}
	return LongToken{Token: Token(answer.AccessToken), ExpiresIn: life}, nil
}
