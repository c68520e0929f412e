package console

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
)

// draft is what the editor holds: what a person typed, as they typed it.
type draft struct {
	Account       string
	Text          string // the parts of a chain, with a line of --- between them, and what is hidden between ||
	Media         []mediaRow
	Poll          []string
	Topic         string
	ReplyControl  string
	Link          string
	Location      string // the id that Threads has for the place
	Place         string // what the place is called, where that is known
	PlaceQuery    string
	SpoilerMedia  bool
	Ghost         bool
	Approvals     bool
	ReplyTo       string
	Quote         string
	Now           bool
	Date, Time    string
	Zone          string
	Fold, Decided string
	Rev           string
}

type mediaRow struct{ Type, URL, Alt, Part string }

// divider is the line between two parts of a chain.
var divider = regexp.MustCompile(`(?m)^[ \t]*---+[ \t]*$`)

// divided is what we put between two.
const divided = "\n---\n"

// partsOf are the texts of a chain; one where there is no divider.
func partsOf(text string) []string {
	var list []string
	for _, part := range divider.Split(strings.ReplaceAll(text, "\r\n", "\n"), -1) {
		list = append(list, strings.Trim(part, "\n"))
	}
	return list
}

func (d *draft) setTime(at time.Time) {
	d.Date, d.Time, d.Zone = at.Format(time.DateOnly), timeOf(at), at.Location().String()
}

// shownPart is a part as Threads shows it.
type shownPart struct {
	Pieces []piece
	Media  []events.Media
}

// Parts are the texts with their media, for a preview.
func (d draft) Parts() []shownPart {
	var parts []shownPart
	for i, text := range partsOf(d.Text) {
		parts = append(parts, shownPart{piecesOf(text), d.mediaOf(i)})
	}
	return parts
}

func (d draft) mediaOf(part int) []events.Media {
	count := len(partsOf(d.Text))
	var list []events.Media
	for _, m := range d.Media {
		n, err := strconv.Atoi(m.Part)
		if err != nil || n < 1 || n > count {
			n = 1
		}
		if n-1 == part {
			kind := events.Image
			if m.Type == string(events.Video) {
				kind = events.Video
			}
			list = append(list, events.Media{Type: kind, URL: m.URL, AltText: m.Alt})
		}
	}
	return list
}

// draftOf is a post as the editor shows it.
func draftOf(v *visit, p *events.Post) draft {
	d := draft{
		Account: p.AccountID, Text: p.Text, Poll: p.Poll, Topic: p.TopicTag, ReplyControl: p.ReplyControl, Link: p.LinkAttachment, Location: p.Location,
		SpoilerMedia: p.SpoilerMedia, Ghost: p.Ghost, Approvals: p.ReplyApprovals, ReplyTo: p.ReplyTo, Quote: p.QuotePostID, Rev: strconv.FormatInt(p.Rev, 10),
	}
	zone := v.Zone
	if p.TimeZone != "" {
		zone = zoneNamed(p.TimeZone)
	}
	d.setTime(p.ScheduledAt.In(zone))
	parts := p.Parts
	if len(parts) == 0 {
		parts = []events.Part{{Text: p.Text, Media: p.Media}}
	}
	var texts []string
	for i, part := range parts {
		var hidden []events.TextRange
		if i == 0 {
			hidden = p.Spoilers
		}
		texts = append(texts, typedAs(part.Text, hidden))
		for _, m := range part.Media {
			d.Media = append(d.Media, mediaRow{string(m.Type), m.URL, m.AltText, strconv.Itoa(i + 1)})
		}
	}
	d.Text = strings.Join(texts, divided)
	return d
}

func draftFrom(form url.Values) draft {
	d := draft{
		Account: form.Get("account"), Text: strings.ReplaceAll(form.Get("text"), "\r\n", "\n"), Topic: strings.TrimSpace(form.Get("topic")), ReplyControl: form.Get("reply_control"),
		Link: strings.TrimSpace(form.Get("link")), PlaceQuery: strings.TrimSpace(form.Get("place")), SpoilerMedia: form.Get("spoiler") != "", Ghost: form.Get("ghost") != "",
		Approvals: form.Get("approvals") != "", ReplyTo: strings.TrimSpace(form.Get("reply_to")), Quote: strings.TrimSpace(form.Get("quote")), Now: form.Get("when") == "now",
		Date: form.Get("date"), Time: form.Get("time"), Zone: strings.TrimSpace(form.Get("zone")), Fold: form.Get("fold"), Decided: form.Get("decided"), Rev: form.Get("rev"),
	}
	d.Location, d.Place, _ = strings.Cut(strings.TrimSpace(form.Get("location")), " ")
	at := func(name string, i int) string {
		if list := form[name]; i < len(list) {
			return strings.TrimSpace(list[i])
		}
		return ""
	}
	for i := range form["media_url"] {
		row := mediaRow{at("media_type", i), at("media_url", i), at("media_alt", i), at("media_part", i)}
		if row.URL != "" || row.Alt != "" {
			d.Media = append(d.Media, row)
		}
	}
	for _, option := range form["poll"] {
		if option = strings.TrimSpace(option); option != "" {
			d.Poll = append(d.Poll, option)
		}
	}
	return d
}
