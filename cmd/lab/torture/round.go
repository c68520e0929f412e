package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// settleFor is how long posts may take to come to an end once the faults are over. It is more than AckWait (30 s), after
// which the messages of a killed process come again.
const settleFor = 4 * time.Minute

// round is one round at work.
type round struct {
	env      *env
	plan     *plan
	began    time.Time
	posts    []*handed
	byN      map[int]*handed
	accounts []*account

	mu     sync.Mutex
	counts map[string]int
	hurry  int
	held   string // what was waited for last
	steps  []clockStep
	ahead  time.Duration // the most that a publisher's clock was ahead
	sent   []*sent
	bare   []string // commands without a post of the plan
	ordeal *ordeal
}

// handed is a post that was handed in, with what its owner did to it.
type handed struct {
	*planned
	id      string
	account *account
	firstAt time.Time // of a chain that was tried again: when its first parts were due
	retried bool
}

// account is one person with one account.
type account struct {
	name, user, id string

	mu sync.Mutex // it is connected or disconnected by one at a time
}

// sent is one command as it was sent, and how the bus took it.
type sent struct {
	id   string
	post *handed
	verb string
	text string
	err  error
}

// clockStep says by how much the simulator's clock was ahead from a moment on.
type clockStep struct {
	from  time.Time
	ahead time.Duration
}

func (r *round) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

// killed counts the death of a publisher, at a named step or anywhere.
func (r *round) killed(point string) {
	r.count("kills")
	if point != "" {
		r.count("deaths planned at named steps")
	}
}

// round plays one round and judges it.
func (e *env) round(ctx context.Context, p *plan, report *Report) error {
	r := &round{env: e, plan: p, counts: map[string]int{}, byN: map[int]*handed{}}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.play(ctx); err != nil {
		return err
	}
	if err := r.clear(ctx); err != nil {
		return err
	}
	v := &verdict{round: r}
	if err := r.settle(ctx); err != nil {
		v.unsettled = err
	}
	if v.unsettled == nil {
		if err := r.retry(ctx); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			v.unsettled = err
		}
	}
	if err := v.verify(ctx); err != nil {
		return err
	}
	v.others(ctx, e.o.othersWithin)
	v.took = time.Since(r.began)
	report.add(r, v)
	e.say("%s", r.line(v))
	for _, q := range r.posts {
		e.old = append(e.old, q.id)
	}
	return nil
}

// prepare sees that everything is up and gives the round accounts of its own: a day's quota is 250 posts.
func (r *round) prepare(ctx context.Context) error {
	if err := r.env.setWorkers(ctx, r.plan.publishers); err != nil {
		return err
	}
	for i := range r.plan.accounts {
		a := &account{name: fmt.Sprintf("t%d.r%d.a%d", r.plan.seed, r.plan.number, i)}
		a.user = "user_" + a.name
		if err := r.grant(ctx, a); err != nil {
			return err
		}
		r.accounts = append(r.accounts, a)
	}
	for _, q := range r.plan.posts {
		one := &handed{planned: q, account: r.accounts[q.account]}
		one.id = events.PostIDFor(one.account.user, fmt.Sprintf("%d/%d/%d", r.plan.seed, r.plan.number, q.n))
		r.posts = append(r.posts, one)
		r.byN[q.n] = one
	}
	if err := r.env.ask(ctx, "POST", "seed", fmt.Sprintf(`{"seed":%d}`, r.plan.seed+uint64(r.plan.number)), nil); err != nil { //nolint:gosec // small
		return err
	}
	if r.plan.number%2 == 1 { // nobody knows which of the two Threads does; this one shows every call too many
		return r.env.ask(ctx, "PATCH", "knobs", `{"double_publish":"second_post"}`, nil)
	}
	return nil
}

