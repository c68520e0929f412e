package threadssim

import "github.com/omni-write/threads/internal/threads"

// scopeProfileDiscovery is one more scope that this system does not ask for.
const scopeProfileDiscovery = "threads_profile_discovery"

// scopeWords say what each scope lets the app do, for the person who is asked.
var scopeWords = map[string]string{
	threads.ScopeBasic:          "See your profile and your posts",
	threads.ScopeContentPublish: "Publish posts and reposts in your name",
	threads.ScopeReadReplies:    "Read the replies to your posts",
	threads.ScopeManageReplies:  "Reply, and hide or approve replies to your posts",
	threads.ScopeManageInsights: "See how your profile and your posts are doing",
	threads.ScopeDelete:         "Delete your posts",
	scopeKeywordSearch:          "Search public posts, and reply to them",
	scopeManageMentions:         "See posts that mention you, and reply to them",
	scopeLocationTagging:        "Search places and add them to your posts",
	scopeProfileDiscovery:       "Look up public profiles and their posts",
	scopeShareToInstagram:       "Share your posts to Instagram as well",
}

// needs refuses a call whose token lacks a scope.
func (c *call) needs(scope string) (answer, bool) {
	if c.token.has(scope) {
		return answer{}, true
	}
	return noPermission(), false
}
