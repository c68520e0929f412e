package threads

import (
	"fmt"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		op     string
		refers bool
		r      refusal
		class  Class
		hint   Class
	}{
		{op: OpMe, r: refusal{code: 190, subcode: 463, status: 400}, class: Reauthorize},
		{op: OpPublish, r: refusal{code: 190, status: 400}, class: Reauthorize},
		{op: OpMe, r: refusal{code: 102, status: 400}, class: Reauthorize},
		{op: OpMe, r: refusal{code: 100, subcode: 10, status: 400}, class: Reauthorize},
		{op: OpExchangeLong, r: refusal{code: 452, subcode: 4279019, status: 400}, class: Reauthorize},
		{op: OpMe, r: refusal{code: 190, subcode: 458, status: 400}, class: Reauthorize},
		{op: OpMe, r: refusal{code: 102, subcode: 459, status: 400}, class: Reauthorize},
		{op: OpRefresh, r: refusal{code: 190, subcode: 460, status: 401}, class: Reauthorize},
		{op: OpCreate, r: refusal{code: 1, subcode: 467, status: 500}, class: Reauthorize},
		{op: OpPublish, r: refusal{code: 100, subcode: 10, status: 400}, class: Reauthorize},
		{op: OpRepost, r: refusal{code: 190, subcode: 463, status: 400}, class: Reauthorize},
		{op: OpExchange, r: refusal{oauth: true, code: 400, status: 400}, class: Reauthorize},
		{op: OpExchange, r: refusal{oauth: true, code: 500, status: 500}, class: Transient},

		// HTTP 500 says nothing; the call decides.
		{op: OpDelete, r: refusal{code: 10, status: 500}, class: Permission},
		{op: OpCreate, r: refusal{code: 10, status: 500}, class: Permission},
		{op: OpCreate, r: refusal{code: 200, status: 403}, class: Permission},
		{op: OpPublish, r: refusal{code: 10, status: 500}, class: Ambiguous, hint: Permission},
		{op: OpPublish, r: refusal{code: 299, status: 403}, class: Ambiguous, hint: Permission},

		{op: OpMediaInsights, r: refusal{code: 10, status: 500}, class: Permission},
		{op: OpCreate, r: refusal{code: 3, status: 400}, class: Permission},
		{op: OpRepost, r: refusal{code: 10, status: 500}, class: Ambiguous, hint: Permission},

		{op: OpRepost, r: refusal{code: 100, subcode: 33, status: 400}, class: NotFound},
		{op: OpRepost, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotFound},
		{op: OpPublish, r: refusal{code: 24, subcode: 2207008, status: 400}, class: NotReady},
		{op: OpPublish, r: refusal{code: 9007, subcode: 2207027, status: 400}, class: NotReady},
		{op: OpPublish, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotReady},
		{op: OpPublish, r: refusal{code: 100, subcode: 33, status: 400}, class: NotReady},
		{op: OpStatus, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotReady},
		{op: OpStatus, r: refusal{code: 100, subcode: 33, status: 400}, class: NotFound},
		{op: OpDelete, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotFound},
		{op: OpMedia, r: refusal{code: 100, subcode: 33, status: 400}, class: NotFound},
		{op: OpCreate, refers: true, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotFound},
		{op: OpCreate, refers: true, r: refusal{code: 100, subcode: 33, status: 400}, class: NotFound},
		{op: OpCreate, refers: true, r: refusal{code: 100, status: 500, message: "Param reply_to_id is not a valid threads_media ID"}, class: NotFound},
		{op: OpCreate, refers: true, r: refusal{code: 100, status: 500, message: "Param quote_post_id is not a valid threads_media ID"}, class: NotFound},
		{op: OpCreate, refers: true, r: refusal{code: 100, status: 500, message: "Param text must be at most 500 characters long."}, class: Invalid},
		{op: OpCreate, r: refusal{code: 100, status: 500, message: "Param reply_to_id is not a valid threads_media ID"}, class: Invalid},
		{op: OpCreate, r: refusal{code: 24, subcode: 4279009, status: 400}, class: Transient},

		{op: OpCreate, r: refusal{code: 100, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: 100, subcode: 4279004, status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{code: -1, subcode: 4279047, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: -1, status: 500}, class: Transient},
		{op: OpCreate, r: refusal{name: "THREADS_API__LINK_LIMIT_EXCEEDED", status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{name: "THREADS_API__NEW", code: 1, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: 1, subcode: 2207052, status: 400}, class: Transient},
		{op: OpCreate, r: refusal{code: 9004, subcode: 2207052, status: 400}, class: Transient},
		{op: OpCreate, r: refusal{code: -2, subcode: 2207003, status: 400}, class: Transient},
		{op: OpCreate, r: refusal{code: -1, subcode: 2207032, status: 400}, class: Transient},
		{op: OpPublish, r: refusal{code: -2, subcode: 2207020, status: 400}, class: Ambiguous, hint: Transient},
		{op: OpCreate, r: refusal{code: 36000, subcode: 2207004, status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{code: 36004, subcode: 2207010, status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{code: 1609005, status: 400}, class: Invalid},
		{op: OpPublish, r: refusal{code: 100, status: 500}, class: Invalid},
		{op: OpPublish, r: refusal{code: -1, subcode: 4279047, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: 506, status: 400}, class: Invalid},
		{op: OpPublish, r: refusal{code: 506, status: 400}, class: Ambiguous, hint: Invalid},
		{op: OpStatus, r: refusal{code: 100, status: 500}, class: Invalid},
		{op: OpAccountInsights, r: refusal{name: "THREADS_API__FEATURE_NOT_AVAILABLE", code: 100, status: 400}, class: Invalid},

		{op: OpCreate, r: refusal{code: 4, status: 400}, class: Quota},
		{op: OpCreate, r: refusal{code: 80002, status: 400}, class: Quota},
		{op: OpPublish, r: refusal{code: 9, subcode: 2207042, status: 400}, class: Quota},
		{op: OpPublish, r: refusal{code: 4, status: 400}, class: Quota},
		{op: OpMe, r: refusal{code: 17, status: 403}, class: Quota},
		{op: OpMe, r: refusal{code: 32, status: 400}, class: Quota},
		{op: OpMe, r: refusal{code: 341, status: 400}, class: Quota},
		{op: OpMe, r: refusal{code: 613, status: 400}, class: Quota},
		{op: OpMe, r: refusal{code: 80014, status: 400}, class: Quota},
		{op: OpMe, r: refusal{status: 429}, class: Quota},
		{op: OpMe, r: refusal{status: 429, code: 1}, class: Quota},
		{op: OpMe, r: refusal{status: 429, code: 190}, class: Reauthorize},

		{op: OpCreate, r: refusal{code: 4, subcode: 2207051, status: 403}, class: Blocked},
		{op: OpCreate, r: refusal{code: 368, status: 400}, class: Blocked},
		{op: OpCreate, r: refusal{subcode: 4279013, status: 400}, class: Blocked},
		{op: OpCreate, r: refusal{code: 25, subcode: 2207050, status: 400}, class: Blocked},
		{op: OpDelete, r: refusal{code: 368, status: 400}, class: Blocked},
		{op: OpPublish, r: refusal{code: 368, status: 400}, class: Ambiguous, hint: Blocked},
		{op: OpPublish, r: refusal{code: 100, subcode: 4279013, status: 400}, class: Ambiguous, hint: Blocked},
		{op: OpPublish, r: refusal{code: 4, subcode: 2207051, status: 403}, class: Ambiguous, hint: Blocked},

		{op: OpMe, r: refusal{code: 2, status: 400}, class: Transient},
		{op: OpMe, r: refusal{status: 502}, class: Transient},
		{op: OpMe, r: refusal{code: 987654, status: 400}, class: Transient},
		{op: OpPublish, r: refusal{code: 1, status: 500}, class: Ambiguous, hint: Transient},
		{op: OpPublish, r: refusal{status: 502}, class: Ambiguous, hint: Transient},
		{op: OpPublish, r: refusal{code: 987654, status: 400}, class: Ambiguous, hint: Transient},
	} {
		t.Run(fmt.Sprintf("%s %d-%d http %d", tc.op, tc.r.code, tc.r.subcode, tc.r.status), func(t *testing.T) {
			t.Parallel()
			class, hint := classify(tc.op, tc.refers, &tc.r)
			if class != tc.class || hint != tc.hint {
				t.Errorf("got %q, hint %q; want %q, hint %q", class, hint, tc.class, tc.hint)
			}
		})
	}
}

func TestEveryClassHasItsSentence(t *testing.T) {
	t.Parallel()
	said := map[string]Class{}
	for _, class := range []Class{Transient, Ambiguous, NotReady, Invalid, Permission, Reauthorize, Quota, Blocked, NotFound} {
		s := sentence(OpPublish, class, &refusal{})
		if other, ok := said[s]; ok {
			t.Errorf("%s and %s say the same", class, other)
		}
		said[s] = class
	}
}

// What is known beyond the class is said, but never in the place of "we do not know".
func TestReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op     string
		r      refusal
		reason string
		says   string
	}{
		{OpCreate, refusal{name: "THREADS_API__LINK_LIMIT_EXCEEDED", code: 100, status: 400}, TooManyLinks, "five different links"},
		{OpAccountInsights, refusal{name: "THREADS_API__FEATURE_NOT_AVAILABLE", code: 100, status: 400}, "feature_not_available", "feature"},
		{OpCreate, refusal{name: "THREADS_API__SOMETHING_NEW", code: 100, status: 400}, "", "content of this post"},
		{OpRefresh, refusal{code: 190, subcode: 458, status: 400}, "app_removed", "removed"},
		{OpMe, refusal{code: 190, subcode: 460, status: 400}, "password_changed", "password"},
		{OpMe, refusal{code: 190, status: 400}, "", "reconnect"},
		{OpCreate, refusal{code: 1, subcode: 2207052, status: 400}, MediaUnreachable, "could not fetch"},
		{OpCreate, refusal{code: 36003, subcode: 2207009, status: 400}, MediaRatio, "ten times"},
		{OpPublish, refusal{code: 9, subcode: 2207042, status: 400}, "publishing_limit", "24 hours"},
		{OpCreate, refusal{code: 4, subcode: 2207051, status: 403}, "action_blocked", "spam"},
		{OpPublish, refusal{code: 4, subcode: 2207051, status: 403}, "action_blocked", "looked into"},
		{OpExchange, refusal{oauth: true, code: 400, status: 400}, "", "from the start"},
		{OpExchange, refusal{oauth: true, code: 506, status: 400}, "", "from the start"}, // an HTTP status, whatever it is
		{OpCreate, refusal{code: 24, subcode: 4279009, status: 400}, "", "no longer exists"},
	} {
		class, _ := classify(c.op, true, &c.r)
		if got := reasonOf(&c.r).word; got != c.reason {
			t.Errorf("%s %+v: reason %q, want %q", c.op, c.r, got, c.reason)
		}
		if got := sentence(c.op, class, &c.r); !strings.Contains(got, c.says) {
			t.Errorf("%s %+v: a person reads %q, without %q", c.op, c.r, got, c.says)
		}
	}
}
