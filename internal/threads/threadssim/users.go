package threadssim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// persona is what other people see of an account.
type persona struct {
	Joined    time.Time `json:"joined,omitzero"`
	Name      string    `json:"name,omitempty"`
	Biography string    `json:"biography,omitempty"`
	Private   bool      `json:"private,omitempty"`
	Verified  bool      `json:"verified,omitempty"`
	// Followers is how many there are; nil makes the simulator think of a number that grows.
	Followers *int `json:"followers,omitempty"`
	// Follows are the usernames this account follows.
	Follows []string `json:"follows,omitempty"`
}

func (u *user) private() bool { return u.Private || u.knobs.ProfilePrivate }

func (u *user) follows(other *user) bool { return slices.Contains(u.Follows, other.Username) }

func (u *user) displayName() string {
	if u.Name != "" {
		return u.Name
	}
	return displayName(u.Username)
}

func (u *user) biography() string {
	if u.Biography != "" {
		return u.Biography
	}
	return "A simulated person."
}

// followers grow with the age of the account by about one in a hundred a day.
func (u *user) followers(now time.Time) int {
	if u.Followers != nil {
		return *u.Followers
	}
	start := 120 + share(u.ID, "followers", 4000)
	if u.Joined.IsZero() {
		return start // an account of an older journal
	}
	return start + int(float64(start)*max(now.Sub(u.Joined).Hours(), 0)/2400)
}

// share is a number below n that belongs to an id: always the same, and different for the next id.
func share(id, of string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id + "\x00" + of)) // never fails
	return int(h.Sum32() % uint32(n))        //nolint:gosec // n is a small constant
}

// Person is an account at the simulated Threads, as POST /_sim/people takes it. What is left out stays as it is.
type Person struct {
	Username  string    `json:"username"`
	Name      *string   `json:"name,omitempty"`
	Biography *string   `json:"biography,omitempty"`
	Private   *bool     `json:"private,omitempty"`
	Verified  *bool     `json:"verified,omitempty"`
	Followers *int      `json:"followers,omitempty"`
	Follows   *[]string `json:"follows,omitempty"`
}

// PersonInfo is an account as the simulator sees it.
type PersonInfo struct {
	ID        string   `json:"id"`
	Username  string   `json:"username"`
	Name      string   `json:"name"`
	Biography string   `json:"biography"`
	Private   bool     `json:"private"`
	Verified  bool     `json:"verified"`
	Followers int      `json:"followers"`
	Follows   []string `json:"follows"`
	Posts     int      `json:"posts"`
}

