// Package posts is the table of posts: a row and its snapshot, the states and the legal moves between them, and every statement
// on posts, their attempts and the quotas that they use.
package posts

import (
	"hash/fnv"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/zones"
)

// SnapshotOrNil is the result of a command that made this post.
func SnapshotOrNil(p *Post) any {
	if p == nil {
		return nil
	}
	p.Canonicalize() // as Postgres keeps it, so that the same is answered twice
	return p.Snapshot()
}

// OutcomeEvent is the event that ends a post: published, or failed.
func OutcomeEvent(p *Post, fact events.PostFact) events.PostEvent {
	told := *p
	told.Rev++
	told.State = events.StateFailed
	if fact == events.FactPublished {
		told.State = events.StatePublished
	}
	told.UpdatedAt = told.AcceptedAt
	return events.NewPostEvent(fact, told.Snapshot())
}

// Ended says that nothing more will be published for a post, so that what is live of it may be deleted. A chain that
// failed half way has live parts too.
func Ended(p *Post) bool { return p.State == events.StatePublished || p.State == events.StateFailed }

// Post is a row of posts. The first block is what the world may see (Snapshot); the second is ours alone.
type Post struct {
	bun.BaseModel `bun:"table:posts"`

	ID                string         `bun:"id,pk"`
	UserID            string         `bun:"user_id"`
	AccountID         string         `bun:"account_id"`
	Kind              events.Kind    `bun:"kind"`
	Text              string         `bun:"text"`
	Media             []events.Media `bun:"media,type:jsonb"`
	Options           events.Options `bun:"options,type:jsonb"`
	Parts             []events.Part  `bun:"parts,type:jsonb"` // of a chain; text and media above are the first's
	ReplyTo           string         `bun:"reply_to,nullzero"`
	QuotePostID       string         `bun:"quote_post_id,nullzero"`
	RepostOf          string         `bun:"repost_of,nullzero"`
	ContentHash       string         `bun:"content_hash"` // of the part in hand
	PublishAt         time.Time      `bun:"publish_at"`
	TimeZone          string         `bun:"time_zone,nullzero"`
	TimeDecision      string         `bun:"time_decision,nullzero"`
	PublishWithin     int            `bun:"publish_within"` // seconds
	State             events.State   `bun:"state"`
	Reason            *events.Fault  `bun:"reason,type:jsonb,nullzero"`
	MediaID           string         `bun:"media_id,nullzero"`
	Permalink         string         `bun:"permalink,nullzero"`
	CalledAt          time.Time      `bun:"called_at,nullzero"`
	AcceptedAt        time.Time      `bun:"accepted_at,nullzero"`
	DeleteRequestedAt time.Time      `bun:"delete_requested_at,nullzero"`
	DeletedAt         time.Time      `bun:"deleted_at,nullzero"`
	CreatedAt         time.Time      `bun:"created_at"`
	UpdatedAt         time.Time      `bun:"updated_at"`

	Rev        int64           `bun:"rev"`
	EmittedRev int64           `bun:"told_rev"`
	Fact       events.PostFact `bun:"fact"`

	ParentID       string    `bun:"parent_id,nullzero"` // what ReplyTo or RepostOf turned out to be at Threads
	QuotedID       string    `bun:"quoted_id,nullzero"`
	WakeAt         time.Time `bun:"wake_at,nullzero"`
	ArmedAt        time.Time `bun:"armed_at,nullzero"`
	Lease          string    `bun:"lease,nullzero"`
	LeaseUntil     time.Time `bun:"lease_until,nullzero"`
	ContainerID    string    `bun:"container_id,nullzero"`
	ContainerAt    time.Time `bun:"container_at,nullzero"`
	Children       []string  `bun:"children,array"`
	BuiltFrom      string    `bun:"built_from,nullzero"` // hash of what ContainerID and Children were built from
	Doubt          bool      `bun:"doubt"`               // a call may have made the part in hand live (doubt.go)
	DoubtSince     time.Time `bun:"doubt_since,nullzero"`
	OnAbsent       OnAbsent  `bun:"on_absent,nullzero"`
	Attempt        int       `bun:"attempt"`
	ClaimedAt      time.Time `bun:"claimed_at,nullzero"`
	CallDeadline   time.Time `bun:"call_deadline,nullzero"`
	NotReady       int       `bun:"not_ready"`
	Rebuilds       int       `bun:"rebuilds"`
	FinishedSeenAt time.Time `bun:"finished_seen_at,nullzero"` // by the database's clock, as CallDeadline
	Failures       int       `bun:"failures"`
	TraceParent    string    `bun:"trace_parent,nullzero"` // of whoever asked for the post last
	Recalled       bool      `bun:"recalled"`              // its account was disconnected, and not to keep its posts; only RetryPost takes it back

	// In no column:
	LeasedAt  time.Time `bun:"-"` // when acquire took the lease, by the database's clock
	Undeleted int       `bun:"-"` // so many parts were live when the deletion of the last was refused
	Proof     Proof     `bun:"-"` // what a move that ends the doubt relies on
	Answered  bool      `bun:"-"` // the call was answered, so it has ended
}

