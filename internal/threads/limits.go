package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Allowance is how often something may be done over a moving window. Total 0 means that it was not asked for, or not told.
type Allowance struct {
	Used, Total int
	Window      time.Duration
}

// Limits are the allowances of a profile, shared by all apps that post for it.
type Limits struct {
	Posts, Replies, Deletes, LocationSearches Allowance
}

// Limits asks how much of the allowances is used. It asks only for what the given scopes cover, since a single field
// without its scope fails the whole call; without any fitting scope it answers zeros and does not call at all.
//
// https://developers.facebook.com/documentation/threads/troubleshooting
func (c *Client) Limits(ctx context.Context, token Token, scopes []string) (Limits, error) {
	var fields []string
	publish := slices.Contains(scopes, ScopeContentPublish)
	if publish {
		fields = append(fields, "quota_usage", "config")
	}
	if publish && slices.Contains(scopes, ScopeManageReplies) {
		fields = append(fields, "reply_quota_usage", "reply_config")
	}
	if slices.Contains(scopes, ScopeDelete) {
		fields = append(fields, "delete_quota_usage", "delete_config")
	}
	if slices.Contains(scopes, ScopeLocationTagging) {
		fields = append(fields, "location_search_quota_usage", "location_search_config")
	}
	if len(fields) == 0 {
		return Limits{}, nil
	}
	q := call{
		op:     OpLimits,
		method: http.MethodGet,
		path:   "/v1.0/me/threads_publishing_limit",
		query:  url.Values{"fields": {strings.Join(fields, ",")}},
		token:  token,
	}
	type config struct {
		Total    count   `json:"quota_total"`
		Duration seconds `json:"quota_duration"`
	}
	var answer struct {
		Data []struct {
			Posts          count  `json:"quota_usage"`
			PostsConfig    config `json:"config"`
			Replies        count  `json:"reply_quota_usage"`
			RepliesConfig  config `json:"reply_config"`
			Deletes        count  `json:"delete_quota_usage"`
			DeletesConfig  config `json:"delete_config"`
			Searches       count  `json:"location_search_quota_usage"`
			SearchesConfig config `json:"location_search_config"`
		} `json:"data"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return Limits{}, err
	}
	if len(answer.Data) == 0 {
		return Limits{}, c.unanswered(q, http.StatusOK, errors.New("answer without limits"))
	}
	quota := func(used count, k config) Allowance {
		return Allowance{Used: int(used), Total: int(k.Total), Window: time.Duration(k.Duration) * time.Second}
	}
	d := answer.Data[0]
	return Limits{
		Posts:            quota(d.Posts, d.PostsConfig),
		Replies:          quota(d.Replies, d.RepliesConfig),
		Deletes:          quota(d.Deletes, d.DeletesConfig),
		LocationSearches: quota(d.Searches, d.SearchesConfig),
	}, nil
}
