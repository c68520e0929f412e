// Package links reads the permalinks of posts that have just gone out, those of many posts of an account by one list.
package links

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

const (
	// linksApart is how many posts of an account have their permalinks read one by one. When more of them wait, one list
	// answers all: an account has so many calls a day, and a burst must not spend them on links.
	linksApart = 4
	// listEvery is the least time between two such lists of an account; who asks meanwhile shares the next one.
	listEvery = 500 * time.Millisecond
	// listSince is how far back they go: the posts that wait for their links have just gone out.
	listSince = 10 * time.Minute
	// listPages bounds one list: 300 posts are more than an account may publish in a day.
	listPages = 3
	// linksKept and maxLinks bound what is remembered of them: the posts that did not wait look for theirs within this time.
	linksKept = time.Minute
	maxLinks  = 20_000
)

// Reader reads permalinks.
type Reader struct {
	api *threads.Client
	now func() time.Time

	known *expirable.LRU[string, string] // permalinks by media id

	mu      sync.Mutex
	waiting map[string]int                    // how many ask, by account
	next    map[string]*linkList              // the list that is about to be read, by account
	last    *expirable.LRU[string, *linkList] // the list that was read last, or is being read, by account
}

// linkList is one reading of a list, for all who wait for it.
type linkList struct {
	began time.Time
	done  chan struct{}
	err   error
}

// New is a reader without memory yet.
func New(api *threads.Client, now func() time.Time) *Reader {
	return &Reader{
		api: api, now: now, waiting: map[string]int{}, next: map[string]*linkList{},
		known: expirable.NewLRU[string, string](maxLinks, nil, linksKept),
		last:  expirable.NewLRU[string, *linkList](maxLinks, nil, linksKept),
	}
}

// OnPostsList says whether a post is on the list of its account's posts: replies and ghost posts are on others.
func OnPostsList(p *posts.Post) bool {
	return p.Kind == events.KindPost && !p.IsChain() && !p.IsReply() && !p.Options.Ghost
}

// Join counts one who asks, until left is called.
func (l *Reader) Join(account string) (left func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[account]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waiting[account]--; l.waiting[account] == 0 {
			delete(l.waiting, account)
		}
	})
}

// Crowded says whether so many of an account ask that one list is cheaper.
func (l *Reader) Crowded(account string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[account] > linksApart
}

// One reads the permalink of one post; "" when there is none yet.
func (l *Reader) One(ctx context.Context, token threads.Token, id string) (string, error) {
	if link, ok := l.known.Get(id); ok {
		return link, nil
	}
	media, err := l.api.Media(ctx, token, id)
	if err == nil && media.Permalink != "" {
		l.known.Add(id, media.Permalink)
	}
	return media.Permalink, err
}

// Listed reads it from the list of the account's posts, together with those of all who ask.
func (l *Reader) Listed(ctx context.Context, account string, token threads.Token, id string) (string, error) {
	if link, ok := l.known.Get(id); ok {
		return link, nil
	}
	l.mu.Lock()
	list := l.next[account]
	mine := list == nil
	if mine {
		list = &linkList{done: make(chan struct{})}
		l.next[account] = list
	}
	last, _ := l.last.Get(account)
	l.mu.Unlock()
	if mine {
		l.read(ctx, account, token, list, last)
	}
	select {
	case <-list.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	link, _ := l.known.Get(id)
	return link, list.err
}

// read is the reading, after the last one has ended. From its beginning on who comes waits for the next one, which may have what
// this one has not.
func (l *Reader) read(ctx context.Context, account string, token threads.Token, list, last *linkList) {
	defer close(list.done)
	if last != nil { // if the caller ends meanwhile, so does the reading, below
		select {
		case <-last.done:
			clock.Sleep(ctx, last.began.Add(listEvery).Sub(l.now()))
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	delete(l.next, account)
	list.began = l.now()
	l.last.Add(account, list)
	l.mu.Unlock()
	q := threads.ListQuery{Since: l.now().Add(-listSince), Limit: 100}
	for range listPages {
		page, err := l.api.Posts(ctx, token, q)
		if err != nil {
			list.err = err
			return
		}
		for _, m := range page.Data {
			if m.Permalink != "" {
				l.known.Add(m.ID, m.Permalink)
			}
		}
		if page.After == "" {
			return
		}
		q.After = page.After
	}
}
