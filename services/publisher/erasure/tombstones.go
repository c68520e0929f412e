package erasure

import "sync/atomic"

// tombstones are the accounts that were erased lately, as this process last looked. No event of theirs is emitted. An event that
// slips through in between, or from a process that stood still, is taken away by the next round of the erasure.
type tombstones struct {
	ids atomic.Pointer[map[string]bool]
}

func (g *tombstones) has(accountID string) bool {
	ids := g.ids.Load()
	return ids != nil && (*ids)[accountID]
}

func (g *tombstones) set(list []string) {
	ids := make(map[string]bool, len(list))
	for _, id := range list {
		ids[id] = true
	}
	g.ids.Store(&ids)
}
