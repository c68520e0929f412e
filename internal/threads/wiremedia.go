package threads

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// wireMedia is a post on the wire. Fields whose value is null are left out by Threads.
type wireMedia struct {
	ID           id         `json:"id"`
	Permalink    string     `json:"permalink"`
	Shortcode    string     `json:"shortcode"`
	Text         string     `json:"text"`
	MediaType    string     `json:"media_type"`
	Timestamp    timestamp  `json:"timestamp"`
	Children     refs       `json:"children"`
	IsReply      bool       `json:"is_reply"`
	Replied      ref        `json:"replied_to"`
	Quoted       ref        `json:"quoted_post"`
	Reposted     ref        `json:"reposted_post"`
	Owner        ref        `json:"owner"`
	Username     string     `json:"username"`
	MediaURL     string     `json:"media_url"`
	ThumbnailURL string     `json:"thumbnail_url"`
	AltText      string     `json:"alt_text"`
	LinkURL      string     `json:"link_attachment_url"`
	GIFURL       string     `json:"gif_url"`
	TopicTag     string     `json:"topic_tag"`
	Poll         *wirePoll  `json:"poll_attachment"`
	HasReplies   bool       `json:"has_replies"`
	Root         ref        `json:"root_post"`
	Mine         bool       `json:"is_reply_owned_by_me"`
	HideStatus   string     `json:"hide_status"`
	Audience     string     `json:"reply_audience"`
	Approval     string     `json:"reply_approval_status"`
	SpoilerMedia bool       `json:"is_spoiler_media"`
	Entities     entities   `json:"text_entities"`
	Attachment   *wireText  `json:"text_attachment"`
	GhostStatus  string     `json:"ghost_post_status"`
	GhostExpires timestamp  `json:"ghost_post_expiration_timestamp"`
	LocationID   id         `json:"location_id"`
	Location     *wirePlace `json:"location"`
	Countries    []string   `json:"allowlisted_country_codes"`
	Verified     bool       `json:"is_verified"`
	Picture      string     `json:"profile_picture_url"`
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
		A  string    `json:"option_a"`
		B  string    `json:"option_b"`
		C  string    `json:"option_c"`
		D  string    `json:"option_d"`
		PA number    `json:"option_a_votes_percentage"`
		PB number    `json:"option_b_votes_percentage"`
		PC number    `json:"option_c_votes_percentage"`
		PD number    `json:"option_d_votes_percentage"`
		N  number    `json:"total_votes"`
		At timestamp `json:"expiration_timestamp"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*p = wirePoll{w.A, w.B, w.C, w.D, w.PA, w.PB, w.PC, w.PD, w.N, w.At}
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
	Plaintext string `json:"plaintext"`
	Link      string `json:"link_attachment_url"`
	Styles    []struct {
		Offset int      `json:"offset"`
		Length int      `json:"length"`
		Styles []string `json:"styling_info"`
	} `json:"text_with_styling_info"`
}

func (t *wireText) attachment() *TextAttachment {
	if t == nil {
		return nil
	}
	a := &TextAttachment{Plaintext: t.Plaintext, LinkURL: t.Link}
	for _, s := range t.Styles {
		a.Styles = append(a.Styles, StyledRange{TextRange{s.Offset, s.Length}, s.Styles})
	}
	return a
}

// number decodes a figure that may come quoted, or be no figure at all; then it is 0.
type number float64

func (v *number) UnmarshalJSON(b []byte) error {
	if f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64); err == nil && f == f && f < 1e18 && f > -1e18 {
		*v = number(f)
	}
	return nil
}

func (w wireMedia) media() Media {
	m := Media{
		ID: string(w.ID), Permalink: w.Permalink, Shortcode: w.Shortcode, Text: w.Text, MediaType: w.MediaType,
		Timestamp: time.Time(w.Timestamp), IsReply: w.IsReply || w.Replied.ID != "",
		ReplyToID: string(w.Replied.ID), QuotedID: string(w.Quoted.ID), RepostedID: string(w.Reposted.ID),
		OwnerID: string(w.Owner.ID), Username: w.Username, MediaURL: w.MediaURL, ThumbnailURL: w.ThumbnailURL,
		AltText: w.AltText, LinkURL: w.LinkURL, GIFURL: w.GIFURL, TopicTag: w.TopicTag, Poll: w.Poll.result(),
		HasReplies: w.HasReplies, RootID: string(w.Root.ID), ReplyOfMine: w.Mine, HideStatus: w.HideStatus,
		ReplyAudience: strings.ToUpper(w.Audience), ApprovalStatus: w.Approval, SpoilerMedia: w.SpoilerMedia,
		Spoilers: w.Entities.spoilers(), TextAttachment: w.Attachment.attachment(), GhostStatus: w.GhostStatus,
		GhostExpires: time.Time(w.GhostExpires), LocationID: string(w.LocationID), Location: w.Location.location(),
		Countries: w.Countries, AuthorVerified: w.Verified, AuthorPicture: w.Picture,
	}
	for _, child := range w.Children.Data {
		m.ChildIDs = append(m.ChildIDs, string(child.ID))
	}
	return m
}
