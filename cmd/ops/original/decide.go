package original

import (
	"encoding/json"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/threads"
)

const (
	// largest bounds a text in bytes: a message takes a megabyte, and no post is near this.
	largest = 100_000
	// within is how late a post may still go out, in seconds, once somebody tries a failed one again.
	within = 24 * 60 * 60
)

// decide says what is to be done for a row. It changes nothing.
func (i *Import) decide(p post, ours map[string]here, known map[string]accounts.Account) step {
	s := step{post: p, row: Row{Kind: "post", ID: p.ID, Status: strings.ToUpper(p.Status), Action: Skipped}}
	own := i.accounts[p.UserID]
	switch {
	case p.ID == "":
		return s.because("no_id")
	case p.UserID == "":
		return s.because("no_user")
	case i.erased[p.UserID]:
		return s.because("erased")
	case len(p.Text) > largest:
		return s.because("text_too_large")
	case p.ScheduledAt.IsZero():
		return s.because("no_time")
	}
	h, there := ours[p.ourID()]
	s.row.OurID = p.ourID()
	account := h.AccountID
	if !there {
		switch len(own) {
		case 0:
			return s.because("no_connection")
		case 1:
			account = own[0]
		default:
			return s.because("account_ambiguous")
		}
	}
	switch events.Status(s.row.Status) {
	case events.StatusQueued:
		if there {
			return i.decideAgain(s, h)
		}
		return i.decideQueued(s, account, known[account])
	case events.StatusPosted:
		if p.PostedTweetID == "" {
			return s.because("no_media_id")
		}
		key := account + " " + p.PostedTweetID
		if has, taken := i.media[key]; taken && has != p.ourID() {
			return s.because("media_taken")
		}
		i.media[key] = p.ourID()
	case events.StatusFailed, events.StatusCancelled:
	default:
		return s.because("status_unknown")
	}
	if there {
		return i.decideSettled(s, h)
	}
	s.row.Action, s.event = Taken, s.imported(account, 1)
	return s
}

func (s step) because(code string) step {
	s.row.Code = code
	return s
}

// decideQueued is for a queued post that is not here.
func (i *Import) decideQueued(s step, accountID string, account accounts.Account) step {
	p := s.post
	if i.StoppedAt.IsZero() {
		s.row.Action = Left
		return s.because("still_running")
	}
	overdue := !p.ScheduledAt.After(i.StoppedAt)
	switch {
	case overdue && i.Overdue == Hold:
		snapshot := p.snapshot(accountID, 1, events.StateParked, events.StatusQueued)
		snapshot.UpdatedAt = i.Now().UTC()
		snapshot.Reason = events.Faultf(events.Unknown, "This post was due before the move to this system, and nobody knows "+
			"whether it went out. Please look at the profile, and then say whether it is live.")
		s.row.Action, s.event = Held, events.NewPostEvent(events.FactParked, snapshot)
		return s.because("overdue")
	case overdue && i.Overdue == Fail:
		snapshot := p.snapshot(accountID, 1, events.StateFailed, events.StatusFailed)
		snapshot.Reason = events.Faultf(events.Missed, "This post was due before the move to this system, and did not go out.")
		snapshot.ErrorMessage = &snapshot.Reason.Message
		s.row.Action, s.event = Taken, events.NewPostEvent(events.FactImported, snapshot)
		return s
	}
	if i.DryRun {
		if problems := p.container().Check(); len(problems) > 0 {
			s.row.Reason = problems[0].Detail
			return s.because(problems[0].Code)
		}
	}
	draft := events.Draft{AccountID: accountID, Text: p.Text, Media: p.media()}
	s.row.Action = Taken
	s.command = events.SchedulePost{PostID: p.ourID(), UserID: p.UserID, Draft: draft, PublishAt: p.ScheduledAt}
	if !p.ScheduledAt.After(i.Now()) { // its time came while nobody was there to publish it
		s.command = events.PublishPost{PostID: p.ourID(), UserID: p.UserID, Draft: draft, PublishAt: p.ScheduledAt}
	}
	// What was refused is tried again once the row is another, or the account has another token.
	s.id = p.commandID("take", p.Text, p.ScheduledAt.Format(time.RFC3339Nano), p.MediaURL, accountID,
		account.IssuedAt.UTC().Format(time.RFC3339))
	return s
}

// decideAgain is for a queued post that is here.
func (i *Import) decideAgain(s step, h here) step {
	p := s.post
	s.row.Action = Known
	changed := h.Text != p.Text || !h.PublishAt.Equal(p.ScheduledAt.Truncate(time.Microsecond))
	switch {
	case !changed || !open(h.State) || i.StoppedAt.IsZero():
		return s
	case h.Rev != 1:
		return s.because("changed_here")
	}
	s.row.Action = Updated
	s.command = events.EditPost{PostID: h.ID, UserID: p.UserID, IfRev: h.Rev, Text: &p.Text, PublishAt: &p.ScheduledAt}
	s.id = p.commandID("edit", p.Text, p.ScheduledAt.Format(time.RFC3339Nano))
	return s
}

