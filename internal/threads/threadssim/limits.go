package threadssim

import (
	"slices"

	"github.com/omni-write/threads/internal/threads"
)

// limitFields pairs the fields of the limits edge with what they count and the scopes they need.
var limitFields = map[string]struct {
	counts quota
	config bool
	scopes []string
}{
	"quota_usage":        {posts, false, []string{threads.ScopeContentPublish}},
	"config":             {posts, true, []string{threads.ScopeContentPublish}},
	"reply_quota_usage":  {replies, false, []string{threads.ScopeContentPublish, threads.ScopeManageReplies}},
	"reply_config":       {replies, true, []string{threads.ScopeContentPublish, threads.ScopeManageReplies}},
	"delete_quota_usage": {deletes, false, []string{threads.ScopeDelete}},
	"delete_config":      {deletes, true, []string{threads.ScopeDelete}},

	"location_search_quota_usage": {locationSearches, false, []string{scopeLocationTagging}},
	"location_search_config":      {locationSearches, true, []string{scopeLocationTagging}},
}

// limits answers a list with one object, and in it only what was asked for. One field without its scope fails the call.
func limits(c *call) answer {
	asked := c.fields("quota_usage")
	known := make([]string, 0, len(limitFields))
	for name := range limitFields {
		known = append(known, name)
	}
	values := map[string]any{}
	for _, name := range asked {
		field, ok := limitFields[name]
		if !ok {
			continue // pick refuses it
		}
		if slices.ContainsFunc(field.scopes, func(scope string) bool { return !c.token.has(scope) }) {
			return noPermission()
		}
		if field.config {
			total := c.knobs.QuotaTotal.of(field.counts)
			values[name] = map[string]int{"quota_total": total, "quota_duration": int(quotaWindow.Seconds())}
		} else {
			values[name] = c.user.window(field.counts).used(c.at)
		}
	}
	a := c.pick(values, known, "quota_usage")
	if !a.ok() {
		return a
	}
	return success(map[string]any{"data": []any{a.body}})
}
