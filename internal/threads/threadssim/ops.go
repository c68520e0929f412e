package threadssim

import "github.com/omni-write/threads/internal/threads"

// readingOps are the calls that read, look around and moderate.
var readingOps = []string{
	threads.OpRepost, threads.OpRepliesTo, threads.OpConversation, threads.OpPendingReplies, threads.OpHideReply,
	threads.OpApproveReply, threads.OpMentions, threads.OpSearch, threads.OpProfileLookup, threads.OpProfilePosts,
	threads.OpLocationSearch, threads.OpLocation, threads.OpMediaInsights, threads.OpAccountInsights, threads.OpOEmbed,
}
