package threads

import "cmp"

// reason is what is known of a refusal beyond its class: a word for programs, and a sentence that helps more than the
// class's own.
type reason struct {
	code, subcode int    // 0 = any
	name          string // Meta's THREADS_API__ name
	word          string
	sentence      string
}

// reasons go by the numbers and names of classify.go; the first that fits wins.
var reasons = []reason{
	{name: "THREADS_API__LINK_LIMIT_EXCEEDED", word: TooManyLinks,
		sentence: "Threads refused the post: it has more than five different links. Please remove some."},
	{name: "THREADS_API__FEATURE_NOT_AVAILABLE", word: "feature_not_available",
		sentence: "Threads does not offer this feature to the account."},
	{name: "THREADS_API__GEO_GATING_INVALID_COUNTRY_CODES", word: CountryInvalid,
		sentence: "Threads refused the post: the list of countries is not valid."},
	{subcode: 4279004, word: "carousel_items_invalid",
		sentence: "Threads refused the carousel: one of its images or videos is missing or was not ready. Please try again."},
	{subcode: 4279047, word: LinkInvalid,
		sentence: "Threads refused the post: its link cannot be attached. Please check the link."},
	{subcode: 4279013, word: "account_restricted"},
	{subcode: 2207050, word: "account_restricted"},
	{subcode: 2207051, word: "action_blocked",
		sentence: "Threads takes this for spam and has blocked it for now. Please open Threads and see what it asks for."},
	{subcode: 2207042, word: "publishing_limit",
		sentence: "The account has used up what Threads lets it publish within 24 hours. Please wait, or try again later."},
	{subcode: 2207052, word: MediaUnreachable,
		sentence: "Threads could not fetch the image or video. It will be tried again; please check that its address is public."},
	{subcode: 2207003, word: MediaUnreachable,
		sentence: "Threads could not fetch the image or video in time. It will be tried again; please check its address."},
	{code: 36000, word: MediaTooLarge, sentence: "Threads refused the image: it is too large."},
	{code: 36001, word: MediaTypeWrong, sentence: "Threads refused the image: please save it as JPEG or PNG."},
	{code: 36003, word: MediaRatio, sentence: "Threads refused the image: one side is more than ten times the other."},
	{code: 36004, word: TextTooLong, sentence: "Threads refused the post: its text is too long."},
	{code: 506, word: "duplicate", sentence: "Threads refused the post: it takes it for one that is there already."},

	// Why a connection ended. The subcodes are Graph's, of the codes 190 and 102.
	{subcode: 458, word: "app_removed",
		sentence: "The app was removed in the account's settings at Threads. Please connect the account again."},
	{subcode: 459, word: "login_needed",
		sentence: "Threads wants something confirmed first. Please log in to Threads, then reconnect the account."},
	{subcode: 460, word: "password_changed",
		sentence: "Threads ended this connection, as it does when the password changes. Please reconnect the account."},
	{subcode: 463, word: "token_expired",
		sentence: "This connection to Threads has run out. Please reconnect the account."},
	{subcode: 464, word: "login_needed",
		sentence: "Threads wants something confirmed first. Please log in to Threads, then reconnect the account."},
	{subcode: 467, word: "token_invalid"},
	{subcode: 492, word: "token_invalid"},
}

func reasonOf(r *refusal) reason {
	if r.oauth {
		return reason{} // its code is an HTTP status
	}
	for _, known := range reasons {
		if known.name == r.name && cmp.Or(known.code, r.code) == r.code && cmp.Or(known.subcode, r.subcode) == r.subcode {
			return known
		}
	}
	return reason{}
}