// legalMoves are the legal moves between states; docs/post-lifecycle.md has them as a picture. The store refuses
// every other one, so an illegal move cannot be written.
var legalMoves = map[events.State][]events.State{
	events.StateScheduled:   {events.StateReady, events.StateWaiting, events.StateConcluding, events.StateCancelled, events.StateUnconfirmed},
	events.StateReady:       {events.StateScheduled, events.StateWaiting, events.StatePublishing, events.StateConcluding, events.StateCancelled, events.StateUnconfirmed},
	events.StateWaiting:     {events.StateScheduled, events.StateReady, events.StateConcluding, events.StateCancelled, events.StateUnconfirmed},
	events.StatePublishing:  {events.StateReady, events.StateScheduled, events.StateWaiting, events.StateUnconfirmed, events.StateConcluding, events.StateParked},
	events.StateUnconfirmed: {events.StateReady, events.StateScheduled, events.StateWaiting, events.StateConcluding, events.StateParked},
	events.StateConcluding:  {events.StatePublished, events.StateFailed, events.StateParked},
	events.StateParked:      {events.StateConcluding, events.StateScheduled},
	events.StateFailed:      {events.StateScheduled},
}

// mayMove says whether a post may go from one state to another. Staying is always legal.
func mayMove(from, to events.State) bool { return from == to || slices.Contains(legalMoves[from], to) }

// IsOpen says whether the owner may still change or take back a post in this state.
func IsOpen(s events.State) bool {
	return s == events.StateScheduled || s == events.StateReady || s == events.StateWaiting
}

// IsFinal says whether nothing more will be published for a post in this state.
func IsFinal(s events.State) bool {
	return s == events.StatePublished || s == events.StateFailed || s == events.StateCancelled
}

// DiscardContainer forgets what was built at Threads; the container dies there by itself after a day.
func (p *Post) DiscardContainer() {
	p.ContainerID, p.ContainerAt, p.Children, p.BuiltFrom = "", time.Time{}, nil, ""
	p.NotReady, p.FinishedSeenAt = 0, time.Time{}
}

// ContainerExpired says that the container is about to die at Threads.
func ContainerExpired(p *Post, now time.Time) bool {
	return p.ContainerID != "" && now.Sub(p.ContainerAt) > containerLife
}

// Timing is how long before and after its time a post is worked on.
type Timing struct {
	LeadText, LeadImage, LeadVideo time.Duration // before its time, its container is built
	PermalinkWait                  time.Duration // after it was published, its permalink is waited for
}

const (
	// Hold is how long before its time a ready post is woken; the rest is waited in the process.
	Hold = time.Second
	// containerLife is when a container is rebuilt; Threads lets it die after 24 h.
	containerLife = 23 * time.Hour
)

// Lead is how long before its time the post's container is built: posts of one second are spread over a quarter of what is
// allowed, or all of them would be built in that one second too. A repost needs none.
func (t Timing) Lead(p *Post) time.Duration {
	if p.Kind == events.KindRepost {
		return Hold
	}
	lead := t.LeadText
	for _, m := range p.Media {
		if m.Type == events.Video {
			lead = t.LeadVideo
			break
		}
		lead = t.LeadImage
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(p.ID))
	return lead - lead/4*time.Duration(h.Sum32()%1024)/1024
}

// Expires is when the post is no longer worth publishing.
func (p *Post) Expires() time.Time {
	return p.PublishAt.Add(time.Duration(p.PublishWithin) * time.Second)
}

// Reschedule is the state and the wake-up of a post that waits for its time, by what is already built.
func (t Timing) Reschedule(p *Post) {
	if !p.Doubt && !p.ContainerAt.IsZero() && p.PublishAt.Sub(p.ContainerAt) >= containerLife {
		p.DiscardContainer() // it would be dead by then
	}
	if p.State == events.StateReady && isBuilt(p) {
		p.WakeAt = p.PublishAt.Add(-Hold)
		return
	}
	p.State, p.WakeAt = events.StateScheduled, p.PublishAt.Add(-t.Lead(p))
}

// StatusOf is the state in the original's words.
func StatusOf(p *Post) events.Status {
	switch {
	case !p.DeletedAt.IsZero():
		return events.StatusDeleted
	case p.State == events.StatePublished:
		return events.StatusPosted
	case p.State == events.StateFailed:
		return events.StatusFailed
	case p.State == events.StateCancelled:
		return events.StatusCancelled
	}
	return events.StatusQueued
}