// grant connects an account, for the first time or again, as auth does at the end of OAuth.
func (r *round) grant(ctx context.Context, a *account) error {
	var g struct {
		AccessToken string   `json:"access_token"`
		Scopes      []string `json:"scopes"`
		ExpiresIn   int64    `json:"expires_in"`
		UserID      string   `json:"user_id"`
	}
	if err := r.env.ask(ctx, "POST", "token", `{"username":"`+a.name+`"}`, &g); err != nil {
		return err
	}
	err := pg.InTx(ctx, r.env.DB, func(ctx context.Context, tx bun.Tx) error {
		row, err := accounts.Connect(ctx, tx, r.env.Vault, accounts.Grant{
			UserID: a.user, ProviderUserID: g.UserID, Username: a.name, Scopes: g.Scopes, Token: threads.Token(g.AccessToken),
			ExpiresAt: time.Now().Add(time.Duration(g.ExpiresIn) * time.Second),
		}, time.Now())
		if err == nil && a.id == "" { // it keeps its id for ever, and others read it
			a.id = row.ID
		}
		return err
	})
	if err != nil {
		return err
	}
	return accounts.EmitChange(ctx, r.env.DB, r.env.Bus.Emit, a.id)
}

// connect connects an account again, for as long as it takes: NATS or Postgres may be away.
func (r *round) connect(ctx context.Context, a *account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for r.grant(ctx, a) != nil && clock.Sleep(ctx, 200*time.Millisecond) {
	}
}

func (r *round) disconnect(ctx context.Context, a *account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ctx.Err() == nil {
		_, _, err := accounts.Disconnect(ctx, r.env.DB, a.id, time.Now())
		if err == nil {
			err = accounts.EmitChange(ctx, r.env.DB, r.env.Bus.Emit, a.id)
		}
		if err == nil || !clock.Sleep(ctx, 200*time.Millisecond) {
			return
		}
	}
}

// step moves the simulator's clock, so far ahead of true time.
func (r *round) step(ctx context.Context, ahead time.Duration) error {
	r.mu.Lock()
	by := ahead
	if n := len(r.steps); n > 0 {
		by -= r.steps[n-1].ahead
	}
	r.steps = append(r.steps, clockStep{time.Now(), ahead})
	r.mu.Unlock()
	return r.env.ask(ctx, "POST", "clock", fmt.Sprintf(`{"advance":%q}`, by), nil)
}

// play hands the posts in and lets the faults happen.
func (r *round) play(ctx context.Context) error {
	for _, t := range r.plan.faults {
		if t.patch != nil {
			if err := r.env.ask(ctx, "PATCH", "knobs", t.patch(r.plan.rngOf(t), time.Now()), nil); err != nil {
				return err
			}
		}
	}
	r.began = time.Now()
	var wait sync.WaitGroup
	errs := make(chan error, len(r.plan.faults))
	for _, t := range r.plan.faults {
		if t.act != nil {
			wait.Go(func() {
				if err := t.act(ctx, r, r.plan.rngOf(t)); err != nil {
					errs <- fmt.Errorf("%s: %w", t.name, err)
				}
			})
		}
	}
	for _, q := range r.posts {
		wait.Go(func() { r.handIn(ctx, q) })
		for _, m := range q.moves {
			wait.Go(func() { r.move(ctx, q, m) })
		}
	}
	wait.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (r *round) at(ctx context.Context, t time.Duration) bool {
	return clock.Sleep(ctx, time.Until(r.began.Add(t)))
}

// refersWithin is how long a post waits for the one that it refers to, which may fail and be tried again: less than a round
// waits for everything to settle.
const refersWithin = 3 * time.Minute

func (r *round) handIn(ctx context.Context, q *handed) {
	if !r.at(ctx, q.sent) {
		return
	}
	d := q.draft
	d.AccountID = q.account.id
	if other := r.byN[q.refers]; other != nil {
		d.PublishWithin = int(refersWithin / time.Second)
		switch q.kind {
		case kindReply:
			d.ReplyTo = other.id
		case kindQuote:
			d.QuotePostID = other.id
		case kindRepost:
			d.RepostOf = other.id
		}
	}
	if q.picture {
		d.Media = []events.Media{{Type: events.Image, URL: r.env.pictures.picture(q.n)}}
	}
	due := r.began.Add(q.due).UTC().Truncate(time.Microsecond)
	if q.kind == kindNow {
		r.send(ctx, q, kindNow, "", events.PublishPost{PostID: q.id, UserID: q.account.user, Draft: d, PublishAt: due})
		return
	}
	r.send(ctx, q, "schedule", "", events.SchedulePost{PostID: q.id, UserID: q.account.user, Draft: d, PublishAt: due})
}

func (r *round) move(ctx context.Context, q *handed, m move) {
	if !r.at(ctx, m.at) {
		return
	}
	switch m.verb {
	case verbEdit:
		cmd := events.EditPost{PostID: q.id, UserID: q.account.user}
		if m.text != "" {
			cmd.Text = &m.text
		}
		if m.due > 0 {
			due := r.began.Add(m.due).UTC().Truncate(time.Microsecond)
			cmd.PublishAt = &due
		}
		r.send(ctx, q, verbEdit, m.text, cmd)
	case verbCancel:
		r.send(ctx, q, verbCancel, "", events.CancelPost{PostID: q.id, UserID: q.account.user})
	case verbDelete:
		r.send(ctx, q, verbDelete, "", events.DeletePost{ID: q.id, UserID: q.account.user})
	}
}

// send stores a command as the gateway does; its outcome is read from the record of commands afterwards. A doubled one is
// stored once more under another message id, as when JetStream's memory of ids has run out.
func (r *round) send(ctx context.Context, q *handed, verb, text string, cmd events.Command) {
	s := &sent{id: events.CommandIDFor(q.account.user, q.id, verb+text), post: q, verb: verb, text: text}
	s.err = r.env.Bus.Send(ctx, cmd, bus.CommandOptions{ID: s.id})
	r.mu.Lock()
	r.sent = append(r.sent, s)
	r.mu.Unlock()
	if !q.doubled || s.err != nil {
		return
	}
	body, err := json.Marshal(cmd)
	if err != nil {
		return
	}
	m := &nats.Msg{Subject: cmd.Subject(), Data: body, Header: nats.Header{
		events.HeaderID: {s.id}, events.HeaderType: {cmd.Type()}, events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)},
	}}
	if _, err := r.env.Bus.JetStream().PublishMsg(ctx, m); err == nil {
		r.count("commands doubled")
	}
}

