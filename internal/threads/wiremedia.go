package threads

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// wireMedia is a post on the wire. Fields whose value is null are left out by Threads.
//
// What tells one post from another is read strictly: a list that cannot be understood must not pass for a list without
// the post looked for. The rest is decoration, and what cannot be read of it is left out.
type wireMedia struct {
	ID        id        `json:"id"`
	Permalink string    `json:"permalink"`
	Shortcode string    `json:"shortcode"`
	Text      string    `json:"text"`
	MediaType string    `json:"media_type"`
	Timestamp timestamp `json:"timestamp"`
	Children  refs      `json:"children"`
	IsReply   bool      `json:"is_reply"`
	Replied   ref       `json:"replied_to"`
	IsQuote   bool      `json:"is_quote_post"`
	Quoted    ref       `json:"quoted_post"`
	Reposted  ref       `json:"reposted_post"`

	Owner        decoration[ref]        `json:"owner"`
	Username     decoration[string]     `json:"username"`
	MediaURL     decoration[string]     `json:"media_url"`
	ThumbnailURL decoration[string]     `json:"thumbnail_url"`
	AltText      decoration[string]     `json:"alt_text"`
	LinkURL      decoration[string]     `json:"link_attachment_url"`
	GIFURL       decoration[string]     `json:"gif_url"`
	TopicTag     decoration[string]     `json:"topic_tag"`
	Poll         decoration[*wirePoll]  `json:"poll_attachment"`
	HasReplies   decoration[bool]       `json:"has_replies"`
	Root         decoration[ref]        `json:"root_post"`
	Mine         decoration[bool]       `json:"is_reply_owned_by_me"`
	HideStatus   decoration[string]     `json:"hide_status"`
	Audience     decoration[string]     `json:"reply_audience"`
	Approval     decoration[string]     `json:"reply_approval_status"`
	SpoilerMedia decoration[bool]       `json:"is_spoiler_media"`
	Entities     decoration[entities]   `json:"text_entities"`
	Attachment   decoration[*wireText]  `json:"text_attachment"`
	GhostStatus  decoration[string]     `json:"ghost_post_status"`
	GhostExpires decoration[timestamp]  `json:"ghost_post_expiration_timestamp"`
	LocationID   decoration[id]         `json:"location_id"`
	Location     decoration[*wirePlace] `json:"location"`
	Countries    decoration[[]string]   `json:"allowlisted_country_codes"`
	Verified     decoration[bool]       `json:"is_verified"`
	Picture      decoration[string]     `json:"profile_picture_url"`
}

// decoration is a value that an answer may do without: one of another shape than known is left zero and does not spoil
// the rest.
type decoration[T any] struct{ is T }

func (d *decoration[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		d.is = v
	}
	return nil
}

// wirePaging says how a list goes on.
type wirePaging struct {
	Cursors struct {
		After  string `json:"after"`
		Before string `json:"before"`
	} `json:"cursors"`
	Next string `json:"next"`
}

// after is the cursor of what follows a page of n. Cursors come even with the last page, and "next" not with every page
// that has a successor: only an empty page without it proves the end. One call more, and no post is overlooked. Of the
// address in "next" nothing but the cursor is taken; it may hold the token.
//
// https://developers.facebook.com/docs/graph-api/results
func (p wirePaging) after(n int) (string, error) {
	if n == 0 && p.Next == "" {
		return "", nil
	}
	if p.Cursors.After != "" || p.Next == "" {
		return p.Cursors.After, nil
	}
	next, err := url.Parse(p.Next)
	if err != nil || next.Query().Get("after") == "" {
		return "", errors.New("a list that goes on without saying where")
	}
	return next.Query().Get("after"), nil
}

type ref struct {
	ID id `json:"id"`
}

type refs struct {
	Data []ref `json:"data"`
}

// wirePoll has its options in fields of their own, and the shares beside them.
type wirePoll struct {
	A, B, C, D         string
	PercentA, PercentB number
	PercentC, PercentD number
	Votes              number
	Expires            timestamp
}

