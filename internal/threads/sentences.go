package threads

// sentence is what a person reads: what happened and what they can do, in words of ours. Meta's are localized, change,
// and quote ids.
func sentence(op string, class Class, r *refusal) string {
	if known := reasonOf(r).sentence; known != "" && class != Ambiguous && class != NotReady {
		return known
	}
	switch class {
	case Transient:
		return "Threads could not be reached or did not answer as usual. It will be tried again."
	case Ambiguous:
		return "Threads did not say clearly whether the post went out. This is being looked into before anything is sent again."
	case NotReady:
		return "Threads is still getting the post ready. It will be tried again in a moment."
	case Permission:
		return "This connection lacks a permission that is needed here. Please reconnect the account and allow everything asked for."
	case Reauthorize:
		if op == OpExchange {
			return "Threads did not accept this sign-in. Please connect the account again from the start."
		}
		return "Threads no longer accepts this connection. Please reconnect the account."
	case Quota:
		return "Threads allows no more of this for the account for now. Please wait, or try again later."
	case Blocked:
		return "Threads has restricted this account for now. Please open Threads and see what it asks for."
	case NotFound:
		if op == OpCreate { // it names no other post but that
			return goneParent
		}
		return "Threads does not know this post, or it has been deleted."
	case Invalid:
		return invalidSentence(op, r)
	}
	return "Threads refused the request."
}

const goneParent = "The post this one refers to no longer exists on Threads, or cannot be replied to."

func invalidSentence(op string, r *refusal) string {
	making := op == OpCreate || goesLive(op)
	switch {
	case making && (r.code == 24 || r.subcode == 33):
		return goneParent
	case making:
		return "Threads refused the content of this post. Please check its text, links and media."
	}
	return "Threads did not accept this request."
}
