package threadssim

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/threads"
)

// The fields of webhooks with their topics.
const (
	hookReplies  = "replies"
	hookDelete   = "delete"
	hookMentions = "mentions"
	hookPublish  = "publish"
)

var hookTopics = map[string]string{
	hookReplies: "moderate", hookDelete: "moderate", hookMentions: "interaction", hookPublish: "interaction",
}

// hook is the app's subscription to some fields.
type hook struct {
	ID      string    `json:"id"`
	URL     string    `json:"callback_url"`
	Fields  []string  `json:"fields"`
	Created time.Time `json:"created"`
	Removed bool      `json:"removed,omitempty"`
	// Host begins permalinks: the one the subscription came to.
	Host string `json:"host"`
}

const firstHook = 23456700000000011

func (s *store) replayHook(h *hook) {
	s.hooks = slices.DeleteFunc(s.hooks, func(old *hook) bool { return old.ID == h.ID })
	if !h.Removed {
		s.hooks = append(s.hooks, h)
	}
	seen(firstHook, &s.ids.hooks, h.ID)
}

// Hook is a subscription to webhooks.
type Hook struct {
	ID          string   `json:"id"`
	CallbackURL string   `json:"callback_url"`
	Fields      []string `json:"fields"`
}

// webhooks tells the app's subscriptions what happens. The subscriptions are part of the store, under its lock.
type webhooks struct {
	store  *store
	app    app
	links  addresses
	sender *webhookSender
	hosts  callbackHosts
}

// Hooks are the subscriptions, oldest first.
func (s *Sim) Hooks() []Hook { return s.webhooks.list() }

func (s *webhooks) list() []Hook {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	all := make([]Hook, 0, len(s.store.hooks))
	for _, h := range s.store.hooks {
		all = append(all, Hook{h.ID, h.URL, slices.Clone(h.Fields)})
	}
	return all
}

func (h control) hooks(w http.ResponseWriter, _ *http.Request) { write(w, data(h.sim.Hooks())) }
func (h control) deliveries(w http.ResponseWriter, _ *http.Request) {
	write(w, data(h.sim.Deliveries()))
}

// subscribe does what the app's dashboard does: it asks the address whether it is the app's, and subscribes only
// when the challenge comes back.
func (h control) subscribe(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		CallbackURL string   `json:"callback_url"`
		VerifyToken string   `json:"verify_token"`
		Fields      []string `json:"fields"`
	}
	if !decode(w, r, &ask) {
		return
	}
	made, err := h.sim.webhooks.subscribe(r.Context(), hook{URL: ask.CallbackURL, Fields: ask.Fields, Host: origin(r)}, ask.VerifyToken)
	done(w, err, func() any { return made })
}

// SubscribeApp subscribes an address to every webhook, as somebody at the app's dashboard would. It asks until the address
// answers, for the app may not be up yet, and tells waiting of each try in vain. A subscription that is there survived a
// restart. host begins the addresses in what is told, unless the options have a PublicURL.
func (s *Sim) SubscribeApp(ctx context.Context, host, callbackURL, verifyToken string, waiting func(error)) {
	const pause = 500 * time.Millisecond
	for ctx.Err() == nil && !slices.ContainsFunc(s.Hooks(), func(k Hook) bool { return k.CallbackURL == callbackURL }) {
		all := slices.Sorted(maps.Keys(hookTopics))
		if _, err := s.webhooks.subscribe(ctx, hook{URL: callbackURL, Fields: all, Host: host}, verifyToken); err != nil && ctx.Err() == nil {
			waiting(err)
			clock.Sleep(ctx, pause)
		}
	}
}

