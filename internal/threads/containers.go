package threads

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Media types as they are written. Reads use other words (TEXT_POST, CAROUSEL_ALBUM, …), see Media.
const (
	Text     = "TEXT"
	Image    = "IMAGE"
	Video    = "VIDEO"
	Carousel = "CAROUSEL"
)

// Container is a post in the making: invisible to everyone, harmless when abandoned, dead after 24 h. Its fields are the
// parameters of its creation; Check knows which of them go together.
type Container struct {
	MediaType string
	Text      string
	ImageURL  string
	VideoURL  string
	AltText   string
	// IsCarouselItem marks a child. A child forgotten to be marked is refused by its parent.
	IsCarouselItem bool
	// Children are the ids of 2 to 20 FINISHED child containers.
	Children    []string
	ReplyToID   string
	QuotePostID string
	// ReplyControl is who may reply: everyone, accounts_you_follow, mentioned_only, parent_post_author_only,
	// followers_only.
	ReplyControl   string
	TopicTag       string
	LinkAttachment string
	// PollOptions are the two to four answers of a poll; the text is its question.
	PollOptions    []string
	GIF            *GIF
	TextAttachment *TextAttachment
	// Spoilers are the stretches of Text that are hidden until tapped.
	Spoilers []TextRange
	// SpoilerMedia hides the pictures until tapped.
	SpoilerMedia bool
	// Ghost posts vanish after 24 h.
	Ghost bool
	// ReplyApprovals makes replies wait for the author's approval.
	ReplyApprovals bool
	LocationID     string
	// Countries are the ISO 3166-1 alpha-2 codes of those who may see the post; none means everyone.
	Countries []string
	// ShareToInstagram also shows the post as a Story of the linked Instagram account, in dark colours on request.
	ShareToInstagram     bool
	ShareToInstagramDark bool
}

// GIF names a moving picture of a provider; GIPHY is the only one left.
type GIF struct {
	ID       string
	Provider string
}

// TextAttachment is a long text that comes with a post of text.
type TextAttachment struct {
	Plaintext string
	LinkURL   string
	Styles    []StyledRange
}

// TextRange is a stretch of a text. Which unit Threads counts in is not documented; this package takes code points.
type TextRange struct{ Offset, Length int }

// StyledRange gives a stretch one or more of bold, italic, highlight, underline and strikethrough.
type StyledRange struct {
	TextRange
	Styles []string
}

// CreateContainer hands a post to Threads to be prepared and returns the container's id.
//
// https://developers.facebook.com/documentation/threads/reference/publishing
func (c *Client) CreateContainer(ctx context.Context, token Token, k Container) (string, error) {
	q := call{
		op:     OpCreate,
		method: http.MethodPost,
		path:   "/v1.0/me/threads",
		form:   k.form(),
		token:  token,
		refers: k.ReplyToID != "" || k.QuotePostID != "",
	}
	return c.newID(ctx, q)
}

// form writes the parameters. Objects are JSON text within the form, lists are separated by commas.
//
// https://developers.facebook.com/documentation/threads/reference/publishing
func (k Container) form() url.Values {
	f := url.Values{"media_type": {k.MediaType}}
	for name, value := range map[string]string{
		"text":                      k.Text,
		"image_url":                 k.ImageURL,
		"video_url":                 k.VideoURL,
		"alt_text":                  k.AltText,
		"children":                  strings.Join(k.Children, ","),
		"reply_to_id":               k.ReplyToID,
		"quote_post_id":             k.QuotePostID,
		"reply_control":             k.ReplyControl,
		"topic_tag":                 k.TopicTag,
		"link_attachment":           k.LinkAttachment,
		"location_id":               k.LocationID,
		"allowlisted_country_codes": strings.Join(k.Countries, ","),
		"poll_attachment":           k.poll(),
		"gif_attachment":            k.gif(),
		"text_attachment":           k.textAttachment(),
		"text_entities":             k.entities(),
	} {
		if value != "" {
			f.Set(name, value)
		}
	}
	for name, on := range map[string]bool{
		"is_carousel_item":             k.IsCarouselItem,
		"is_spoiler_media":             k.SpoilerMedia,
		"is_ghost_post":                k.Ghost,
		"enable_reply_approvals":       k.ReplyApprovals,
		"crossreshare_to_ig":           k.ShareToInstagram,
		"crossreshare_to_ig_dark_mode": k.ShareToInstagramDark,
	} {
		if on {
			f.Set(name, "true")
		}
	}
	return f
}

// object writes a JSON object or list. Strings, numbers and lists of them always encode.
func object(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func (k Container) poll() string {
	if len(k.PollOptions) == 0 {
		return ""
	}
	options := map[string]string{}
	// One too many is for Threads to refuse. Left out here, a poll would go live that nobody wrote.
	for i, option := range k.PollOptions {
		options["option_"+string(rune('a'+i))] = option
	}
	return object(options)
}

func (k Container) gif() string {
	if k.GIF == nil {
		return ""
	}
	return object(map[string]string{"gif_id": k.GIF.ID, "provider": strings.ToUpper(k.GIF.Provider)})
}

func (k Container) textAttachment() string {
	if k.TextAttachment == nil {
		return ""
	}
	type styled struct {
		Offset int      `json:"offset"`
		Length int      `json:"length"`
		Styles []string `json:"styling_info"`
	}
	a := struct {
		Plaintext string   `json:"plaintext"`
		Link      string   `json:"link_attachment_url,omitempty"`
		Styles    []styled `json:"text_with_styling_info,omitempty"`
	}{Plaintext: k.TextAttachment.Plaintext, Link: k.TextAttachment.LinkURL}
	for _, st := range k.TextAttachment.Styles {
		a.Styles = append(a.Styles, styled{st.Offset, st.Length, st.Styles})
	}
	return object(a)
}

func (k Container) entities() string {
	if len(k.Spoilers) == 0 {
		return ""
	}
	type entity struct {
		Type   string `json:"entity_type"`
		Offset int    `json:"offset"`
		Length int    `json:"length"`
	}
	var all []entity
	for _, r := range k.Spoilers {
		all = append(all, entity{"SPOILER", r.Offset, r.Length})
	}
	return object(all)
}

// The states of a container.
const (
	StatusInProgress = "IN_PROGRESS"
	StatusFinished   = "FINISHED"
	StatusPublished  = "PUBLISHED"
	StatusError      = "ERROR"
	StatusExpired    = "EXPIRED"
)

// Status is a container's state. Status may be a word this package does not know, or empty when Threads left it out:
// both mean "not known yet". ErrorMessage is a word such as FAILED_DOWNLOADING_VIDEO or INVALID_ASPEC_RATIO (Meta's
// spelling), also an open list.
type Status struct {
	Status       string
	ErrorMessage string
}

// ContainerStatus asks how far a container is. It answers for container ids only; a post's id is refused.
//
// https://developers.facebook.com/documentation/threads/troubleshooting
func (c *Client) ContainerStatus(ctx context.Context, token Token, containerID string) (Status, error) {
	q := call{
		op:     OpStatus,
		method: http.MethodGet,
		path:   "/v1.0/" + containerID,
		query:  url.Values{"fields": {"id,status,error_message"}},
		token:  token,
	}
	if !isID(containerID) {
		return Status{}, c.badID(q, containerID)
	}
	var answer struct {
		Status       string `json:"status"`
		ErrorMessage string `json:"error_message"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return Status{}, err
	}
	return Status{Status: strings.ToUpper(answer.Status), ErrorMessage: shorten(answer.ErrorMessage, 300)}, nil
}
