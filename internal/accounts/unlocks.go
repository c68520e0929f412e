package accounts

import (
	"slices"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// features is what people can do with an account, and the scopes that each needs at Threads.
var features = []struct {
	name   string
	scopes []string
}{
	{"profile", []string{threads.ScopeBasic}},
	{"history", []string{threads.ScopeBasic}},
	{"publish", []string{threads.ScopeContentPublish}},
	{"repost", []string{threads.ScopeContentPublish}},
	{"delete", []string{threads.ScopeDelete}},
	{"read_replies", []string{threads.ScopeReadReplies}},
	{"manage_replies", []string{threads.ScopeManageReplies}},
	{"insights", []string{threads.ScopeManageInsights}},
	{"mentions", []string{threads.ScopeManageMentions}},
	{"search", []string{threads.ScopeKeywordSearch}},
	{"locations", []string{threads.ScopeLocationTagging}},
	{"profiles", []string{threads.ScopeProfileDiscovery}},
}

// Unlocks says which features the granted scopes unlock, and for each that they do not which are missing.
func (a Account) Unlocks() []events.Feature {
	list := make([]events.Feature, len(features))
	for i, f := range features {
		missing := []string{}
		for _, scope := range f.scopes {
			if !a.HasScope(scope) {
				missing = append(missing, scope)
			}
		}
		if f.scopes[0] != threads.ScopeBasic && !a.HasScope(threads.ScopeBasic) { // nothing works without it
			missing = slices.Insert(missing, 0, threads.ScopeBasic)
		}
		list[i] = events.Feature{Name: f.name, Unlocked: len(missing) == 0, MissingScopes: missing}
	}
	return list
}