func (s *webhooks) subscribe(ctx context.Context, asked hook, verifyToken string) (Hook, error) {
	err := s.hosts.vet(asked.URL)
	for _, field := range asked.Fields {
		if hookTopics[field] == "" {
			err = errors.Join(err, fmt.Errorf("%.40q is none of replies, delete, mentions, publish", field))
		}
	}
	switch {
	case len(asked.Fields) == 0:
		err = errors.Join(err, errors.New("fields is empty"))
	case verifyToken == "":
		err = errors.Join(err, errors.New("verify_token is empty"))
	}
	if err == nil {
		err = s.verify(ctx, asked.URL, verifyToken)
	}
	if err != nil {
		return Hook{}, err
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	asked.ID, asked.Created = nextID(firstHook, &s.store.ids.hooks), s.store.now()
	return Hook{asked.ID, asked.URL, asked.Fields}, s.store.commit(entry{Hook: &asked})
}

// verify asks the address for the challenge, as Meta does when a subscription is made.
func (s *webhooks) verify(ctx context.Context, address, token string) error {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		return err
	}
	challenge := strconv.FormatInt(1_000_000_000+n.Int64(), 10)
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	q := u.Query()
	q.Set("hub.mode", "subscribe")
	q.Set("hub.challenge", challenge)
	q.Set("hub.verify_token", token)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	status, body, err := say(req)
	switch {
	case err != nil:
		return fmt.Errorf("the callback did not answer: %w", err)
	case status != http.StatusOK:
		return fmt.Errorf("the callback answered HTTP %d to the challenge, want 200", status)
	case subtle.ConstantTimeCompare(body, []byte(challenge)) != 1:
		return errors.New("the callback did not give back the challenge")
	}
	return nil
}

// unsubscribe ends a subscription.
func (h control) unsubscribe(w http.ResponseWriter, r *http.Request) {
	done(w, h.sim.webhooks.unsubscribe(r.PathValue("id")), func() any { return h.sim.Hooks() })
}

func (s *webhooks) unsubscribe(id string) error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	i := slices.IndexFunc(s.store.hooks, func(h *hook) bool { return h.ID == id })
	if i < 0 {
		return fmt.Errorf("there is no subscription %.40q", id)
	}
	gone := *s.store.hooks[i]
	gone.Removed = true
	return s.store.commit(entry{Hook: &gone})
}

// announce tells the subscribers what just happened. What is replayed from a journal was told already. The caller holds
// the lock.
func (s *webhooks) announce(e entry) {
	if len(s.store.hooks) == 0 {
		return
	}
	switch {
	case e.Media != nil:
		m := s.store.media[e.Media.ID]
		if s.store.authorized(m.owner) {
			s.tell(hookPublish, m.owner, m, m.ID, s.publishValue)
		}
		if !m.approval.waits() {
			s.tellOthers(m)
		}
	case e.Moderate != nil && e.Moderate.Approval == approvalApproved:
		s.tellOthers(s.store.media[e.Moderate.MediaID])
	case e.Delete != nil:
		m := s.store.media[e.Delete.MediaID]
		if s.store.authorized(m.owner, threads.ScopeDelete) {
			s.tell(hookDelete, m.owner, m, m.ID, func(string, *media) map[string]any {
				return map[string]any{
					"id": m.ID, "owner": map[string]any{"owner_id": m.owner.ID}, "deleted_at": stamp(e.Delete.At),
					"timestamp": stamp(m.Committed), "username": m.owner.Username,
				}
			})
		}
	}
}

// tellOthers tells about a reply and about mentions. Private people's doings are nobody's business.
func (s *webhooks) tellOthers(m *media) {
	if m.owner.private() {
		return
	}
	if parent := s.store.media[m.of.ReplyTo]; parent != nil {
		for _, to := range []*user{parent.owner, m.root.owner} {
			if to != m.owner && !to.private() && s.store.authorized(to, threads.ScopeReadReplies) {
				s.tell(hookReplies, to, m, m.ID, s.replyValue)
				break
			}
		}
	}
	for _, name := range mentionsIn(m.of.Text) {
		if to := s.store.byName[name]; to != nil && to != m.owner && !to.private() && s.store.authorized(to, threads.ScopeManageMentions) {
			s.tell(hookMentions, to, m, to.ID, s.mentionValue)
		}
	}
}

