package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts/queue"
)

const (
	// watchFor is how long after its confirmation an erased account is looked after: a process that stood still all the
	// while, or a backup, may bring something back.
	watchFor = 7 * 24 * time.Hour
	// eraseFloor is longer than a publish call may take, and its worker's lease.
	eraseFloor = 150 * time.Second
	// purgeWithin bounds the erasing of one account's messages.
	purgeWithin = time.Minute
)

// erase carries on what is to be erased, until ctx ends. Where it stands is in the database: a crash costs nothing but time.
func (s *Service) erase(ctx context.Context) error {
	every := time.NewTicker(s.cfg.EraseEvery)
	defer every.Stop()
	for {
		if err := s.eraseOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("an erasure is held up; it is tried again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.toErase:
		case <-every.C:
		}
	}
}

// eraseOnce takes every account one stage further whose turn it is.
func (s *Service) eraseOnce(ctx context.Context) error {
	pending, err := accounts.ErasuresToEmit(ctx, s.db)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range pending { // one that fails must not hold up the others
		err := s.bus.Emit(ctx, events.AccountErased{UserID: t.UserID, AccountID: t.AccountID, At: t.ErasedAt.UTC()})
		if err == nil {
			err = t.MarkEmitted(ctx, s.db, s.now())
		}
		failed = append(failed, err)
	}
	due, err := accounts.ToErase(ctx, s.db, s.now(), accounts.StageStreams, accounts.StageRest, accounts.StageDone)
	if err != nil {
		return errors.Join(append(failed, err)...)
	}
	for _, t := range due {
		if err := s.advance(ctx, t); err != nil {
			failed = append(failed, fmt.Errorf("account %s: %w", t.AccountID, err))
			if !outage.Is(err) {
				failed = append(failed, t.Postpone(ctx, s.db, s.now().Add(accounts.EraseAgain)))
			}
		}
	}
	return errors.Join(failed...)
}

// advance does what an erasure's stage asks for.
func (s *Service) advance(ctx context.Context, t accounts.Tombstone) error {
	ctx, cancel := context.WithTimeout(ctx, purgeWithin)
	defer cancel()
	now := s.now()
	switch t.Stage {
	case accounts.StageStreams:
		if err := s.eraseStreams(ctx, t); err != nil {
			return err
		}
		if t.Round == 1 {
			return s.pass(ctx, t, accounts.StageRest, now.Add(s.cfg.EraseAgainAfter))
		}
		s.log.Info("an account is erased", zap.String("account_id", t.AccountID))
		return s.pass(ctx, t, accounts.StageDone, now.Add(s.cfg.EraseWatchEvery))
	case accounts.StageRest:
		return s.pass(ctx, t, accounts.StageRows, now)
	case accounts.StageDone:
		back, err := s.cameBack(ctx, t)
		switch {
		case err != nil:
			return err
		case back:
			s.log.Warn("something of an erased account came back; erasing it again", zap.String("account_id", t.AccountID))
			return s.pass(ctx, t, accounts.StageRows, now)
		case now.After(t.ErasedAt.Add(watchFor)):
			return s.pass(ctx, t, accounts.StageDone, time.Time{})
		}
		return s.pass(ctx, t, accounts.StageDone, now.Add(s.cfg.EraseWatchEvery))
	}
	return nil
}

func (s *Service) pass(ctx context.Context, t accounts.Tombstone, to accounts.Stage, next time.Time) error {
	return pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error { return t.Pass(ctx, tx, to, next, s.now()) })
}

// eraseStreams takes an account's messages from EVENTS, DEAD and TOKEN_ALARMS. Tokenkeeper takes its alarm away as well, but may
// hear of the erasure long after it is said to be done.
func (s *Service) eraseStreams(ctx context.Context, t accounts.Tombstone) error {
	facts, err := s.bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return fmt.Errorf("find EVENTS: %w", err)
	}
	if err := eraseEvents(ctx, facts, t.AccountID); err != nil {
		return err
	}
	if err := s.eraseCopy(ctx, t.AccountID); err != nil {
		return err
	}
	dead, err := s.bus.JetStream().Stream(ctx, events.StreamDead)
	if err != nil {
		return fmt.Errorf("find DEAD: %w", err)
	}
	for _, subject := range []string{events.PostFacts(t.AccountID, "*", "*"), events.AccountFacts(t.AccountID, "*")} {
		if err := dead.Purge(ctx, jetstream.WithPurgeSubject(events.Dead(subject))); err != nil {
			return fmt.Errorf("erase from DEAD: %w", err)
		}
	}
	for _, subject := range tokenSubjects(t.AccountID) {
		if err := s.bus.Disarm(ctx, events.StreamTokenAlarms, subject); err != nil {
			return err
		}
	}
	return s.eraseLetters(ctx, dead, t)
}

// tokenSubjects are what TOKEN_ALARMS keeps of an account.
func tokenSubjects(accountID string) []string {
	return []string{events.TokenAlarm(accountID), events.TokenDue(accountID)}
}

