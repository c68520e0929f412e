package engagement

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

const (
	// importFor is how long an import is tried; with its pauses a full one takes some minutes.
	importFor = 6 * time.Hour
	// importStale is when an import that nobody works on may be followed by another.
	importStale = 10 * time.Minute
)

// The values of an import's status and of the list it reads.
const (
	importRunning = "running"
	importDone    = "done"
	importFailed  = "failed"
	listPosts     = "posts"
	listReplies   = "replies"
)

// historyImport is how far the import of an account's history has come. It survives a crash page by page.
type historyImport struct {
	bun.BaseModel `bun:"table:history_imports"`

	AccountID   string        `bun:"account_id,pk"`
	UserID      string        `bun:"user_id"`
	CommandID   string        `bun:"command_id"`
	Status      string        `bun:"status"`
	Since       time.Time     `bun:"since,nullzero"`
	Until       time.Time     `bun:"until"`
	WithReplies bool          `bun:"with_replies"`
	List        string        `bun:"list"`
	Cursor      string        `bun:"cursor"`
	Reached     time.Time     `bun:"reached,nullzero"` // the oldest of this list
	Pages       int           `bun:"pages"`
	Listed      int           `bun:"listed"`
	Imported    int           `bun:"imported"`
	Known       int           `bun:"known"`
	HeldBack    int           `bun:"held_back"`
	Oldest      time.Time     `bun:"oldest,nullzero"`
	Fault       *events.Fault `bun:"fault,type:jsonb,nullzero"`
	StartedAt   time.Time     `bun:"started_at"`
	UpdatedAt   time.Time     `bun:"updated_at"`
	FinishedAt  time.Time     `bun:"finished_at,nullzero"`
}

func (h *historyImport) view() asks.HistoryImport {
	return asks.HistoryImport{
		AccountID: h.AccountID, CommandID: h.CommandID, Status: h.Status,
		Listed: h.Listed, Imported: h.Imported, Known: h.Known, HeldBack: h.HeldBack,
		Oldest: posts.OptionalTime(h.Oldest), Fault: h.Fault,
		StartedAt: posts.OptionalTime(h.StartedAt), UpdatedAt: posts.OptionalTime(h.UpdatedAt), FinishedAt: posts.OptionalTime(h.FinishedAt),
	}
}

// GetHistoryImport answers how the last import of an account's history stands.
func (s *Service) GetHistoryImport(ctx context.Context, q asks.GetHistoryImport) (asks.HistoryImport, error) {
	account, err := accounts.Resolve(ctx, s.side, q.UserID, q.AccountID)
	if err != nil {
		return asks.HistoryImport{}, err
	}
	h := new(historyImport)
	err = s.side.NewSelect().Model(h).Where("account_id = ?", account.ID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return asks.HistoryImport{AccountID: account.ID, Status: "none"}, nil
	}
	if err != nil {
		return asks.HistoryImport{}, fmt.Errorf("read the import: %w", err)
	}
	if h.Status == importRunning { // its command may be a dead letter, which nobody finishes
		if c, err := commands.Find(ctx, s.side, h.CommandID); err == nil && c != nil {
			if o, done := c.Done(); done && o.Fault != nil {
				h.Status, h.Fault = importFailed, o.Fault
			}
		}
	}
	return h.view(), nil
}

// ImportHistory imports the posts that an account made elsewhere: it reads the account's own lists, one page a call, and emits each
// post that has no row yet. Its progress is saved with every page; after a crash it goes on there.
func (s *Service) ImportHistory(ctx context.Context, d bus.Delivery, cmd events.ImportHistory) (any, error) {
	return s.calls.Once(ctx, d, cmd, func(ctx context.Context) (any, error) { return s.importNext(ctx, d, cmd) })
}

// importNext imports the next page, and is done with the last.
func (s *Service) importNext(ctx context.Context, d bus.Delivery, cmd events.ImportHistory) (any, error) {
	h, err := s.beginImport(ctx, d, cmd)
	if err != nil {
		return nil, err
	}
	if h.Status == importRunning {
		switch err := s.importPage(ctx, h); {
		case errors.Is(err, posts.ErrLost):
			return nil, bus.Later(time.Second) // another worker goes on with it
		case errors.Is(err, &events.Fault{Code: events.Unavailable}), errors.Is(err, &events.Fault{Code: events.RateLimited}):
			if s.now().Sub(h.StartedAt) < importFor {
				return nil, bus.Later(max(ownercalls.RetryAfter(err), clock.Backoff(int(min(d.Deliveries, 20)))))
			}
			gaveUp := events.Faultf(events.Missed,
				"Threads did not answer for hours, so the import was ended; begin it again, it takes up what is missing.")
			if err := s.endImport(ctx, h, gaveUp); err != nil {
				return nil, err
			}
		case err != nil:
			fault := commands.Refusal(err)
			if fault == nil {
				return nil, err
			}
			if err := s.endImport(ctx, h, fault); err != nil {
				return nil, err
			}
		}
	}
	if h.Status == importRunning {
		return nil, ownercalls.ErrMore
	}
	if h.Fault != nil {
		return nil, h.Fault
	}
	return h.view(), nil
}

