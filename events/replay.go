package events

import "strings"

// The headers of an event that is republished on threads.replay.<id>.>, for those who asked for it. Whoever acts on events
// leaves a marked one alone.
const (
	HeaderReplay         = "omni-replay"          // the id of the replay
	HeaderReplaySequence = "omni-replay-sequence" // the event's sequence on EVENTS
)

// Replayed is where an event is republished: threads.replay.<id>.evt.post.….published. No stream captures it.
func Replayed(id, subject string) string {
	return prefix + ".replay." + id + "." + strings.TrimPrefix(subject, prefix+".")
}

// PostFacts covers events of posts on EVENTS; each of the three may be * for any.
func PostFacts(account, post, fact string) string { return postFact(account, post, fact) }

// AccountFacts covers events of accounts on EVENTS; each of the two may be * for any.
func AccountFacts(account, fact string) string { return accountFact(account, fact) }

// PostCommands covers every command of posts on COMMANDS.
const PostCommands = prefix + ".cmd.post.*"
