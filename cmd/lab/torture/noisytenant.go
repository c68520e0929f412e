package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/threads"
)

const (
	noisyTenant = "noisy-tenant"
	noisyFor    = 14 * time.Second
	// What one user asks for within a minute by the gateway's default rates: 1200 writes, all at once, and 3000 reads.
	noisyPictures    = 600
	noisyModerations = 250
	noisyDeletions   = 120
	noisyImports     = 10
	noisyValidates   = 600
	noisyListers     = 4
	// slowPicture is how long its picture host takes: less than Threads waits for a picture. slowAnswer is how long Threads
	// takes for what else is asked for the tenant.
	slowPicture = 6 * time.Second
	slowAnswer  = 2 * time.Second
)

// ownNoise are posts with pictures from a slow host, all to be prepared and published within the round. What has not gone out
// by its end is cancelled.
func ownNoise(p *plan, o Options, upTo func(time.Duration) time.Duration) {
	account := p.tenant(noisyTenant)
	n := noisyPictures
	if o.top {
		n = o.posts
	}
	for range n {
		q := &planned{n: len(p.posts), kind: kindOwn, account: account, refers: -1}
		q.sent = 300*time.Millisecond + upTo(time.Second)
		q.due = q.sent + 2*time.Second + upTo(p.until-q.sent-2*time.Second).Truncate(time.Millisecond)
		q.draft = events.Draft{Text: fmt.Sprintf("round %d post %d of seed %d, of a noisy tenant", p.number, q.n, p.seed)}
		q.picture = true
		q.moves = []move{{at: p.until, verb: verbCancel}}
		p.posts = append(p.posts, q)
	}
}

// makeNoise lets one user ask for everything at once that costs more than a row: lists, looks at media, moderations, deletions
// of posts that are none of ours, imports; all for an account for which Threads is slow.
func makeNoise(ctx context.Context, r *round, _ *rand.Rand) error {
	n := &noise{round: r, pictures: r.tenant(noisyTenant), share: 1}
	if r.env.o.top {
		n.share = 10
	}
	if err := n.prepare(ctx); err != nil {
		return err
	}
	quick := r.env.pictures.slow(slowPicture)
	from := time.Now()
	var wait sync.WaitGroup
	n.write(ctx, &wait)
	asking, stop := context.WithCancel(ctx)
	n.read(asking, &wait)
	wait.Go(func() { r.askQuietly(asking) })
	r.at(ctx, r.plan.until)
	stop()
	r.judgedBy(ordeal{from: from, until: time.Now()})
	r.env.say("round %d: the slow picture host was asked for up to %d pictures at once", r.plan.number, quick())
	wait.Wait()
	return r.env.ask(ctx, "DELETE", "knobs/"+n.pictures.name, "", nil) // the faults go when the round is cleared
}

// noise is the noisy tenant at work: one user with two accounts. One posts through us; the other was used elsewhere and has a
// history there, with replies.
type noise struct {
	*round
	pictures, elsewhere *account
	replies, pending    []string
	share               int // of the usual amount, one in so many
}