// sendBare stores a command that is about no post of the plan. It must have an answer in the end, whatever that is.
func (r *round) sendBare(ctx context.Context, user, key string, cmd events.Command) {
	id := events.CommandIDFor(user, fmt.Sprintf("%d/%d/%s", r.plan.seed, r.plan.number, key), "")
	if r.env.Bus.Send(ctx, cmd, bus.CommandOptions{ID: id}) != nil {
		return
	}
	r.count(cmd.Type())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bare = append(r.bare, id)
}

// clear ends the faults: what Threads has promised stays promised, all else is well again.
func (r *round) clear(ctx context.Context) error {
	if err := r.env.ask(ctx, "DELETE", "knobs", "", nil); err != nil {
		return err
	}
	if err := r.env.ask(ctx, "DELETE", "faults", "", nil); err != nil {
		return err
	}
	if err := r.env.allReady(ctx); err != nil {
		return err
	}
	if !r.has("revoked") && !r.has("disconnected") {
		return nil
	}
	for _, a := range r.accounts {
		row, err := accounts.Get(ctx, r.env.DB, a.id)
		if err != nil {
			return err
		}
		if r.has("revoked") || !row.Usable(time.Now()) {
			r.connect(ctx, a)
		}
	}
	return nil
}

func (r *round) has(name string) bool { return r.plan.has(name) }

func (r *round) ids() []string {
	ids := make([]string, len(r.posts))
	for i, q := range r.posts {
		ids[i] = q.id
	}
	return ids
}

func (r *round) rows(ctx context.Context) (map[string]*posts.Post, error) {
	var rows []*posts.Post
	if err := r.env.DB.NewSelect().Model(&rows).Where("id IN (?)", bun.List(r.ids())).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the posts: %w", err)
	}
	m := make(map[string]*posts.Post, len(rows))
	for _, p := range rows {
		m[p.ID] = p
	}
	return m, nil
}

// outcomes reads what became of the commands of the round.
func (r *round) outcomes(ctx context.Context) (map[string]*events.Outcome, error) {
	ids := slices.Clone(r.bare)
	for _, s := range r.sent {
		ids = append(ids, s.id)
	}
	var rows []struct {
		ID      string          `bun:"id"`
		Outcome json.RawMessage `bun:"outcome"`
	}
	err := r.env.DB.NewSelect().Table("commands").Column("id", "outcome").Where("id IN (?)", bun.List(ids)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read the commands: %w", err)
	}
	m := map[string]*events.Outcome{}
	for _, row := range rows {
		if len(row.Outcome) == 0 || string(row.Outcome) == "null" {
			m[row.ID] = nil
			continue
		}
		o := new(events.Outcome)
		if err := json.Unmarshal(row.Outcome, o); err != nil {
			return nil, fmt.Errorf("read the outcome of %s: %w", row.ID, err)
		}
		m[row.ID] = o
	}
	return m, nil
}