// AddPerson makes an account, or changes the one of that name.
func (s *Sim) AddPerson(p Person) (PersonInfo, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if p.Followers != nil && *p.Followers < 0 {
		return PersonInfo{}, fmt.Errorf("followers %d is below zero", *p.Followers)
	}
	var follows []string
	if p.Follows != nil {
		for _, name := range *p.Follows {
			if name = account(name); !usernameShape.MatchString(name) {
				return PersonInfo{}, fmt.Errorf("follows: %.40q is not a username", name)
			}
			follows = append(follows, name)
		}
	}
	u, err := s.store.account(p.Username)
	if err != nil {
		return PersonInfo{}, err
	}
	changed := u.persona
	set(&changed.Name, p.Name)
	set(&changed.Biography, p.Biography)
	set(&changed.Private, p.Private)
	set(&changed.Verified, p.Verified)
	if p.Followers != nil {
		changed.Followers = p.Followers
	}
	if p.Follows != nil {
		changed.Follows = follows
	}
	if err := s.store.commit(entry{User: &user{ID: u.ID, Username: u.Username, persona: changed}}); err != nil {
		return PersonInfo{}, err
	}
	return s.person(u), nil
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

// People are all accounts, in the order of their names.
func (s *Sim) People() []PersonInfo {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	all := make([]PersonInfo, 0, len(s.store.users))
	for _, u := range s.store.users {
		all = append(all, s.person(u))
	}
	slices.SortFunc(all, func(a, b PersonInfo) int { return strings.Compare(a.Username, b.Username) })
	return all
}

func (s *Sim) person(u *user) PersonInfo {
	n := 0
	for _, m := range u.posts {
		if !m.deleted {
			n++
		}
	}
	return PersonInfo{
		ID: u.ID, Username: u.Username, Name: u.displayName(), Biography: u.biography(), Private: u.private(),
		Verified: u.Verified, Followers: u.followers(s.store.now()), Follows: append([]string{}, u.Follows...), Posts: n,
	}
}

// Say lets a person post, reply, quote or mention someone. It takes the parameters of a creation, with image_urls, a list
// of addresses, for a carousel; without media_type it finds out itself. No quota counts it, and no rule of the client is
// judged by it. It returns the id of the post and whether it waits for the approval of the conversation's author.
func (s *Sim) Say(username string, params url.Values) (id string, waits bool, err error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	u := s.store.byName[account(username)]
	if u == nil {
		return "", false, fmt.Errorf("there is no person %.40q yet: make one with POST /_sim/people", username)
	}
	c := &call{api: s.api, store: s.store, params: params, at: s.store.now()}
	c.as(u)
	children, err := pictures(params)
	if err != nil {
		return "", false, err
	}
	k, err := containerFrom(params)
	if err != nil {
		return "", false, err
	}
	if a, ok := (creation{c, k}).checkRules(); !ok {
		return "", false, said(a)
	}
	if err := c.checkSaid(k); err != nil {
		return "", false, err
	}
	for _, child := range append(children, k) {
		child.ID, child.UserID, child.Created, child.Ready = nextID(firstContainer, &s.store.ids.containers), u.ID, c.at, c.at
		if child != k {
			k.Children = append(k.Children, child.ID)
			if err := s.store.commit(entry{Container: child}); err != nil {
				return "", false, err
			}
		}
	}
	m := c.mediaOf(k)
	m.Seeded, m.Arrived, m.Committed = true, c.at, c.at
	if err := s.store.commit(entry{Container: k, Media: m}); err != nil {
		return "", false, err
	}
	return m.ID, m.approval.waits(), nil
}

// pictures are the children of a carousel; it also gives the post the media type that its parameters speak of.
func pictures(params url.Values) (children []*container, err error) {
	urls := readList(params.Get("image_urls"))
	params.Del("children") // those would be containers, and a person has none
	kind := threads.Text
	switch {
	case len(urls) > 0:
		kind = threads.Carousel
	case params.Get("image_url") != "":
		kind = threads.Image
	case params.Get("video_url") != "":
		kind = threads.Video
	}
	if params.Get("media_type") == "" {
		params.Set("media_type", kind)
	}
	if strings.EqualFold(params.Get("media_type"), threads.Carousel) {
		if len(urls) < 2 || len(urls) > 20 {
			return nil, errors.New("image_urls must be 2 to 20 addresses")
		}
		params.Set("children", strings.Join(urls, ",")) // stand in for the ids until there are some
	}
	for _, link := range urls {
		if threads.CheckMediaURL(link) != nil {
			return nil, fmt.Errorf("image_urls: %.80q is not an address", link)
		}
		children = append(children, &container{MediaType: threads.Image, MediaURL: link, CarouselItem: true})
	}
	return children, nil
}

// checkSaid is what a person could not do at Threads either.
func (c *call) checkSaid(k *container) error {
	k.Children = nil
	for name, id := range map[string]string{"reply_to_id": k.ReplyTo, "quote_post_id": k.Quote} {
		if m := c.store.media[id]; id != "" && (m == nil || !c.sees(m)) {
			return fmt.Errorf("%s %.40q is not a post that @%s can see", name, id, c.user.Username)
		}
	}
	if parent := c.store.media[k.ReplyTo]; parent != nil && !c.store.mayReply(c.user, parent, k.Text) {
		return fmt.Errorf("the reply_control of the post does not let @%s reply", c.user.Username)
	}
	if k.Location != "" && placeOf(k.Location) == nil {
		return fmt.Errorf("location_id %.40q is not a place", k.Location)
	}
	return nil
}

// said turns a refusal into an error.
func said(a answer) error {
	if body, ok := a.body.(map[string]any); ok {
		if e, ok := body["error"].(graphError); ok {
			return errors.New(e.Message)
		}
	}
	return fmt.Errorf("refused with HTTP %d", a.status)
}

func (h control) people(w http.ResponseWriter, _ *http.Request) { write(w, data(h.sim.People())) }

func (h control) addPerson(w http.ResponseWriter, r *http.Request) {
	var p Person
	if !decode(w, r, &p) {
		return
	}
	info, err := h.sim.AddPerson(p)
	done(w, err, func() any { return info })
}

func (h control) say(w http.ResponseWriter, r *http.Request) {
	params, err := readParams(w, r)
	if err != nil {
		write(w, complaint(err))
		return
	}
	id, waits, err := h.sim.Say(r.PathValue("username"), params)
	done(w, err, func() any { return map[string]any{"id": id, "pending": waits} })
}
