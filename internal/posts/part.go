package posts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
)

// Has says whether a media id is the post's, or one of its parts'.
func (p *Post) Has(mediaID string) bool {
	if p.MediaID == mediaID {
		return true
	}
	for _, part := range p.Parts {
		if part.MediaID == mediaID {
			return true
		}
	}
	return false
}

// A post is one part or a chain of them. The row works on one part at a time: its container, its claim, its attempts and
// its answer are in the working columns, and when it is live its id goes to parts and the next part's turn comes. So a
// part is a post in every respect but the event of its end.

// IsChain says whether the post has several parts.
func (p *Post) IsChain() bool { return len(p.Parts) > 0 }

// SetParts makes a chain of the parts that were asked for; one part alone is a post like any other.
func (p *Post) SetParts(parts []events.DraftPart) {
	p.Parts = nil
	for _, part := range parts {
		p.Parts = append(p.Parts, events.Part{Text: part.Text, Media: part.Media})
	}
	if len(parts) > 0 {
		p.Text, p.Media = parts[0].Text, parts[0].Media
	}
	if len(parts) == 1 {
		p.Parts = nil
	}
}

// DraftOf is the post as it was asked for.
func DraftOf(p *Post) events.Draft {
	d := events.Draft{
		AccountID: p.AccountID, Text: p.Text, Media: p.Media, Options: p.Options,
		ReplyTo: p.ReplyTo, QuotePostID: p.QuotePostID, RepostOf: p.RepostOf, PublishWithin: p.PublishWithin,
	}
	if p.IsChain() {
		d.Text, d.Media = "", nil
	}
	for _, part := range p.Parts {
		d.Parts = append(d.Parts, events.DraftPart{Text: part.Text, Media: part.Media})
	}
	return d
}

// CurrentPart is the part in hand, counted from 0: the first that is not live. A post that is no chain has only part 0.
func (p *Post) CurrentPart() int {
	i := slices.IndexFunc(p.Parts, func(part events.Part) bool { return part.MediaID == "" })
	if i < 0 {
		return max(len(p.Parts)-1, 0)
	}
	return i
}

// PartlyPublished says whether a part of a chain is live already.
func (p *Post) PartlyPublished() bool { return p.IsChain() && p.Parts[0].MediaID != "" }

// Content is the words and the media of the part in hand.
func (p *Post) Content() (text string, media []events.Media) {
	if p.IsChain() {
		part := p.Parts[p.CurrentPart()]
		return part.Text, part.Media
	}
	return p.Text, p.Media
}

// Parent is the media id that the part in hand replies to, "" when it begins a conversation, or is a repost.
func (p *Post) Parent() string {
	if turn := p.CurrentPart(); turn > 0 {
		return p.Parts[turn-1].MediaID
	}
	if p.Kind == events.KindRepost {
		return ""
	}
	return p.ParentID
}

// IsReply says whether the part in hand is a reply: it is counted, and listed by Threads, apart from posts.
func (p *Post) IsReply() bool { return p.CurrentPart() > 0 || p.ReplyTo != "" }

// isBuilt says that nothing is left to be made before the publish call.
func isBuilt(p *Post) bool { return p.ContainerID != "" || p.Kind == events.KindRepost }

// markPartPublished notes that the part in hand is live, and turns to the next. more says that there is one.
func markPartPublished(p *Post, mediaID, permalink string, called, accepted time.Time) (more bool) {
	p.EndDoubt(ProofLive)
	if !p.IsChain() {
		p.MediaID, p.Permalink = mediaID, permalink
		return false
	}
	turn := p.CurrentPart()
	if turn == 0 {
		p.MediaID, p.Permalink = mediaID, permalink
	}
	p.Parts = slices.Clone(p.Parts) // was has the same array
	part := &p.Parts[turn]
	part.MediaID, part.Permalink = mediaID, permalink
	part.CalledAt, part.AcceptedAt = OptionalTime(called), OptionalTime(accepted)
	if turn == len(p.Parts)-1 {
		return false
	}
	p.StartOver()
	p.ContentHash = HashOf(p)
	return true
}

// StartOver forgets what was tried for a part: the next one, or a retry, begins afresh.
func (p *Post) StartOver() {
	p.DiscardContainer()
	p.Attempt, p.Rebuilds, p.Failures = 0, 0, 0
	p.ClaimedAt, p.CallDeadline, p.CalledAt = time.Time{}, time.Time{}, time.Time{}
}

// firstCall is when the first part was called that went out for the chain's time; nil when none has. A chain that is tried
// again has a new time, and the parts that were live before it went out for another.
func firstCall(p *Post) *time.Time {
	for _, part := range p.Parts {
		if part.CalledAt != nil && !part.CalledAt.Before(p.PublishAt) {
			return part.CalledAt
		}
	}
	return nil
}

// IsFirstCall says whether the part in hand is the one that the post's time binds; the others follow as soon as they may.
func IsFirstCall(p *Post) bool { return firstCall(p) == nil }

// LiveMediaIDs are the media ids of a post that may still be seen at Threads, the last first: the order of deleting.
func LiveMediaIDs(p *Post) (mediaIDs []string) {
	if !p.IsChain() {
		if p.MediaID != "" && p.DeletedAt.IsZero() {
			mediaIDs = append(mediaIDs, p.MediaID)
		}
		return mediaIDs
	}
	for i := len(p.Parts) - 1; i >= 0; i-- {
		if p.Parts[i].MediaID != "" && p.Parts[i].DeletedAt == nil {
			mediaIDs = append(mediaIDs, p.Parts[i].MediaID)
		}
	}
	return mediaIDs
}

// HashOf is equal for parts that a look at the account's lists could not tell apart (match.go): the same words as Threads
// shows them, the same kind of media, in the same place. Two pictures under one caption are such a pair.
func HashOf(p *Post) string {
	text, media := p.Content()
	kind := "text"
	switch {
	case p.Kind == events.KindRepost:
		kind = "repost"
	case len(media) > 1:
		kind = "carousel"
	case len(media) == 1:
		kind = string(media[0].Type)
	}
	place, quoted := p.Parent(), p.QuotedID
	if p.Kind == events.KindRepost {
		place = p.ParentID
	}
	return digest(Normalise(text), kind, place, quoted)
}

// SourceOf is what the container of the part in hand is built from, as a hash. A container with another source says
// something else than the row does, and must not be published, whoever left it there.
func SourceOf(p *Post) string {
	text, media := p.Content()
	var options events.Options
	quoted := ""
	if p.CurrentPart() == 0 {
		options, quoted = p.Options, p.QuotedID
	}
	return digest(p.Kind, text, append([]events.Media{}, media...), options, p.Parent(), quoted)
}

// BuiltFromRow says that the container was built from what the row says now.
func BuiltFromRow(p *Post) bool { return p.BuiltFrom == SourceOf(p) }

func digest(of ...any) string {
	b, _ := json.Marshal(of) // words, lists and structs of them always encode
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
