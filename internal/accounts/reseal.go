package accounts

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/vault"
)

// sealedPlace is a column with secrets that a Vault has sealed. Whoever seals more, adds theirs here: a key that is
// retired while a place is forgotten takes that place's secrets with it. A test looks through the tables for one.
type sealedPlace struct {
	table, column string
	// name is put before the row's id where the vault is told for whom something is sealed.
	name string
	// free says which rows may be written; empty means all.
	free string
	// brief says that its rows live for minutes: they are counted, so that their key is not retired before they are gone, and
	// not sealed anew.
	brief bool
}

var sealedPlaces = []sealedPlace{
	// Who holds a live lease compares the bytes that were read with those in the row: RequireReconnect.
	{table: "social_connections", column: "access_token", free: "(refresh_lease IS NULL OR refresh_lease_until < now())"},
	{table: "webhook_endpoints", column: "secret", name: "webhook|"},
	{table: "webhook_endpoints", column: "old_secret", name: "webhook|"},
	{table: "oauth_grants", column: "access_token", brief: true},
}

// SealedWith counts the sealed secrets of the database by the key that they are sealed with. Key 0 are those that do not
// look sealed at all; there should be none.
func SealedWith(ctx context.Context, db bun.IDB) (map[uint32]int, error) {
	counts := map[uint32]int{}
	for _, p := range sealedPlaces {
		var rows []struct {
			Prefix []byte
			N      int
		}
		err := db.NewSelect().TableExpr("?", bun.Ident(p.table)).
			ColumnExpr("substring(? from 1 for 5) AS prefix, count(*) AS n", bun.Ident(p.column)).
			Where("? IS NOT NULL", bun.Ident(p.column)).GroupExpr("1").Scan(ctx, &rows)
		if err != nil {
			return nil, fmt.Errorf("count what is sealed in %s: %w", p.table, err)
		}
		for _, r := range rows {
			var id uint32
			if len(r.Prefix) == vault.PrefixLen && r.Prefix[0] == vault.TinkPrefix {
				id = binary.BigEndian.Uint32(r.Prefix[1:])
			}
			counts[id] += r.N
		}
	}
	return counts, nil
}

// Resealed is what a pass has done.
type Resealed struct {
	// Done were sealed anew with the primary key; Left still are with another one, because they were in use or could not be
	// opened.
	Done, Left int
	// Failed are those that could not be opened, with why.
	Failed error
}

// Reseal seals with the vault's primary key what is sealed with another one, a batch at a time, until nothing is left that it
// can. It changes neither a secret nor anything that an event carries, and any number may do it at once: a row that
// changes meanwhile stays as the other one wrote it.
func Reseal(ctx context.Context, db bun.IDB, v *vault.Vault, batch int64) (done Resealed, err error) {
	for _, p := range sealedPlaces {
		if p.brief {
			continue
		}
		some, err := p.anyOld(ctx, db, v.Primary())
		if err == nil && some {
			err = p.resealAll(ctx, db, v, batch, &done)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (p sealedPlace) resealAll(ctx context.Context, db bun.IDB, v *vault.Vault, batch int64, done *Resealed) error {
	for after, more := "", true; more; {
		var rows []struct {
			ID     string
			Sealed []byte
		}
		err := db.NewSelect().TableExpr("?", bun.Ident(p.table)).ColumnExpr("id, ? AS sealed", bun.Ident(p.column)).
			Where("id > ?", after).
			Where("substring(? from 1 for 5) <> ?", bun.Ident(p.column), vault.PrefixOf(v.Primary())). // never true of NULL
			Order("id").Limit(batch).Scan(ctx, &rows)
		if err != nil {
			return fmt.Errorf("look for what is sealed with an old key: %w", err)
		}
		for _, r := range rows {
			after = r.ID
			ok, err := p.reseal(ctx, db, v, r.ID, r.Sealed)
			switch {
			case ok:
				done.Done++
			case err != nil && !vault.Unopened(err):
				return err
			default:
				done.Left++
				done.Failed = errors.Join(done.Failed, err)
			}
		}
		more = int64(len(rows)) == batch
	}
	return nil
}

// anyOld says whether there is something to do, which there hardly ever is. Asked like this an index answers.
func (p sealedPlace) anyOld(ctx context.Context, db bun.IDB, primary uint32) (some bool, err error) {
	prefix, column, table := vault.PrefixOf(primary), bun.Ident(p.column), bun.Ident(p.table)
	err = db.NewRaw(`SELECT EXISTS (SELECT 1 FROM ? WHERE substring(? from 1 for 5) < ?)
		OR EXISTS (SELECT 1 FROM ? WHERE substring(? from 1 for 5) > ?)`, table, column, prefix, table, column, prefix).Scan(ctx, &some)
	if err != nil {
		return false, fmt.Errorf("look for what is sealed with an old key: %w", err)
	}
	return some, nil
}

func (p sealedPlace) reseal(ctx context.Context, db bun.IDB, v *vault.Vault, id string, was []byte) (bool, error) {
	secret, err := v.Open(p.name+id, was)
	if err != nil {
		return false, err
	}
	is, err := v.Seal(p.name+id, secret)
	if err != nil {
		return false, err
	}
	if bytes.Equal(is[:vault.PrefixLen], was[:vault.PrefixLen]) {
		return false, nil // the primary has just gone back to what it was
	}
	q := db.NewUpdate().TableExpr("?", bun.Ident(p.table)).Set("? = ?", bun.Ident(p.column), is).
		Where("id = ? AND ? = ?", id, bun.Ident(p.column), was)
	if p.free != "" {
		q = q.Where(p.free)
	}
	res, err := q.Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("seal anew in %s: %w", p.table, err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