// authorized says whether a person lets the app see the events of these scopes.
func (s *store) authorized(u *user, scopes ...string) bool {
	now := s.now()
	if u.knobs.Uninstall || u.knobs.Ungranted {
		return false
	}
	for _, t := range s.tokens {
		if t.UserID == u.ID && t.Revoked == 0 && now.Before(t.Expires) && now.Before(t.grantEnds(u.knobs)) &&
			t.has(threads.ScopeBasic) && !slices.ContainsFunc(scopes, func(scope string) bool { return !t.has(scope) }) {
			return true
		}
	}
	return false
}

// late is how long a delivery that changes its place is held back: long enough for the next ones to pass.
const late = 3 * time.Second

// tell puts an event on its way to everyone who subscribed to its field, with the luck of the account it is about.
func (s *webhooks) tell(field string, about *user, m *media, target string, value func(host string, m *media) map[string]any) {
	now, k := s.store.now(), about.knobs
	for _, h := range s.store.hooks {
		if !slices.Contains(h.Fields, field) {
			continue
		}
		change := map[string]any{"field": field, "value": value(h.Host, m)}
		var values any = change
		if k.WebhookValuesArray {
			values = []any{change}
		}
		d := Delivery{SubscriptionID: h.ID, URL: h.URL, Field: field, Due: now.Add(k.WebhookDelay.draw(about.rng))}
		d.Body = phpJSON(map[string]any{
			"app_id": s.app.id, "topic": hookTopics[field], "target_id": target, "time": now.Unix(),
			"subscription_id": h.ID, "has_uid_field": false, "values": values,
		})
		if chance(about.rng, k.WebhookDrop) {
			d.Outcome = DeliveryLost
		}
		if chance(about.rng, k.WebhookReorder) {
			d.Due = d.Due.Add(late)
		}
		list := []*Delivery{&d}
		if chance(about.rng, k.WebhookDup) {
			same := d
			list = append(list, &same)
		}
		s.sender.send(list...)
	}
}

// publishValue has no text and no container's id, as at Threads.
func (s *webhooks) publishValue(host string, m *media) map[string]any {
	v := map[string]any{
		"id": m.ID, "media_type": readType(m.of.MediaType), "timestamp": stamp(m.Committed), "username": m.owner.Username,
	}
	if !m.Withheld {
		v["permalink"] = s.links.permalink(host, m)
	}
	return v
}

func (s *webhooks) replyValue(host string, m *media) map[string]any {
	v := s.publishValue(host, m)
	v["text"], v["shortcode"] = m.of.Text, m.Shortcode
	v["replied_to"] = map[string]any{"id": m.of.ReplyTo}
	v["root_post"] = map[string]any{"id": m.root.ID, "owner_id": m.root.owner.ID, "username": m.root.owner.Username}
	v["is_verified"], v["profile_picture_url"] = m.owner.Verified, s.links.picture(host, m.owner.Username)
	return v
}

func (s *webhooks) mentionValue(host string, m *media) map[string]any {
	v := s.publishValue(host, m)
	if m.of.ReplyTo != "" {
		v = s.replyValue(host, m)
	}
	v["text"], v["shortcode"], v["media_product_type"] = m.of.Text, m.Shortcode, "THREADS"
	v["has_replies"], v["is_quote_post"], v["is_reply"] = len(m.answers) > 0, m.of.Quote != "", m.of.ReplyTo != ""
	v["is_verified"], v["profile_picture_url"] = m.owner.Verified, s.links.picture(host, m.owner.Username)
	if m.of.AltText != "" {
		v["alt_text"] = m.of.AltText
	}
	return v
}

// phpJSON writes JSON as Meta does: with \/ for a slash and \uXXXX for what is not ASCII. Who decodes a body and encodes
// it again for the signature gets other bytes.
func phpJSON(v any) string {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings, numbers and maps of them always encode
	var b strings.Builder
	for _, r := range strings.TrimSpace(plain.String()) {
		switch {
		case r == '/':
			b.WriteString(`\/`)
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
	}
	return b.String()
}