// beginImport makes the import's row, or finds the one that this very command made before.
func (s *Service) beginImport(ctx context.Context, d bus.Delivery, cmd events.ImportHistory) (*historyImport, error) {
	account, err := accounts.Resolve(ctx, s.db, cmd.UserID, cmd.AccountID)
	if err != nil {
		return nil, err
	}
	if err := account.MayUse(threads.ScopeBasic); err != nil {
		return nil, err
	}
	if cmd.Replies {
		if err := account.MayUse(threads.ScopeReadReplies); err != nil {
			return nil, err
		}
	}
	now := s.now().UTC()
	fresh := historyImport{
		AccountID: account.ID, UserID: cmd.UserID, CommandID: d.Meta.ID, Status: importRunning,
		Since: cmd.Since, Until: now.Add(-s.cfg.HistorySettle), WithReplies: cmd.Replies, List: listPosts,
		StartedAt: now, UpdatedAt: now,
	}
	if _, err := s.pageQuery(0, "", cmd.Since, fresh.Until); err != nil {
		return nil, err
	}
	h := new(historyImport)
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		// An existing row is locked; where there is none, two commands meet at the key, and the insert decides.
		err := tx.NewSelect().Model(h).Where("account_id = ?", account.ID).For("UPDATE").Scan(ctx)
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("read the import: %w", err)
		case err == nil && h.CommandID == d.Meta.ID:
			return nil // begun by this command, which goes on
		}
		*h = fresh
		res, err := tx.NewInsert().Model(&fresh).On("CONFLICT (account_id) DO UPDATE").
			Set("user_id = EXCLUDED.user_id, command_id = EXCLUDED.command_id, status = EXCLUDED.status").
			Set("since = EXCLUDED.since, until = EXCLUDED.until, with_replies = EXCLUDED.with_replies").
			Set("list = EXCLUDED.list, cursor = '', reached = NULL, pages = 0, listed = 0, imported = 0, known = 0, held_back = 0").
			Set("oldest = NULL, fault = NULL, finished_at = NULL").
			Set("started_at = EXCLUDED.started_at, updated_at = EXCLUDED.updated_at").
			Where("history_import.status <> ? OR history_import.updated_at < ?", importRunning, now.Add(-importStale)).Exec(ctx)
		if err := posts.Changed(res, err); err != nil {
			return fmt.Errorf("begin the import: %w", err)
		}
		return nil
	})
	if errors.Is(err, posts.ErrLost) {
		return nil, events.Faultf(events.Conflict, "The history of this account is being imported already; look how far it is.")
	}
	return h, err
}

// importPage reads one page, emits what is new in it, and saves the progress. A crash before the saving has the page read again:
// what was emitted by then has a row.
func (s *Service) importPage(ctx context.Context, h *historyImport) error {
	account, err := accounts.Resolve(ctx, s.side, h.UserID, h.AccountID)
	if err != nil {
		return err
	}
	was := *h
	next := *h
	page, err := s.historyPage(ctx, account, h)
	if errors.Is(err, errCursorDead) {
		// Cursors may die with the post that they stand for: the list is read again from the oldest post seen in it.
		next.Cursor, next.Until = "", h.Reached.Add(time.Second)
		return s.saveImport(ctx, &was, &next, h)
	}
	if err != nil {
		return err
	}
	if err := s.importNew(ctx, account, &next, page.Data); err != nil {
		return err
	}
	next.Pages++
	next.Cursor = page.After
	switch {
	case page.After != "" && next.Pages < s.cfg.HistoryPages:
	case next.List == listPosts && next.WithReplies && next.Pages < s.cfg.HistoryPages:
		next.List, next.Until, next.Reached = listReplies, next.StartedAt.Add(-s.cfg.HistorySettle), time.Time{}
	default:
		next.Status, next.FinishedAt = importDone, s.now().UTC()
	}
	return s.saveImport(ctx, &was, &next, h)
}

// errCursorDead says that Threads does not take a cursor any more.
var errCursorDead = errors.New("threads does not take the cursor")

