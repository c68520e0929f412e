package engagement

import (
	"context"
	"errors"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
)

// target is a post at Threads that an owner names, and the account through which it is read.
type target struct {
	account accounts.Account
	mediaID string
	postID  string // ours, where we have the post
}

// resolveTarget finds the post that a user names by our id or by Threads' media id. Of a media id that is in no row of ours only
// Threads can say whose it is: it is asked through the account that the user names, or the only one.
func (s *Service) resolveTarget(ctx context.Context, userID, accountID, id string) (target, error) {
	p, err := s.posts.Find(ctx, s.side, userID, id)
	unknown := errors.Is(err, &events.Fault{Code: events.NotFound})
	switch {
	case err != nil && !unknown:
		return target{}, err
	case unknown && events.IsPostID(id):
		return target{}, err
	case unknown && !isMediaID(id):
		return target{}, err
	case !unknown && accountID != "" && p.AccountID != accountID && events.IsPostID(id):
		return target{}, events.Faultf(events.NotFound, "There is no post with this id among yours.")
	case !unknown && (accountID == "" || accountID == p.AccountID):
		n := target{mediaID: p.MediaID, postID: p.ID}
		if !events.IsPostID(id) {
			n.mediaID = id // a part of a chain
		}
		if n.mediaID == "" || !p.DeletedAt.IsZero() {
			return target{}, events.Faultf(events.Conflict, "This post is not live on Threads, so Threads knows nothing of it.")
		}
		n.account, err = accounts.Resolve(ctx, s.side, userID, p.AccountID)
		return n, err
	}
	account, err := accounts.Resolve(ctx, s.side, userID, accountID)
	return target{account: account, mediaID: id}, err
}

func isMediaID(id string) bool {
	return id != "" && len(id) <= 40 && strings.Trim(id, "0123456789") == ""
}
