package publisher

import (
	"context"
	"errors"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
)

// named is a post at Threads that an owner spoke of, and the account through which it is seen.
type named struct {
	account accounts.Account
	mediaID string
	postID  string // ours, where we have the post
}

// named finds the post that a user names by our id or by Threads' media id. Of a media id that is in no row of ours only
// Threads can say whose it is: it is asked through the account that the user names, or the only one.
func (s *Service) named(ctx context.Context, userID, accountID, id string) (named, error) {
	p, err := s.side().Find(ctx, s.side().DB, userID, id)
	unknown := errors.Is(err, &events.Fault{Code: events.NotFound})
	switch {
	case err != nil && !unknown:
		return named{}, err
	case unknown && events.IsPostID(id):
		return named{}, err
	case unknown && !isMediaID(id):
		return named{}, err
	case !unknown && accountID != "" && p.AccountID != accountID && events.IsPostID(id):
		return named{}, events.Faultf(events.NotFound, "There is no post with this id among yours.")
	case !unknown && (accountID == "" || accountID == p.AccountID):
		n := named{mediaID: p.MediaID, postID: p.ID}
		if !events.IsPostID(id) {
			n.mediaID = id // a part of a chain
		}
		if n.mediaID == "" || !p.DeletedAt.IsZero() {
			return named{}, events.Faultf(events.Conflict, "This post is not live on Threads, so Threads knows nothing of it.")
		}
		n.account, err = accounts.Resolve(ctx, s.side().DB, userID, p.AccountID)
		return n, err
	}
	account, err := accounts.Resolve(ctx, s.side().DB, userID, accountID)
	return named{account: account, mediaID: id}, err
}

func isMediaID(id string) bool {
	return id != "" && len(id) <= 40 && strings.Trim(id, "0123456789") == ""
}
