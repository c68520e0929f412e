package threadssim

// The names of the calls that read and moderate, as faults and the list of calls know them.
const (
	opRepost          = "repost"
	opRepliesTo       = "replies_to"
	opConversation    = "conversation"
	opPendingReplies  = "pending_replies"
	opHideReply       = "hide_reply"
	opApproveReply    = "approve_reply"
	opMentions        = "mentions"
	opSearch          = "search"
	opProfileLookup   = "profile_lookup"
	opProfilePosts    = "profile_posts"
	opLocationSearch  = "location_search"
	opLocation        = "location"
	opMediaInsights   = "media_insights"
	opAccountInsights = "account_insights"
	opOEmbed          = "oembed"
)

var readingOps = []string{
	opRepost, opRepliesTo, opConversation, opPendingReplies, opHideReply, opApproveReply, opMentions, opSearch,
	opProfileLookup, opProfilePosts, opLocationSearch, opLocation, opMediaInsights, opAccountInsights, opOEmbed,
}
