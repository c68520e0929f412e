package threads

import (
	"fmt"
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
		{op: OpExchange, r: refusal{oauth: true, code: 400, status: 400}, class: Reauthorize},
		{op: OpExchange, r: refusal{oauth: true, code: 500, status: 500}, class: Transient},

		// HTTP 500 says nothing; the call decides.
		{op: OpDelete, r: refusal{code: 10, status: 500}, class: Permission},
		{op: OpCreate, r: refusal{code: 10, status: 500}, class: Permission},
		{op: OpCreate, r: refusal{code: 200, status: 403}, class: Permission},
		{op: OpPublish, r: refusal{code: 10, status: 500}, class: Ambiguous, hint: Permission},
		{op: OpPublish, r: refusal{code: 299, status: 403}, class: Ambiguous, hint: Permission},

		{op: OpPublish, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotReady},
		{op: OpPublish, r: refusal{code: 100, subcode: 33, status: 400}, class: NotReady},
		{op: OpStatus, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotReady},
		{op: OpStatus, r: refusal{code: 100, subcode: 33, status: 400}, class: NotFound},
		{op: OpDelete, r: refusal{code: 24, subcode: 4279009, status: 400}, class: NotFound},
		{op: OpMedia, r: refusal{code: 100, subcode: 33, status: 400}, class: NotFound},
		{op: OpCreate, refers: true, r: refusal{code: 24, subcode: 4279009, status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{code: 24, subcode: 4279009, status: 400}, class: Transient},

		{op: OpCreate, r: refusal{code: 100, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: 100, subcode: 4279004, status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{code: -1, subcode: 4279047, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: -1, status: 500}, class: Transient},
		{op: OpCreate, r: refusal{name: "THREADS_API__LINK_LIMIT_EXCEEDED", status: 400}, class: Invalid},
		{op: OpCreate, r: refusal{name: "THREADS_API__NEW", code: 1, status: 500}, class: Invalid},
		{op: OpCreate, r: refusal{code: 1, subcode: 2207052, status: 400}, class: Transient},

		{op: OpCreate, r: refusal{code: 4, status: 400}, class: Quota},
		{op: OpCreate, r: refusal{code: 80002, status: 400}, class: Quota},
		{op: OpPublish, r: refusal{code: 9, subcode: 2207042, status: 400}, class: Quota},
		{op: OpMe, r: refusal{status: 429}, class: Quota},

		{op: OpCreate, r: refusal{code: 4, subcode: 2207051, status: 403}, class: Blocked},
		{op: OpCreate, r: refusal{code: 368, status: 400}, class: Blocked},
		{op: OpCreate, r: refusal{subcode: 4279013, status: 400}, class: Blocked},
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
