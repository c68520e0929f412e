package threadssim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// entry is one line of the journal: one change of state, complete in itself. Exactly one field is set, save for a text
// that is published as it is created: its container and its post are one step. A post or a deletion is itself the use of
// its quota; a search has a line for it.
type entry struct {
	User      *user       `json:"user,omitempty"`
	Code      *code       `json:"code,omitempty"`
	Token     *token      `json:"token,omitempty"`
	Container *container  `json:"container,omitempty"`
	Media     *media      `json:"media,omitempty"`
	Delete    *deletion   `json:"delete,omitempty"`
	Moderate  *moderation `json:"moderate,omitempty"`
	Use       *use        `json:"use,omitempty"`
	Hook      *hook       `json:"hook,omitempty"`
	Callbacks *callbacks  `json:"callbacks,omitempty"`
	// Ahead is how far the clock was moved, in nanoseconds.
	Ahead *int64 `json:"ahead,omitempty"`
}

type deletion struct {
	MediaID string    `json:"media_id"`
	At      time.Time `json:"at"`
}

// commit makes a change: first on the journal, then in memory. An error means that it did not happen. The caller holds
// the lock.
func (s *store) commit(e entry) error {
	if s.journal != nil {
		if err := s.journal.append(e); err != nil {
			return err
		}
	}
	if err := s.replay(e); err != nil {
		return err
	}
	s.announce(e)
	return nil
}

// replay applies a change to memory. It is the only writer of the state's maps, at run time as well as at start, so a
// restart cannot know less or more than the process did.
func (s *store) replay(e entry) error {
	switch {
	case e.User != nil && s.users[e.User.ID] != nil:
		s.users[e.User.ID].persona = e.User.persona
	case e.User != nil:
		e.User.used = map[quota]*window{}
		e.User.knobs, e.User.rng = s.layers.of(e.User.Username), generator(s.layers.seed, e.User.Username)
		s.users[e.User.ID], s.byName[e.User.Username] = e.User, e.User
		seen(firstUser, &s.ids.users, e.User.ID)
	case e.Code != nil:
		s.codes[e.Code.Digest] = e.Code
	case e.Token != nil:
		s.tokens[e.Token.Digest] = e.Token
	case e.Container != nil:
		s.containers[e.Container.ID] = e.Container
		s.built = append(s.built, e.Container)
		seen(firstContainer, &s.ids.containers, e.Container.ID)
		if e.Media != nil {
			return s.replayMedia(e.Media)
		}
	case e.Media != nil:
		return s.replayMedia(e.Media)
	case e.Delete != nil:
		m := s.media[e.Delete.MediaID]
		if m == nil {
			return fmt.Errorf("deletion of unknown media %s", e.Delete.MediaID)
		}
		m.deleted = true
		m.owner.spend(deletes, e.Delete.At)
	case e.Moderate != nil:
		return s.replayModeration(e.Moderate)
	case e.Use != nil:
		return s.replayUse(e.Use)
	case e.Hook != nil:
		s.replayHook(e.Hook)
	case e.Callbacks != nil:
		s.callbacks = *e.Callbacks
	case e.Ahead != nil:
		s.clock.ahead.Store(*e.Ahead)
	}
	return nil
}

func (s *store) replayMedia(m *media) error {
	m.of = s.containers[m.Container]
	if m.RepostOf != "" {
		m.of = &container{UserID: m.By, MediaType: repostFacade, Created: m.Committed, mediaID: m.ID}
	}
	if m.of == nil {
		return fmt.Errorf("media %s of unknown container %s", m.ID, m.Container)
	}
	m.owner, m.root = s.users[m.of.UserID], m
	if m.owner == nil {
		return fmt.Errorf("media %s of unknown user %s", m.ID, m.of.UserID)
	}
	m.of.mediaID = m.ID
	spent := posts
	if parent := s.media[m.of.ReplyTo]; parent != nil {
		m.root = parent.root
		parent.answers = append(parent.answers, m)
		spent = replies
		if m.root.of.Approvals && m.root.owner != m.owner {
			m.approval = approvalPending
		}
	}
	if shown := s.media[m.RepostOf]; shown != nil {
		shown.reposts++
	}
	if shown := s.media[m.of.Quote]; shown != nil {
		shown.quotes++
	}
	if !m.Seeded {
		m.owner.spend(spent, m.Committed)
	}
	m.owner.posts = append(m.owner.posts, m)
	s.order = append(s.order, m)
	s.media[m.ID], s.byShort[m.Shortcode] = m, m
	seen(firstMedia, &s.ids.media, m.ID)
	return nil
}

// journal is an append-only file of JSON lines. A line is written by one write before the change is answered: that
// survives the death of the process, though not that of the machine, which is all a simulator needs. The simulator's lock guards it.
type journal struct {
	file   *os.File
	size   int64
	closed bool
}

// openJournal replays the file and opens it for appending. What follows the last newline is a line torn by a crash;
// its change was never answered, and it is cut off so that the next line does not grow onto it.
func openJournal(path string, replay func(entry) error) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f}
	if err := j.load(replay); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

func (j *journal) load(replay func(entry) error) error {
	data, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return j.file.Truncate(j.size)
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s line %d: %w", j.file.Name(), n, err)
		}
		if err := replay(e); err != nil {
			return fmt.Errorf("%s line %d: %w", j.file.Name(), n, err)
		}
		j.size += int64(len(line)) + 1
		data = rest
	}
}

func (j *journal) append(e entry) error {
	if j.closed {
		return os.ErrClosed
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := j.file.WriteAt(append(line, '\n'), j.size)
	if err != nil {
		// Half a line would poison the next start.
		return errors.Join(err, j.file.Truncate(j.size))
	}
	j.size += int64(n)
	return nil
}

// empty forgets everything.
func (j *journal) empty() error {
	if j.closed {
		return os.ErrClosed
	}
	j.size = 0
	return j.file.Truncate(0)
}

func (j *journal) close() error {
	if j.closed {
		return nil
	}
	j.closed = true
	return j.file.Close()
}
