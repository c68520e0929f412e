package threadssim

import (
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// digest stands for a token or code: the simulator keeps no secret it handed out, in memory or in its journal.
type digest string

func digestOf(secret string) digest {
	sum := sha256.Sum256([]byte(secret))
	return digest(hex.EncodeToString(sum[:]))
}

// newSecret makes a token or code that nobody can guess.
func newSecret(prefix string) string { return prefix + cryptorand.Text() }

// ids gives out ids as Threads' look: decimal, beyond 2^53 and odd, so that a client that passes one through a float
// gets a different one. Containers and media never share an id.
type ids struct{ users, containers, media, hooks int64 }

const (
	firstUser      = 17841405793187219
	firstContainer = 17990000000000013
	firstMedia     = 18060000000000017
)

func nextID(first int64, given *int64) string {
	id := first + 2**given
	*given++
	return strconv.FormatInt(id, 10)
}

// seen moves a counter past an id met in the journal.
func seen(first int64, given *int64, id string) {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		*given = max(*given, (n-first)/2+1)
	}
}

// user is an account at the simulated Threads.
type user struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	persona

	posts []*media // in the order of their commits, deleted ones included
	used  map[quota]*window
	asked []searched // the latest keywords, newest last
	knobs *Knobs     // those of the simulator with the account's own on top; never nil, never changed in place
	rng   *rand.Rand // draws whatever is left to chance about this account
	calls hourly
}

// code is the answer of the authorization window.
type code struct {
	Digest      digest    `json:"digest"`
	UserID      string    `json:"user_id"`
	RedirectURI string    `json:"redirect_uri"`
	Scopes      []string  `json:"scopes"`
	Issued      time.Time `json:"issued"`
	Used        bool      `json:"used,omitempty"`
}

// token is an access token; its scopes are those it was born with.
type token struct {
	Digest  digest    `json:"digest"`
	UserID  string    `json:"user_id"`
	Long    bool      `json:"long"`
	Scopes  []string  `json:"scopes"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	// Granted is when a person last agreed, or a refresh renewed the grant.
	Granted time.Time `json:"granted"`
	// Revoked is the subcode of 190 this token answers with since it was revoked.
	Revoked int `json:"revoked,omitempty"`
}

func (t *token) has(scope string) bool { return slices.Contains(t.Scopes, scope) }

// containerLife is how long a container waits to be published.
const containerLife = 24 * time.Hour

// container is a post in the making. Its state is a function of the clock.
type container struct {
	ID           string   `json:"id"`
	UserID       string   `json:"user_id"`
	MediaType    string   `json:"media_type"`
	Text         string   `json:"text,omitempty"`
	MediaURL     string   `json:"media_url,omitempty"`
	AltText      string   `json:"alt_text,omitempty"`
	CarouselItem bool     `json:"is_carousel_item,omitempty"`
	Children     []string `json:"children,omitempty"`
	ReplyTo      string   `json:"reply_to_id,omitempty"`
	Quote        string   `json:"quote_post_id,omitempty"`
	ReplyControl string   `json:"reply_control,omitempty"`
	TopicTag     string   `json:"topic_tag,omitempty"`
	Link         string   `json:"link_attachment,omitempty"`
	Ghost        bool     `json:"is_ghost_post,omitempty"`

	Poll           []string                `json:"poll,omitempty"`
	GIF            *threads.GIF            `json:"gif,omitempty"`
	TextAttachment *threads.TextAttachment `json:"text_attachment,omitempty"`
	Spoilers       []threads.TextRange     `json:"spoilers,omitempty"`
	SpoilerMedia   bool                    `json:"is_spoiler_media,omitempty"`
	Approvals      bool                    `json:"enable_reply_approvals,omitempty"`
	Location       string                  `json:"location_id,omitempty"`
	Countries      []string                `json:"allowlisted_country_codes,omitempty"`
	CrossReshare   bool                    `json:"crossreshare_to_ig,omitempty"`
	CrossDark      bool                    `json:"crossreshare_to_ig_dark_mode,omitempty"`

	// Visible is when the container has reached the half of Threads that publishes; Lost says that it never will.
	Visible time.Time `json:"visible,omitzero"`
	Lost    bool      `json:"lost,omitempty"`

	Created time.Time `json:"created"`
	Ready   time.Time `json:"ready"`
	Failure string    `json:"failure,omitempty"`

	mediaID string
	// seenPublished says that its owner has read the status PUBLISHED; publishing it after that is a client's mistake.
	seenPublished bool
}

// visible says whether a fresh container can be published at all, whatever its status says.
func (k *container) visible(now time.Time) bool { return !k.Lost && !now.Before(k.Visible) }

func (k *container) status(now time.Time) string {
	switch {
	case k.mediaID != "":
		return threads.StatusPublished
	case !now.Before(k.Created.Add(containerLife)):
		return threads.StatusExpired
	case now.Before(k.Ready):
		return threads.StatusInProgress
	case k.Failure != "":
		return threads.StatusError
	}
	return threads.StatusFinished
}

// media is a published post. What was asked of its container stays there.
type media struct {
	ID        string    `json:"id"`
	Container string    `json:"container_id"`
	Shortcode string    `json:"shortcode"`
	Arrived   time.Time `json:"arrived"`
	Committed time.Time `json:"committed"`
	// Listed and Linked are when lists show the post and when it has a permalink. Withheld media never have one.
	Listed   time.Time `json:"listed,omitzero"`
	Linked   time.Time `json:"linked,omitzero"`
	Withheld bool      `json:"withheld,omitempty"`
	// RepostOf is the post that a repost shows, and By its author: a repost has no container.
	RepostOf string `json:"repost_of,omitempty"`
	By       string `json:"by,omitempty"`
	// Seeded posts were not made by a client.
	Seeded bool `json:"seeded,omitempty"`

	of      *container
	owner   *user
	root    *media   // the post that began the conversation; itself for a top-level post
	answers []*media // the direct replies, in the order of their commits
	reposts int
	quotes  int
	deleted bool
	// approval is where a reply stands that needs its approval, hush what the author of the conversation did to it.
	approval approval
	hush     string
}

func (m *media) listed(now time.Time) bool { return !now.Before(m.Listed) }

func (m *media) linked(now time.Time) bool { return !m.Withheld && !now.Before(m.Linked) }

// readTypes maps what is written to what is read.
var readTypes = map[string]string{
	threads.Text:     "TEXT_POST",
	threads.Image:    "IMAGE",
	threads.Video:    "VIDEO",
	threads.Carousel: "CAROUSEL_ALBUM",
}

// newShortcode makes the last part of a permalink, which cannot be derived from the id.
func newShortcode() string {
	var b [6]byte
	_, _ = cryptorand.Read(b[:]) // never fails
	return "DA" + strings.TrimRight(base64.URLEncoding.EncodeToString(b[:]), "=") + "s"
}