// Snapshot is the post as others may see it.
func (p *Post) Snapshot() events.Post {
	s := events.Post{
		ID: p.ID, UserID: p.UserID, Provider: events.Provider, AccountID: p.AccountID, Kind: p.Kind,
		Text: p.Text, Media: p.Media, Options: p.Options, Parts: p.Parts,
		ReplyTo: p.ReplyTo, QuotePostID: p.QuotePostID, RepostOf: p.RepostOf,
		Zoned: events.Zoned{TimeZone: p.TimeZone, TimeDecision: events.TimeDecision(p.TimeDecision)}, LocalTime: localTime(p.PublishAt, p.TimeZone),
		ScheduledAt: p.PublishAt.UTC(), Status: StatusOf(p), State: p.State,
		Reason: p.Reason, Rev: p.Rev, PublishWithin: p.PublishWithin,
		PostedTweetID: optional(p.MediaID), Permalink: optional(p.Permalink),
		CalledAt: OptionalTime(p.CalledAt), AcceptedAt: OptionalTime(p.AcceptedAt),
		DeleteRequestedAt: OptionalTime(p.DeleteRequestedAt), DeletedAt: OptionalTime(p.DeletedAt),
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
	if s.Media == nil {
		s.Media = []events.Media{}
	}
	if len(p.Media) > 0 {
		s.MediaURL = &p.Media[0].URL
	}
	if s.Status == events.StatusQueued {
		s.Warnings = TextWarnings(DraftOf(p))
	}
	if p.Reason != nil && p.State == events.StateFailed {
		s.ErrorMessage = &p.Reason.Message
	}
	if first := firstCall(p); first != nil {
		s.CalledAt = first
	}
	if s.CalledAt != nil {
		ms := float64(s.CalledAt.Sub(s.ScheduledAt).Microseconds()) / 1000
		s.LatenessMs = &ms
	}
	return s
}

// FromSnapshot is the row that an event is about, without the working columns.
func FromSnapshot(s events.Post) Post {
	p := Post{
		ID: s.ID, UserID: s.UserID, AccountID: s.AccountID, Kind: s.Kind, Text: s.Text, Media: s.Media, Options: s.Options,
		Parts: s.Parts, ReplyTo: s.ReplyTo, QuotePostID: s.QuotePostID, RepostOf: s.RepostOf,
		PublishAt: s.ScheduledAt, TimeZone: s.TimeZone, TimeDecision: string(s.TimeDecision), PublishWithin: s.PublishWithin,
		State: s.State, Reason: s.Reason, MediaID: Value(s.PostedTweetID), Permalink: Value(s.Permalink),
		CalledAt: Value(s.CalledAt), AcceptedAt: Value(s.AcceptedAt),
		DeleteRequestedAt: Value(s.DeleteRequestedAt), DeletedAt: Value(s.DeletedAt),
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Rev: s.Rev,
	}
	p.ContentHash = HashOf(&p)
	return p
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func Value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// localTime is an instant on the clocks of a zone; "" where there is no such zone.
func localTime(at time.Time, zone string) string {
	if zone == "" {
		return ""
	}
	loc, err := zones.Load(zone)
	if err != nil {
		return ""
	}
	return at.In(loc).Format(time.RFC3339Nano)
}

// Canonicalize makes a row fit for Postgres: empty lists instead of NULL, and no finer time than microseconds, so that
// what we hold and what we read back are equal.
func (p *Post) Canonicalize() {
	if p.Media == nil {
		p.Media = []events.Media{}
	}
	if p.Children == nil {
		p.Children = []string{}
	}
	if p.Parts == nil {
		p.Parts = []events.Part{}
	}
	for _, t := range []*time.Time{&p.PublishAt, &p.CalledAt, &p.AcceptedAt, &p.DeleteRequestedAt, &p.DeletedAt, &p.CreatedAt,
		&p.UpdatedAt, &p.WakeAt, &p.ArmedAt, &p.ContainerAt, &p.ClaimedAt, &p.CallDeadline, &p.FinishedSeenAt, &p.DoubtSince} {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
}

// LikelyCalledAt is when a post that was found live was called: where the process died with the answer, the claim is the
// nearest that is known.
func LikelyCalledAt(p *Post) time.Time {
	if !p.CalledAt.IsZero() {
		return p.CalledAt
	}
	return clock.Latest(p.ClaimedAt, p.PublishAt)
}

// New is a post as it is accepted.
func New(id, userID, accountID string, draft events.Draft, at, now time.Time, t Timing) *Post {
	p := &Post{
		ID: id, UserID: userID, AccountID: accountID, Kind: events.KindPost, Text: draft.Text, Media: draft.Media,
		Options: draft.Options, ReplyTo: draft.ReplyTo, QuotePostID: draft.QuotePostID, RepostOf: draft.RepostOf,
		PublishAt: at, TimeZone: draft.TimeZone, TimeDecision: string(draft.TimeDecision), PublishWithin: draft.PublishWithin,
		Rev: 1, Fact: events.FactScheduled, CreatedAt: now, UpdatedAt: now,
	}
	if draft.RepostOf != "" {
		p.Kind = events.KindRepost
	}
	p.SetParts(draft.Parts)
	p.ContentHash = HashOf(p)
	t.Reschedule(p)
	return p
}