func (p *wirePoll) UnmarshalJSON(b []byte) error {
	var w struct {
		A  string `json:"option_a"`
		B  string `json:"option_b"`
		C  string `json:"option_c"`
		D  string `json:"option_d"`
		PA number `json:"option_a_votes_percentage"`
		PB number `json:"option_b_votes_percentage"`
		PC number `json:"option_c_votes_percentage"`
		PD number `json:"option_d_votes_percentage"`
		N  number `json:"total_votes"`

		At decoration[timestamp] `json:"expiration_timestamp"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*p = wirePoll{w.A, w.B, w.C, w.D, w.PA, w.PB, w.PC, w.PD, w.N, w.At.is}
	return nil
}

func (p *wirePoll) result() *PollResult {
	if p == nil {
		return nil
	}
	r := &PollResult{TotalVotes: int(p.Votes), ExpiresAt: time.Time(p.Expires)}
	for _, o := range []PollOption{
		{p.A, float64(p.PercentA)}, {p.B, float64(p.PercentB)}, {p.C, float64(p.PercentC)}, {p.D, float64(p.PercentD)},
	} {
		if o.Text != "" {
			r.Options = append(r.Options, o)
		}
	}
	return r
}

// entities come wrapped in data, and are written without the wrapping; both are read.
type entities []wireRange

type wireRange struct {
	Type   string `json:"entity_type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
}

func (e *entities) UnmarshalJSON(b []byte) error {
	var wrapped struct {
		Data []wireRange `json:"data"`
	}
	if err := json.Unmarshal(b, &wrapped); err == nil {
		*e = wrapped.Data
		return nil
	}
	var bare []wireRange
	if err := json.Unmarshal(b, &bare); err != nil {
		return err
	}
	*e = bare
	return nil
}

func (e entities) spoilers() (found []TextRange) {
	for _, r := range e {
		if strings.EqualFold(r.Type, "SPOILER") {
			found = append(found, TextRange{r.Offset, r.Length})
		}
	}
	return found
}

type wireText struct {
	Plaintext string                  `json:"plaintext"`
	Link      decoration[string]      `json:"link_attachment_url"`
	Styles    decoration[[]wireStyle] `json:"text_with_styling_info"`
}

type wireStyle struct {
	Offset int      `json:"offset"`
	Length int      `json:"length"`
	Styles []string `json:"styling_info"`
}

func (t *wireText) attachment() *TextAttachment {
	if t == nil {
		return nil
	}
	a := &TextAttachment{Plaintext: t.Plaintext, LinkURL: t.Link.is}
	for _, s := range t.Styles.is {
		a.Styles = append(a.Styles, StyledRange{TextRange{s.Offset, s.Length}, s.Styles})
	}
	return a
}

// number decodes a figure that may come quoted, or be no figure at all; then it is 0.
type number float64

func (v *number) UnmarshalJSON(b []byte) error {
	if f, ok := parseNumber(b); ok {
		*v = number(f)
	}
	return nil
}

// parseNumber reads a number, quoted or not. Its bounds keep it within an int, and keep infinity and what is no number out.
func parseNumber(b []byte) (float64, bool) {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	return f, err == nil && f < 1e18 && f > -1e18
}

func (w wireMedia) media() Media {
	m := Media{
		ID: string(w.ID), Permalink: permalink(w.Permalink), Shortcode: w.Shortcode, Text: w.Text, MediaType: w.MediaType,
		Timestamp: time.Time(w.Timestamp), IsReply: w.IsReply || w.Replied.ID != "",
		ReplyToID: string(w.Replied.ID), IsQuote: w.IsQuote || w.Quoted.ID != "", QuotedID: string(w.Quoted.ID),
		RepostedID: string(w.Reposted.ID),

		OwnerID: string(w.Owner.is.ID), Username: w.Username.is, MediaURL: w.MediaURL.is, ThumbnailURL: w.ThumbnailURL.is,
		AltText: w.AltText.is, LinkURL: w.LinkURL.is, GIFURL: w.GIFURL.is, TopicTag: w.TopicTag.is, Poll: w.Poll.is.result(),
		HasReplies: w.HasReplies.is, RootID: string(w.Root.is.ID), ReplyOfMine: w.Mine.is, HideStatus: w.HideStatus.is,
		ReplyAudience: strings.ToUpper(w.Audience.is), ApprovalStatus: w.Approval.is, SpoilerMedia: w.SpoilerMedia.is,
		Spoilers: w.Entities.is.spoilers(), TextAttachment: w.Attachment.is.attachment(), GhostStatus: w.GhostStatus.is,
		GhostExpires: time.Time(w.GhostExpires.is), LocationID: string(w.LocationID.is), Location: w.Location.is.location(),
		Countries: w.Countries.is, AuthorVerified: w.Verified.is, AuthorPicture: w.Picture.is,
	}
	// One example of a search has the word for writing here.
	if strings.EqualFold(m.MediaType, Text) {
		m.MediaType = "TEXT_POST"
	}
	for _, child := range w.Children.Data {
		m.ChildIDs = append(m.ChildIDs, string(child.ID))
	}
	return m
}

// MaxPermalink is the longest address of a post that is taken for one, in bytes; Threads' own have some sixty.
const MaxPermalink = 512

// permalink is the address of a post, or none: what is longer is no address of Threads, and would stand in every event.
func permalink(written string) string {
	if len(written) > MaxPermalink {
		return ""
	}
	return written
}
