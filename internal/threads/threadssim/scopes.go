package threadssim

import "github.com/omni-write/threads/internal/threads"

// scopeWords say what each scope lets the app do, for the person who is asked.
var scopeWords = map[string]string{
	threads.ScopeBasic:            "See your profile and your posts",
	threads.ScopeContentPublish:   "Publish posts and reposts in your name",
	threads.ScopeReadReplies:      "Read the replies to your posts",
	threads.ScopeManageReplies:    "Reply, and hide or approve replies to your posts",
	threads.ScopeManageInsights:   "See how your profile and your posts are doing",
	threads.ScopeDelete:           "Delete your posts",
	threads.ScopeKeywordSearch:    "Search public posts, and reply to them",
	threads.ScopeManageMentions:   "See posts that mention you, and reply to them",
	threads.ScopeLocationTagging:  "Search places and add them to your posts",
	threads.ScopeProfileDiscovery: "Look up public profiles and their posts",
	threads.ScopeShareToInstagram: "Share your posts to Instagram as well",
}

// needs refuses a call whose token lacks a scope.
func (c *call) needs(scope string) (answer, bool) {
	if c.token.has(scope) {
		return answer{}, true
	}
	return noPermission(), false
}
