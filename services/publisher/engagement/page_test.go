package engagement

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// Threads' own pages are read again, shorter, where they are too large for one message.
func TestThreadsPagesEndByBytes(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	s := sys.service()
	all := 40
	q := threads.ListQuery{Limit: 25}
	var limits []int
	page, err := s.fetchPage(t.Context(), sys.account, threads.ScopeBasic, &q, func(context.Context, ownercalls.Access) (threads.Page, error) {
		limits = append(limits, q.Limit)
		p := threads.Page{After: fmt.Sprint("after ", q.Limit)}
		for i := range min(all, q.Limit) {
			p.Data = append(p.Data, threads.Media{ID: fmt.Sprint(i), Text: strings.Repeat("語", 10_000)})
		}
		return p, nil
	})
	if err != nil || len(limits) != 2 || len(page.Items) != limits[1] || page.Next != fmt.Sprint("after ", limits[1]) {
		t.Errorf("%d posts and the cursor %q, read with limits %v, %v", len(page.Items), page.Next, limits, err)
	}
}
