package posts

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
)

// Acceptance is a new post on its way into the table, with the record of the command that names it.
type Acceptance struct {
	Command commands.Command
	Post    *Post // nil: refused, and only that is noted
}

// Accept writes many in one statement. Whatever is not plain about one is batch.ErrAlone, and nothing of it is written: its command or its
// post is known already, its account is no longer connected, or is being changed and may be going. The accounts of the others are
// held as they are meanwhile: one that is erased must not be given another post.
func (s *Store) Accept(ctx context.Context, items []Acceptance) []error {
	errs := make([]error, len(items))
	at := make(map[string]int, len(items))
	var records []commands.Command
	var list []Post
	var accounts []string
	ofPost := map[string]bool{}
	for i, a := range items {
		errs[i] = batch.ErrAlone
		if ofPost[a.Command.PostID] { // the second must find the first
			continue
		}
		at[a.Command.ID], ofPost[a.Command.PostID] = i, true
		records = append(records, a.Command)
		if a.Post != nil {
			a.Post.Canonicalize()
			list, accounts = append(list, *a.Post), append(accounts, a.Post.AccountID)
		}
	}
	var noted []string
	err := pg.Alone(func() error { return accept(ctx, s.DB, records, list, accounts, &noted) })
	if len(items) == 1 && errors.Is(pg.Map(err), pg.ErrExists) { // the post
		return errs
	}
	if err != nil {
		return batch.All(len(items), fmt.Errorf("write new posts: %w", err))
	}
	for _, id := range noted {
		errs[at[id]] = nil
	}
	return errs
}

// accept makes the statement. Commands are written in the order of their ids, so that two batches cannot wait for each other.
func accept(ctx context.Context, db *bun.DB, records []commands.Command, list []Post, accounts []string, noted *[]string) error {
	c, err := pg.NewRows(db, 2, &records)
	if err != nil {
		return err
	}
	p, err := pg.NewRows(db, 2+len(c.Args), &list)
	if err != nil {
		return err
	}
	text := `WITH c AS (` + c.From + `), p AS (` + p.From + `),
		held AS (SELECT id FROM social_connections WHERE id = ANY($1::text[]) AND status <> '` + string(events.ConnectionDisconnected) + `'
			ORDER BY id FOR SHARE SKIP LOCKED),
		noted AS (INSERT INTO commands (` + c.Columns + `) SELECT ` + c.Columns + ` FROM c
			WHERE post_id NOT IN (SELECT id FROM p WHERE account_id NOT IN (SELECT id FROM held))
			ORDER BY id ON CONFLICT DO NOTHING RETURNING id, post_id),
		written AS (INSERT INTO posts (` + p.Columns + `) SELECT ` + p.Columns + ` FROM p WHERE id IN (SELECT post_id FROM noted))
		SELECT id FROM noted`
	return pg.Prepared(ctx, db, text, append(append([]any{accounts}, c.Args...), p.Args...), noted)
}
