package delivery

import (
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/posts"
)

func sameMedia() *events.Fault {
	return events.Faultf(events.Unknown, "Threads gave this post an id that another post already has; please look at the profile.")
}

func lostSeveralTimes() *events.Fault {
	return events.Faultf(events.Unknown, "Threads lost this post several times; please look at the profile.")
}

// listNotReadable is the reason of a post whose list this connection may not read.
func listNotReadable() *events.Fault {
	return events.Faultf(events.MissingScope, "It is not known whether this reply is live, and the connection may not read replies; please look at the profile.")
}

func similar() *events.Fault {
	return events.Faultf(events.Unknown, "Threads did not say whether this post went out, and another one on the profile could be it; please look at the profile.")
}

func ambiguous() *events.Fault {
	return events.Faultf(events.Unknown, "Several posts on the profile could be this one; please look at the profile.")
}

func notSeenYet() *events.Fault {
	return events.Faultf(events.Unavailable, "Threads does not show the post that this one refers to yet; this one follows as soon as it does.")
}

func pausedFault(a accounts.Account) *events.Fault {
	why := ""
	if a.PauseReason != "" {
		why = " (" + a.PauseReason + ")"
	}
	return events.Faultf(events.Paused, "The posts of this account are paused for now%s; this one goes out when they are resumed.", why)
}

func alreadyLive() *events.Fault {
	return events.Faultf(events.Unknown, "Threads says that this post is already live; we are looking for it.")
}

func unclearAnswer() *events.Fault {
	return events.Faultf(events.Unknown, "Threads did not say whether this post went out; we are asking.")
}

func threadsDown() *events.Fault {
	return events.Faultf(events.Unavailable, "Threads does not answer at the moment; this post goes out as soon as it does.")
}

func keptForReconnect() *events.Fault {
	return events.Faultf(events.ReauthRequired, "This account was disconnected; connect it again and the post goes out.")
}

func overdue(p *posts.Post) *events.Fault {
	why := ""
	if p.Reason != nil {
		why = " " + p.Reason.Message
	}
	return events.Faultf(events.Missed,
		"This post could not go out within the time allowed after its hour.%s Schedule it again if it still matters.", why)
}
