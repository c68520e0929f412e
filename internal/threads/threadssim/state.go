package threadssim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
func newSecret(prefix string) string { return prefix + rand.Text() }

// ids gives out ids as Threads' look: decimal, beyond 2^53 and odd, so that a client that passes one through a float
// gets a different one. Containers and media never share an id.
type ids struct{ users, containers, media int64 }

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

	posts []*media // in the order of their commits, deleted ones included
	used  map[quota]*window
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
	ID           string    `json:"id"`
	UserID       string    `json:"user_id"`
	MediaType    string    `json:"media_type"`
	Text         string    `json:"text,omitempty"`
	MediaURL     string    `json:"media_url,omitempty"`
	AltText      string    `json:"alt_text,omitempty"`
	CarouselItem bool      `json:"is_carousel_item,omitempty"`
	Children     []string  `json:"children,omitempty"`
	ReplyTo      string    `json:"reply_to_id,omitempty"`
	Quote        string    `json:"quote_post_id,omitempty"`
	ReplyControl string    `json:"reply_control,omitempty"`
	TopicTag     string    `json:"topic_tag,omitempty"`
	Link         string    `json:"link_attachment,omitempty"`
	Ghost        bool      `json:"is_ghost_post,omitempty"`
	Created      time.Time `json:"created"`
	Ready        time.Time `json:"ready"`
	Failure      string    `json:"failure,omitempty"`

	mediaID string
}

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

	of      *container
	owner   *user
	root    *media // the post that began the conversation; itself for a top-level post
	replies int
	deleted bool
}

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
	_, _ = rand.Read(b[:]) // never fails
	return "DA" + strings.TrimRight(base64.URLEncoding.EncodeToString(b[:]), "=") + "s"
}