// prepare makes the second account with its history, and lets Threads be slow for both.
func (n *noise) prepare(ctx context.Context) error {
	e := n.env
	n.elsewhere = &account{name: n.pictures.name + ".elsewhere", user: n.pictures.user}
	n.connect(ctx, n.elsewhere)
	visitor := n.elsewhere.name + ".visitor"
	if err := e.ask(ctx, "POST", "people", fmt.Sprintf(`{"username":%q}`, visitor), nil); err != nil {
		return err
	}
	open, err := e.says(ctx, n.elsewhere.name, url.Values{"text": {"What do you think?"}})
	if err != nil {
		return err
	}
	guarded, err := e.says(ctx, n.elsewhere.name, url.Values{"text": {"What do you really think?"}, "enable_reply_approvals": {"true"}})
	if err != nil {
		return err
	}
	for i := range 12 {
		text := fmt.Sprintf("thought %d", i)
		reply, err := e.says(ctx, visitor, url.Values{"text": {text}, "reply_to_id": {open}})
		if err != nil {
			return err
		}
		waiting, err := e.says(ctx, visitor, url.Values{"text": {text}, "reply_to_id": {guarded}})
		if err != nil {
			return err
		}
		n.replies, n.pending = append(n.replies, reply), append(n.pending, waiting)
	}
	for i := range 40 {
		if _, err := e.says(ctx, n.elsewhere.name, url.Values{"text": {fmt.Sprintf("memory %d", i)}}); err != nil {
			return err
		}
	}
	if err := e.ask(ctx, "PATCH", "knobs/"+n.pictures.name, `{"fetch_media":true}`, nil); err != nil {
		return err
	}
	var who struct {
		UserID string `json:"user_id"`
	}
	if err := e.ask(ctx, "POST", "token", fmt.Sprintf(`{"username":%q}`, n.elsewhere.name), &who); err != nil {
		return err
	}
	for _, op := range []string{threads.OpHideReply, threads.OpApproveReply, threads.OpMedia, threads.OpPosts} {
		err := e.ask(ctx, "POST", "faults", fmt.Sprintf(`{"op":%q,"kind":"latency","user_id":%q,"times":1000000,"delay_ms":%d}`,
			op, who.UserID, slowAnswer.Milliseconds()), nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// says lets a person of the simulator post, and returns the media id.
func (e *env) says(ctx context.Context, username string, what url.Values) (id string, err error) {
	var said struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err = e.ask(ctx, "POST", "people/"+username+"/posts?"+what.Encode(), "", &said)
	return said.Data.ID, err
}

// write sends the commands, all at once.
func (n *noise) write(ctx context.Context, wait *sync.WaitGroup) {
	send := func(i int, cmd events.Command) {
		wait.Go(func() { n.sendBare(ctx, n.elsewhere.user, fmt.Sprintf("noise %d", i), cmd) })
	}
	user, account := n.elsewhere.user, n.elsewhere.id
	for i := range noisyModerations / n.share {
		if k := i / 2 % len(n.replies); i%2 == 0 {
			send(i, events.HideReply{UserID: user, AccountID: account, ID: n.replies[k], Hide: i/2/len(n.replies)%2 == 0})
		} else {
			send(i, events.ApproveReply{UserID: user, AccountID: account, ID: n.pending[k]})
		}
	}
	for i := range noisyDeletions / n.share { // of media that nobody has
		send(noisyModerations+i, events.DeletePost{UserID: user, ID: fmt.Sprintf("1799%013d", i)})
	}
	for i := range max(noisyImports/n.share, 1) {
		send(noisyModerations+noisyDeletions+i, events.ImportHistory{UserID: user, AccountID: account})
	}
}

// read asks the questions: looks at many pictures all at once, lists one after the other.
func (n *noise) read(ctx context.Context, wait *sync.WaitGroup) {
	look := events.Draft{AccountID: n.pictures.id, Text: "Is this well?"}
	for i := range 20 {
		look.Media = append(look.Media, events.Media{Type: events.Image, URL: n.env.pictures.picture(i)})
	}
	for range noisyValidates / n.share {
		wait.Go(func() {
			_, _ = bus.Ask[asks.Validation](ctx, n.env.Bus, asks.ValidatePost{UserID: n.pictures.user, Draft: look, Fetch: true})
			n.count("looks at media")
		})
	}
	for range noisyListers {
		wait.Go(func() {
			for ctx.Err() == nil {
				_, _ = bus.Ask[asks.PostList](ctx, n.env.Bus, asks.ListPosts{UserID: n.pictures.user, Search: "noisy"})
				n.count("lists")
				clock.Sleep(ctx, 100*time.Millisecond)
			}
		})
	}
}

// askQuietly lets quiet tenants look at a post of theirs, five times a second, and counts those who wait in vain.
func (r *round) askQuietly(ctx context.Context) {
	const patience = 2 * time.Second
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		for _, q := range r.posts {
			if q.kind != kindQuiet {
				continue
			}
			wait.Go(func() {
				asked, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				_, err := bus.Ask[asks.PostDetail](asked, r.env.Bus, asks.GetPost{UserID: q.account.user, ID: q.id})
				if ctx.Err() != nil {
					return
				}
				r.count("questions of others")
				if f := new(events.Fault); asFault(err, &f) && f.Code == events.Unavailable {
					r.count(fmt.Sprintf("questions of others without an answer after %s", patience))
				}
			})
			if !clock.Sleep(ctx, 200*time.Millisecond) {
				return
			}
		}
	}
}