// eraseCopy takes an account's events from what readers read. The copy has them by then, or never will: what was erased from
// EVENTS before it was copied is not copied.
func (s *Service) eraseCopy(ctx context.Context, accountID string) error {
	if err := s.bus.CopyCaughtUp(ctx); err != nil {
		return err
	}
	facts, err := s.bus.Copy(ctx)
	if err != nil || facts == nil {
		return err
	}
	return eraseEvents(ctx, facts, accountID)
}

// eraseEvents takes an account's events from EVENTS or its copy, but for that of its erasure.
func eraseEvents(ctx context.Context, stream jetstream.Stream, accountID string) error {
	left, err := subjectsLeft(ctx, stream, accountID, events.AccountFacts(accountID, "*"))
	if err != nil {
		return err
	}
	for _, subject := range append(left, events.PostFacts(accountID, "*", "*")) {
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return fmt.Errorf("erase from EVENTS: %w", err)
		}
	}
	return nil
}

// cameBack says whether there is anything of an erased account again.
func (s *Service) cameBack(ctx context.Context, t accounts.Tombstone) (bool, error) {
	facts, err := s.bus.JetStream().Stream(ctx, events.StreamEvents)
	if err != nil {
		return false, fmt.Errorf("find EVENTS: %w", err)
	}
	readers, err := s.bus.Copy(ctx)
	if err != nil {
		return false, err
	}
	for _, stream := range []jetstream.Stream{facts, readers} {
		if stream == nil {
			continue
		}
		left, err := subjectsLeft(ctx, stream, t.AccountID,
			events.AccountFacts(t.AccountID, "*"), events.PostFacts(t.AccountID, "*", "*"))
		if err != nil || len(left) > 0 {
			return err == nil, err
		}
	}
	alarms, err := s.bus.JetStream().Stream(ctx, events.StreamTokenAlarms)
	if err != nil {
		return false, fmt.Errorf("find TOKEN_ALARMS: %w", err)
	}
	left, err := subjectsLeft(ctx, alarms, t.AccountID, tokenSubjects(t.AccountID)...)
	if err != nil || len(left) > 0 {
		return err == nil, err
	}
	return queue.Any(ctx, s.db, t.AccountID)
}

// subjectsLeft are the subjects of an account on a stream, but for the event of its erasure.
func subjectsLeft(
	ctx context.Context, stream jetstream.Stream, accountID string, filters ...string,
) (subjects []string, err error) {
	for _, filter := range filters {
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return nil, fmt.Errorf("list an account's messages: %w", err)
		}
		for subject := range info.State.Subjects {
			if subject != (events.AccountErased{AccountID: accountID}).Subject() {
				subjects = append(subjects, subject)
			}
		}
	}
	return subjects, nil
}

// A letter is a command that was set aside, as far as it says whom it is about. Its subject does not: many a command names
// nothing but a post, or leaves the account out where the user has only one.
type letter struct {
	seq       uint64
	UserID    string `json:"userId"`
	AccountID string `json:"accountId"`
	PostID    string `json:"postId"`
	ID        string `json:"id"` // DeletePost's word for it
	Draft     struct {
		AccountID string `json:"accountId"`
	} `json:"draft"`
	raw []byte
}

// eraseLetters takes out of DEAD the commands of the account: those that name it, and those of its user that could be about
// it. Of the latter one too many is a failure that its sender knows already; one too few is somebody's words left behind.
func (s *Service) eraseLetters(ctx context.Context, dead jetstream.Stream, t accounts.Tombstone) error {
	var own []letter
	for next := uint64(1); ; {
		m, err := dead.GetMsg(ctx, next, jetstream.WithGetMsgSubject(events.Dead(events.EveryCommand)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return fmt.Errorf("read DEAD: %w", err)
		}
		next = m.Sequence + 1
		l := letter{seq: m.Sequence, raw: m.Data}
		_ = json.Unmarshal(m.Data, &l) // a torn one names nobody, or is found by the account's id in it
		if l.UserID == t.UserID || strings.Contains(string(m.Data), t.AccountID) {
			own = append(own, l)
		}
	}
	others, err := s.postsOfOthers(ctx, own, t.AccountID)
	if err != nil {
		return err
	}
	for _, l := range own {
		if l.elsewhere(t.AccountID, others) {
			continue
		}
		err := dead.SecureDeleteMsg(ctx, l.seq)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("erase a letter from DEAD: %w", err)
		}
	}
	return nil
}

// elsewhere says that a letter is about another account of its user.
func (l letter) elsewhere(accountID string, others []string) bool {
	if strings.Contains(string(l.raw), accountID) {
		return false
	}
	return l.AccountID != "" || l.Draft.AccountID != "" || slices.Contains(others, l.PostID) || slices.Contains(others, l.ID)
}

// postsOfOthers are those of the posts that letters name which belong to another account.
func (s *Service) postsOfOthers(ctx context.Context, letters []letter, accountID string) (ids []string, err error) {
	if len(letters) == 0 {
		return nil, nil
	}
	var named []string
	for _, l := range letters {
		named = append(named, l.PostID, l.ID)
	}
	return queue.OfOthers(ctx, s.db, named, accountID)
}
