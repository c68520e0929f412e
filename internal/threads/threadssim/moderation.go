package threadssim

import (
	"fmt"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// approval is where a reply stands whose conversation wants replies approved; empty for all others.
type approval string

const (
	approvalPending  approval = "pending"
	approvalIgnored  approval = "ignored"
	approvalApproved approval = "approved"
)

func (a approval) waits() bool { return a == approvalPending || a == approvalIgnored }

// What the author of a conversation did to a reply, as hide_status tells it.
const (
	notHushed = "NOT_HUSHED"
	unhushed  = "UNHUSHED"
	hidden    = "HIDDEN"
)

// moderation is one act of the author of a conversation on a reply in it.
type moderation struct {
	MediaID  string    `json:"media_id"`
	Hush     string    `json:"hush,omitempty"`
	Approval approval  `json:"approval,omitempty"`
	At       time.Time `json:"at"`
}

func (s *store) replayModeration(d *moderation) error {
	m := s.media[d.MediaID]
	if m == nil {
		return fmt.Errorf("moderation of unknown media %s", d.MediaID)
	}
	if d.Hush != "" {
		m.hush = d.Hush
	}
	if d.Approval != "" {
		m.approval = d.Approval
	}
	return nil
}

// top is the direct reply of the conversation that a nested reply hangs on; a direct reply is its own.
func (s *store) top(m *media) *media {
	for {
		parent := s.media[m.of.ReplyTo]
		if parent == nil || parent == m.root {
			return m
		}
		m = parent
	}
}

// hideStatus of nested replies is that of the direct reply they hang on.
func (s *store) hideStatus(m *media) string {
	if hush := s.top(m).hush; hush != "" {
		return hush
	}
	return notHushed
}

// moderated finds a reply in a conversation that the caller began.
func (c *call) moderated() (*media, answer, bool) {
	m := c.store.media[c.path]
	if m == nil || m.deleted || m.of.ReplyTo == "" || m.root.owner != c.user {
		return nil, noSuchObject(c.path), false
	}
	a, ok := c.needs(threads.ScopeManageReplies)
	return m, a, ok
}

func (c *call) flag(name string) (v bool, a answer, ok bool) {
	raw := c.params.Get(name)
	if raw == "" || readFlag(raw, &v) != nil {
		return false, badParam(name + " must be a boolean"), false
	}
	return v, answer{}, true
}

// manageReply hides a direct reply, and with it all below it, or shows it again.
func manageReply(c *call) answer {
	m, a, ok := c.moderated()
	if !ok {
		return a
	}
	hide, a, ok := c.flag("hide")
	if !ok {
		return a
	}
	if c.store.top(m) != m {
		return badParam("id must be the id of a top-level reply")
	}
	hush := unhushed
	if hide {
		hush = hidden
	}
	if m.hush == hush || (m.hush == "" && !hide) {
		return success(map[string]any{"success": true})
	}
	return c.moderate(moderation{MediaID: m.ID, Hush: hush})
}

// managePendingReply approves a reply that waits, or sets it aside. One set aside can still be approved; one approved
// is a reply like others and can only be hidden.
func managePendingReply(c *call) answer {
	m, a, ok := c.moderated()
	if !ok {
		return a
	}
	approve, a, ok := c.flag("approve")
	if !ok {
		return a
	}
	becomes := approvalIgnored
	if approve {
		becomes = approvalApproved
	}
	switch {
	case m.approval == becomes:
		return success(map[string]any{"success": true})
	case !m.approval.waits():
		return badParam("id must be the id of a pending reply")
	}
	return c.moderate(moderation{MediaID: m.ID, Approval: becomes})
}

func (c *call) moderate(d moderation) answer {
	d.At = c.at
	if err := c.store.commit(entry{Moderate: &d}); err != nil {
		return unwell()
	}
	return success(map[string]any{"success": true})
}