// decideSettled is for a post that is here, and over in the original.
func (i *Import) decideSettled(s step, h here) step {
	p := s.post
	posted := events.Status(s.row.Status) == events.StatusPosted
	next := s.imported(h.AccountID, h.Rev+1)
	s.row.Action = Known
	switch {
	case h.untouched():
		media := ""
		if posted {
			media = p.PostedTweetID
		}
		if h.State == next.Snapshot().State && h.MediaID == media && h.Text == p.Text {
			return s
		}
		s.row.Action, s.event = Updated, next
		return s
	case h.State == events.StatePublished:
		if posted && h.MediaID != p.PostedTweetID {
			return s.because("published_twice")
		}
		return s
	case h.State == events.StateCancelled || h.State == events.StateFailed:
		if posted { // live all the same
			s.row.Action, s.event = Updated, next
		}
		return s
	case !open(h.State):
		return s.because("in_doubt")
	}
	s.row.Action = Withdrawn
	s.command = events.CancelPost{PostID: h.ID, UserID: p.UserID}
	s.id = p.commandID("cancel", s.row.Status, p.PostedTweetID)
	if posted {
		s.after = func(now events.Post) events.Event { return s.imported(h.AccountID, now.Rev+1) }
	}
	return s.because("published_there")
}

// open says whether a post can still be changed or taken back.
func open(s events.State) bool {
	return s == events.StateScheduled || s == events.StateReady || s == events.StateWaiting
}

// imported is the event of a post that is over.
func (s step) imported(accountID string, rev int64) events.PostEvent {
	p := s.post
	snapshot := p.snapshot(accountID, rev, events.StateCancelled, events.StatusCancelled)
	switch events.Status(s.row.Status) {
	case events.StatusPosted:
		snapshot.State, snapshot.Status = events.StatePublished, events.StatusPosted
		snapshot.PostedTweetID, snapshot.AcceptedAt = &p.PostedTweetID, &snapshot.UpdatedAt
	case events.StatusFailed:
		snapshot.State, snapshot.Status = events.StateFailed, events.StatusFailed
		message := clean(p.ErrorMessage)
		if message == "" {
			message = "It failed, and the system before this one did not note why."
		}
		snapshot.Reason, snapshot.ErrorMessage = events.Faultf(events.Refused, "%s", message), &message
	}
	return events.NewPostEvent(events.FactImported, snapshot)
}

// snapshot is the post as events say it.
func (p post) snapshot(accountID string, rev int64, state events.State, status events.Status) events.Post {
	s := events.Post{
		ID: p.ourID(), UserID: p.UserID, Provider: events.Provider, AccountID: accountID, Kind: events.KindPost,
		Text: p.Text, Media: p.media(), ScheduledAt: p.ScheduledAt, Status: status, State: state, Rev: rev, PublishWithin: within,
		CreatedAt: firstOf(p.CreatedAt, p.UpdatedAt, p.ScheduledAt), UpdatedAt: firstOf(p.UpdatedAt, p.CreatedAt, p.ScheduledAt),
	}
	if p.MediaURL != "" {
		s.MediaURL = &p.MediaURL
	}
	return s
}

func firstOf(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t.UTC()
		}
	}
	return time.Time{}
}

// media is the post's picture or video, where the original kept its address. What ends like a video is one, as it was there.
func (p post) media() []events.Media {
	if p.MediaURL == "" {
		return []events.Media{}
	}
	m := events.Media{Type: events.Image, URL: p.MediaURL}
	if u, err := url.Parse(p.MediaURL); err == nil {
		switch strings.ToLower(path.Ext(u.Path)) {
		case ".mp4", ".mov":
			m.Type = events.Video
		}
	}
	return []events.Media{m}
}

// container is what Threads would be given, for the rules that need no publisher.
func (p post) container() threads.Container {
	c := threads.Container{MediaType: "TEXT", Text: p.Text}
	for _, m := range p.media() {
		if c.MediaType, c.ImageURL = "IMAGE", m.URL; m.Type == events.Video {
			c.MediaType, c.ImageURL, c.VideoURL = "VIDEO", "", m.URL
		}
	}
	return c
}

func (p post) commandID(verb string, of ...string) string {
	body, err := json.Marshal(of)
	if err != nil {
		body = []byte(strings.Join(of, "\n")) // strings can always be written
	}
	return events.CommandIDFor(p.UserID, "original "+verb+" "+p.ID, string(body))
}