func (s *Service) historyPage(ctx context.Context, account accounts.Account, h *historyImport) (threads.Page, error) {
	list, scope := s.api.Posts, threads.ScopeBasic
	if h.List == listReplies {
		list, scope = s.api.Replies, threads.ScopeReadReplies
	}
	return ownercalls.Do(ctx, s.calls, account, scope, func(ctx context.Context, a ownercalls.Access) (threads.Page, error) {
		page, err := list(ctx, a.Token, threads.ListQuery{Since: h.Since, Until: h.Until, After: h.Cursor, Limit: threads.MaxPage})
		further := !h.Reached.IsZero() && h.Reached.Before(h.Until.Add(-time.Second)) // else it would begin where it began before
		if threads.ClassOf(err) == threads.Invalid && h.Cursor != "" && further {
			return page, errCursorDead
		}
		return page, err
	})
}

// importNew emits the posts of a page that have no row yet, and applies them. A post that could be one of ours whose outcome is not
// known is left out: once the outcome is known, the next import decides.
func (s *Service) importNew(ctx context.Context, account accounts.Account, h *historyImport, page []threads.Media) error {
	ids := make([]string, len(page))
	var first, last time.Time
	for i, m := range page {
		ids[i] = m.ID
		if first.IsZero() || m.Timestamp.Before(first) && !m.Timestamp.IsZero() {
			first = m.Timestamp
		}
		last = clock.Latest(last, m.Timestamp)
	}
	if last.IsZero() {
		return nil // the page that proves the end
	}
	known, err := s.posts.IDsByMediaID(ctx, s.side, account.ID, ids)
	if err != nil {
		return err
	}
	doubtful, err := s.posts.WithoutOutcome(ctx, s.side, account, first.Add(-(draft.MaxPublishWithin+60)*time.Second), last.Add(2*posts.LookBack))
	if err != nil {
		return err
	}
	var facts []events.Event
	var imported []events.PostEvent
	for _, m := range page {
		h.Listed++
		switch {
		case known[m.ID] != "":
			h.Known++
		case m.Timestamp.IsZero() || m.Timestamp.After(h.Until) || mayBeOurs(doubtful, m):
			h.HeldBack++
		default:
			p := posts.Imported(account, m, s.now())
			p.Rev, p.Fact = 1, events.FactImported
			p.ReplyTo, p.QuotePostID, p.RepostOf = m.ReplyToID, m.QuotedID, m.RepostedID
			p.Canonicalize()
			if err := draft.CheckSize(p); err != nil || strings.ContainsRune(p.Text, 0) {
				// Neither an event nor a row can hold it; the other posts of its page are imported all the same.
				s.log.Warn("a post of a history cannot be imported", zap.String("account_id", account.ID), zap.String("media_id", m.ID))
				h.HeldBack++
				continue
			}
			h.Imported++
			ev := events.NewPostEvent(events.FactImported, p.Snapshot())
			facts = append(facts, ev)
			imported = append(imported, ev)
		}
	}
	h.Oldest, h.Reached = earlier(h.Oldest, first), earlier(h.Reached, first)
	if len(facts) == 0 {
		return nil
	}
	if s.erased(account.ID) {
		return fmt.Errorf("the account is erased: %w", posts.ErrLost)
	}
	if err := s.bus.Emit(ctx, facts...); err != nil {
		return fmt.Errorf("emit what was imported: %w", err)
	}
	return s.apply(ctx, imported...)
}

// earlier is the earlier of two times; a first that is zero counts as none.
func earlier(known, t time.Time) time.Time {
	if known.IsZero() || t.Before(known) {
		return t
	}
	return known
}

// mayBeOurs says whether a listed post has the text of one of ours whose outcome is not known.
func mayBeOurs(doubtful []posts.Post, m threads.Media) bool {
	for i := range doubtful {
		p := &doubtful[i]
		text, _ := p.Content()
		if posts.Matches(p, m) || posts.Normalise(text) == posts.Normalise(m.Text) {
			return true
		}
	}
	return false
}

// saveImport saves one step, provided that nobody else took it. h becomes what was saved.
func (s *Service) saveImport(ctx context.Context, was, next, h *historyImport) error {
	next.UpdatedAt = s.now().UTC()
	res, err := s.db.NewUpdate().Model(next).ExcludeColumn("account_id", "user_id", "command_id", "started_at").
		Where("account_id = ? AND command_id = ? AND status = ? AND pages = ? AND list = ? AND cursor = ?",
			was.AccountID, was.CommandID, importRunning, was.Pages, was.List, was.Cursor).Exec(ctx)
	if err := posts.Changed(res, err); err != nil {
		return fmt.Errorf("save the import: %w", err)
	}
	*h = *next
	return nil
}

func (s *Service) endImport(ctx context.Context, h *historyImport, fault *events.Fault) error {
	next := *h
	next.Status, next.Fault, next.FinishedAt = importFailed, fault, s.now().UTC()
	s.log.Info("import of a history ended early", zap.String("account_id", h.AccountID), zap.String("code", string(fault.Code)))
	return s.saveImport(ctx, h, &next, h)
}
