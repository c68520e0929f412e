package threads

import (
	"net/http"
	"strings"
)

// rule gives a class to a code, or to a run of codes, or to a subcode whatever the code.
type rule struct {
	from, to int
	subcode  int // 0 = any
	class    Class
}

// A row from lowest to highest goes by the subcode alone.
const (
	lowest  = -1 << 31
	highest = 1<<31 - 1
)

// codeDuplicate refuses what was posted before. Graph documents it; no report from Threads is known.
const codeDuplicate = 506

// rules is what is known about Meta's codes; the first row that fits wins, so subcodes stand before codes. The flag
// is_transient is not read: it was seen false on errors that pass and true on errors that hide a success. Sources:
// https://developers.facebook.com/docs/graph-api/guides/error-handling, Instagram's error codes for the 2207xxx, and
// observations of Threads itself (fbsamples/threads_api#27, #70; gitroomhq/postiz-app#1364).
var rules = []rule{
	{100, 100, 10, Reauthorize}, // the grant behind the token is empty
	{100, 100, 33, NotFound},
	{lowest, highest, 4279004, Invalid},     // carousel children
	{lowest, highest, 4279047, Invalid},     // link attachment; comes with code -1 and is permanent all the same
	{lowest, highest, 4279013, Blocked},     // account restricted
	{lowest, highest, 4279019, Reauthorize}, // exchanging what is no short-lived token
	{lowest, highest, 2207051, Blocked},     // "action is blocked"; comes with code 4, which alone is a throttle
	{lowest, highest, 2207050, Blocked},     // account restricted or inactive
	{lowest, highest, 2207042, Quota},       // publishing limit reached
	{lowest, highest, 2207027, NotReady},    // container not ready
	{lowest, highest, 2207052, Transient},   // media host not reached

	// Graph's reasons why a token is dead. They come with 190 or 102; a word that sure is believed with any code.
	{lowest, highest, 458, Reauthorize},
	{lowest, highest, 459, Reauthorize},
	{lowest, highest, 460, Reauthorize},
	{lowest, highest, 463, Reauthorize},
	{lowest, highest, 464, Reauthorize},
	{lowest, highest, 467, Reauthorize},
	{lowest, highest, 492, Reauthorize},

	{190, 190, 0, Reauthorize},
	{102, 102, 0, Reauthorize},
	{452, 452, 0, Reauthorize},
	{3, 3, 0, Permission},
	{10, 10, 0, Permission},
	{200, 299, 0, Permission},
	{4, 4, 0, Quota},
	{9, 9, 0, Quota},
	{17, 17, 0, Quota},
	{32, 32, 0, Quota},
	{341, 341, 0, Quota},
	{613, 613, 0, Quota},
	{80000, 80014, 0, Quota},
	{25, 25, 0, Blocked},
	{368, 368, 0, Blocked},
	{24, 24, 0, NotFound},
	{100, 100, 0, Invalid},
	{codeDuplicate, codeDuplicate, 0, Invalid},
	{36000, 36999, 0, Invalid},
	{1609005, 1609005, 0, Invalid},
	{-2, 2, 0, Transient},
}

// classify gives a refusal its class and, when that is Ambiguous, the class it would have had elsewhere.
func classify(op string, refers bool, r *refusal) (class, hint Class) {
	class = classOf(r)
	if goesLive(op) {
		return classifyLive(op, r, class)
	}
	switch op {
	case OpStatus:
		if class == NotFound && r.code == 24 {
			return NotReady, ""
		}
	case OpCreate:
		switch {
		case class == NotFound && !refers:
			return Transient, "" // a new post names nothing that could be missing
		case class == Invalid && refers && namesParent(r):
			return NotFound, "" // the post replied to or quoted is gone, or too young to be seen everywhere
		}
	}
	return class, ""
}

// namesParent says whether a refusal of a parameter is about the post replied to or quoted. A parameter's name is no wording:
// it is not translated.
func namesParent(r *refusal) bool {
	return r.code == 100 && (strings.Contains(r.message, "reply_to_id") || strings.Contains(r.message, "quote_post_id"))
}

// classifyLive is for calls whose refusal may hide a success.
func classifyLive(op string, r *refusal, class Class) (Class, Class) {
	switch class {
	case Permission, Transient, Blocked:
		// Each of these was seen to answer a publish that went live in the same second.
		return Ambiguous, class
	case Invalid:
		if r.code == codeDuplicate {
			return Ambiguous, class // of what, if not of this very post, sent a moment ago?
		}
	case NotFound:
		if op == OpPublish {
			// The notorious 24/4279009: the container is known to one half of Threads and not yet to the other.
			return NotReady, ""
		}
		return NotFound, "" // the post to be shared again
	}
	return class, ""
}

func classOf(r *refusal) Class {
	switch {
	case r.oauth && r.status < http.StatusInternalServerError:
		// The code is used up, wrong or too old. Whatever it was, only a new one helps.
		return Reauthorize
	case r.oauth:
		return Transient
	case strings.HasPrefix(r.name, "THREADS_API__"):
		return Invalid
	}
	class := Transient // no code, or one nobody has met: not knowing is no reason to give a post up
	if r.code != 0 || r.subcode != 0 {
		for _, rule := range rules {
			if r.code >= rule.from && r.code <= rule.to && (rule.subcode == 0 || rule.subcode == r.subcode) {
				class = rule.class
				break
			}
		}
	}
	// An edge's 429 is believed where no code says more; no other status is: missing permissions come as 500, outages as
	// 400.
	if class == Transient && r.status == http.StatusTooManyRequests {
		return Quota
	}
	return class
}
