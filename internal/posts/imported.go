package posts

import (
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/threads"
)

// Imported is the row of a post that was made elsewhere.
func Imported(account accounts.Account, m threads.Media, now time.Time) *Post {
	p := &Post{
		ID: events.PostIDFor(account.UserID, "imported "+m.ID), UserID: account.UserID, AccountID: account.ID, Kind: events.KindImported,
		Text: m.Text, PublishAt: m.Timestamp,
		State: events.StatePublished, MediaID: m.ID, Permalink: m.Permalink, AcceptedAt: m.Timestamp,
		CreatedAt: now, UpdatedAt: now,
	}
	p.ContentHash = HashOf(p)
	return p
}
