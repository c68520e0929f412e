package threadssim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// Post is one publish that took effect, deleted since or not.
type Post struct {
	ID          string `json:"id"`
	ContainerID string `json:"container_id"`
	UserID      string `json:"user_id"`
	Username    string `json:"username"`
	Text        string `json:"text"`
	MediaType   string `json:"media_type"`
	ReplyToID   string `json:"reply_to_id,omitempty"`
	RepostOf    string `json:"repost_of,omitempty"` // then text and container are empty
	// ArrivedNS is when the last byte of the publish request was here, CommittedNS when the post went live; both in
	// nanoseconds of the Unix clock.
	ArrivedNS   int64  `json:"arrived_ns"`
	CommittedNS int64  `json:"committed_ns"`
	Permalink   string `json:"permalink"`
	Deleted     bool   `json:"deleted"`
}

// Posts returns every publish that took effect, in order. Permalinks have no host unless PermalinkBase gives one.
func (s *Sim) Posts() []Post { return s.posts("") }

func (s *Sim) posts(host string) []Post {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	all := make([]Post, 0, len(s.store.order))
	for _, m := range s.store.order {
		kind := readTypes[m.of.MediaType]
		if m.RepostOf != "" {
			kind = repostFacade
		}
		all = append(all, Post{
			ID:          m.ID,
			ContainerID: m.Container,
			UserID:      m.owner.ID,
			Username:    m.owner.Username,
			Text:        m.of.Text,
			MediaType:   kind,
			RepostOf:    m.RepostOf,
			ReplyToID:   m.of.ReplyTo,
			ArrivedNS:   m.Arrived.UnixNano(),
			CommittedNS: m.Committed.UnixNano(),
			Permalink:   s.api.links.permalink(host, m),
			Deleted:     m.deleted,
		})
	}
	return all
}

// ContainerInfo is a container as the simulator sees it.
type ContainerInfo struct {
	ID        string    `json:"id"`
	UserID    string    `json:"user_id"`
	MediaType string    `json:"media_type"`
	Text      string    `json:"text"`
	Status    string    `json:"status"`
	Created   time.Time `json:"created"`
	Ready     time.Time `json:"ready"`
	MediaID   string    `json:"media_id,omitempty"`
}

// Containers returns all containers in the order of their creation.
func (s *Sim) Containers() []ContainerInfo {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	now := s.store.now()
	all := make([]ContainerInfo, 0, len(s.store.built))
	for _, k := range s.store.built {
		all = append(all, ContainerInfo{
			ID: k.ID, UserID: k.UserID, MediaType: k.MediaType, Text: k.Text, Status: k.status(now),
			Created: k.Created, Ready: k.Ready, MediaID: k.mediaID,
		})
	}
	return all
}

// Grant is a ready long-lived token.
type Grant struct {
	AccessToken threads.Token
	UserID      string
	Username    string
	Scopes      []string
	ExpiresIn   time.Duration
}

// Token makes a long-lived token for a user, whom it creates if need be, past the authorization window. Without scopes
// it has the six this system asks for.
func (s *Sim) Token(username string, scopes ...string) (Grant, error) {
	if len(scopes) == 0 {
		scopes = defaultScopes
	}
	return s.grant(username, scopes)
}

// grant takes the scopes as they are; none at all makes the token of a grant that never happened, whose every call is
// answered 100/10.
func (s *Sim) grant(username string, scopes []string) (Grant, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	u, err := s.store.account(username)
	if err != nil {
		return Grant{}, err
	}
	now := s.store.now()
	secret, err := s.store.issue(token{UserID: u.ID, Long: true, Scopes: slices.Clone(scopes), Granted: now}, u.knobs, now)
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		AccessToken: threads.Token(secret), UserID: u.ID, Username: u.Username,
		Scopes: slices.Clone(scopes), ExpiresIn: time.Duration(u.knobs.TokenTTLLong),
	}, nil
}

// Revoke kills all tokens a user has: every call answers 190 with the subcode, 458 for a removed app (the default), 460
// for a changed password, 463 for an expired session. New tokens are not affected.
func (s *Sim) Revoke(username string, subcode int) error {
	if subcode == 0 {
		subcode = appRemoved
	}
	if revocations[subcode] == "" {
		return fmt.Errorf("%d is no subcode of a dead token, want one of %v", subcode, slices.Sorted(maps.Keys(revocations)))
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return s.store.revoke(account(username), subcode)
}

// TokenInfo is what the simulator knows of a token; the token itself it does not keep.
type TokenInfo struct {
	Digest    string    `json:"digest"`
	Username  string    `json:"username"`
	Long      bool      `json:"long_lived"`
	Scopes    []string  `json:"scopes"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"`
	GrantEnds time.Time `json:"grant_ends"`
	// Error is the subcode of 190 it is answered with, 0 while it is good.
	Error int `json:"error,omitempty"`
}

// Tokens returns all tokens in the order of their issue.
func (s *Sim) Tokens() []TokenInfo {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	now := s.store.now()
	all := make([]TokenInfo, 0, len(s.store.tokens))
	for _, t := range s.store.tokens {
		u := s.store.users[t.UserID]
		info := TokenInfo{
			Digest: string(t.Digest), Username: u.Username, Long: t.Long, Scopes: slices.Clone(t.Scopes),
			Issued: t.Issued, Expires: t.Expires, GrantEnds: t.grantEnds(u.knobs), Error: t.Revoked,
		}
		switch {
		case info.Error != 0:
		case u.knobs.Uninstall:
			info.Error = appRemoved
		case !now.Before(t.Expires):
			info.Error = 463
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b TokenInfo) int {
		return cmp.Or(a.Issued.Compare(b.Issued), cmp.Compare(a.Digest, b.Digest))
	})
	return all
}

// UserInfo is an account with what it did.
type UserInfo struct {
	ID       string         `json:"id"`
	Username string         `json:"username"`
	Posts    int            `json:"posts"`
	Used     map[string]int `json:"quota_used"`
	Calls    int            `json:"calls_24h"`
}

// Users returns all accounts in the order of their ids.
func (s *Sim) Users() []UserInfo {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	now := s.store.now()
	all := make([]UserInfo, 0, len(s.store.users))
	for _, u := range s.store.users {
		info := UserInfo{ID: u.ID, Username: u.Username, Posts: len(u.posts), Used: map[string]int{}, Calls: u.calls.sum(now)}
		for kind, w := range u.used {
			info.Used[string(kind)] = w.used(now)
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b UserInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
