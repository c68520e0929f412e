package threadssim

import "github.com/omni-write/threads/internal/threads"

// Calls that the service does not make, and that an application beside it may.
const (
	opLocation = "location"
	opOEmbed   = "oembed"
)

// readingOps are the calls that read, look around and moderate.
var readingOps = []string{
	threads.OpRepost, threads.OpRepliesTo, threads.OpConversation, threads.OpPendingReplies, threads.OpHideReply,
	threads.OpApproveReply, threads.OpMentions, threads.OpSearch, threads.OpProfileLookup, threads.OpProfilePosts,
	threads.OpLocationSearch, opLocation, threads.OpMediaInsights, threads.OpAccountInsights, opOEmbed,
}
