package events

import "strings"

// The rows of the system that this one replaced keep their names: our id of what was taken over follows from the
// original's, so the original's still leads to it, and taking over twice makes one.

// OriginalPostID is our id of the user's post that has this id in the original.
func OriginalPostID(user, id string) string { return postPrefix + hashed("original post", user, id) }

// OriginalAccountID is our id of an account that was connected in the original: the same person at Threads.
func OriginalAccountID(user, providerUserID string) string {
	return accountPrefix + hashed("original account", user, providerUserID)
}

// PostIDOf is the id of a user's post as we know it: what is neither one of ours nor a media id of Threads, which has
// digits only, is taken for one of the original's.
func PostIDOf(user, id string) string {
	if IsPostID(id) || strings.Trim(id, "0123456789") == "" {
		return id
	}
	return OriginalPostID(user, id)
}