// settle waits until every command is answered, and every post that was accepted has come to its end and is emitted.
func (r *round) settle(ctx context.Context) error {
	lastPassed := time.Now()
	began := time.Now()
	return rig.Within(ctx, settleFor, "everything to settle", func(ctx context.Context) error {
		if time.Since(lastPassed) > time.Second {
			lastPassed = time.Now()
			if err := r.passTime(ctx); err != nil {
				return err
			}
		}
		rows, err := r.rows(ctx)
		if err != nil {
			return err
		}
		err = r.settled(ctx, rows)
		if err != nil && time.Since(began) > 10*time.Second {
			r.held = err.Error()
		}
		return err
	})
}

// settled says what has not come to its end.
func (r *round) settled(ctx context.Context, rows map[string]*posts.Post) error {
	for _, p := range rows {
		switch {
		case p.State == events.StateParked:
		case p.State != events.StatePublished && p.State != events.StateFailed && p.State != events.StateCancelled:
			return fmt.Errorf("post %s is %s", p.ID, p.State)
		case !p.DeleteRequestedAt.IsZero() && p.DeletedAt.IsZero():
			return fmt.Errorf("post %s is being deleted", p.ID)
		}
		if p.EmittedRev < p.Rev {
			return fmt.Errorf("post %s is at rev %d and told up to %d", p.ID, p.Rev, p.EmittedRev)
		}
	}
	outcomes, err := r.outcomes(ctx)
	if err != nil {
		return err
	}
	for _, s := range r.sent {
		o, stored := outcomes[s.id]
		switch p := rows[s.post.id]; {
		case o != nil, s.err != nil && !stored:
		case stored && p != nil && p.State == events.StateParked: // its answer comes with the end of the post
		default:
			return fmt.Errorf("the command %s of post %s has no answer", s.verb, s.post.id)
		}
	}
	for _, id := range r.bare {
		if outcomes[id] == nil {
			return fmt.Errorf("the command %s has no answer", id)
		}
	}
	return nil
}

// passTime lets time pass for posts that wait long for something that is well again: a throttle, a full quota, a container
// that never ends. Their rows are moved as the hours would move them; nothing else can wake them, so this hides no lost
// wake-up of the others.
func (r *round) passTime(ctx context.Context) error {
	res, err := r.env.DB.NewUpdate().Table("posts").Set("wake_at = now(), armed_at = NULL").
		Where("id IN (?)", bun.List(r.ids())).Where("wake_at > now() + interval '10 seconds'").Where("lease IS NULL").Exec(ctx)
	if err != nil {
		return fmt.Errorf("let time pass: %w", err)
	}
	if n, err := res.RowsAffected(); err == nil && n > 0 {
		r.mu.Lock()
		r.hurry += int(n)
		r.mu.Unlock()
	}
	if !r.has("endless-processing") {
		return nil
	}
	_, err = r.env.DB.NewUpdate().Table("posts").Set("container_at = container_at - interval '11 minutes', wake_at = now(), armed_at = NULL").
		Where("id IN (?)", bun.List(r.ids())).Where("state = 'scheduled' AND lease IS NULL").
		Where("container_at BETWEEN now() - interval '10 minutes' AND now() - interval '5 seconds'").Exec(ctx)
	if err != nil {
		return fmt.Errorf("let time pass: %w", err)
	}
	return nil
}

// retry lets the owners of half of the failed posts have them tried again.
func (r *round) retry(ctx context.Context) error {
	rows, err := r.rows(ctx)
	if err != nil {
		return err
	}
	for _, q := range r.posts {
		p := rows[q.id]
		if p == nil || p.State != events.StateFailed || q.n%2 == 0 || q.refers >= 0 {
			continue
		}
		q.retried, q.firstAt = true, p.PublishAt
		r.count("retries")
		r.send(ctx, q, "retry", "", events.RetryPost{PostID: q.id, UserID: q.account.user, PublishAt: time.Now().UTC()})
	}
	return nil
}

func (r *round) tally() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}
