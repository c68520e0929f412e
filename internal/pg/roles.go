package pg

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
)

// every is the right to all rows of a table, and to nothing else of it.
const every = "SELECT, INSERT, UPDATE, DELETE"

// RolePrefix begins the names of the services' roles: threads_auth and so on.
const RolePrefix = "threads_"

// rights are what each service needs of which table; "*" is every table. Nobody but migrate, the owner, changes tables.
var rights = map[string]map[string]string{ //nolint:gochecknoglobals // a table
	"auth": {
		"social_connections": every, "erasures": every, "erased_accounts": every, "webhooks_heard": every, "commands": every,
		"oauth_grants":  every,
		"posts":         "SELECT, UPDATE", // whose a post is; a disconnect takes back what waits
		migrationsTable: "SELECT",
	},
	"tokenkeeper": {
		"social_connections": every, "commands": every, "webhook_endpoints": "SELECT, UPDATE", // it seals secrets anew
		"posts": "SELECT, UPDATE", "erasures": "SELECT", "erased_accounts": "SELECT",
		migrationsTable: "SELECT",
	},
	"publisher": {"*": every, migrationsTable: "SELECT"},
	"ops":       {"*": every, migrationsTable: "SELECT"},
}

const (
	migrationsTable = "bun_migrations"
	// makesTables is whose role may make tables of its own: `rebuild` makes a second one of posts.
	makesTables = "ops"
)

// Roles are the services that have a role of their own.
func Roles() []string { return slices.Sorted(maps.Keys(rights)) }

// MakeRoles makes the services' roles, or gives them other passwords. Whoever db connects as must be allowed to make roles.
func MakeRoles(ctx context.Context, db *bun.DB, password map[string]string) error {
	for _, service := range Roles() {
		secret := password[service]
		if secret == "" {
			return fmt.Errorf("make the role of %s: it has no password", service)
		}
		verifier, err := scram(secret)
		if err != nil {
			return fmt.Errorf("make the role of %s: %w", service, err)
		}
		role := RolePrefix + service
		verb := "ALTER"
		there, err := roleExists(ctx, db, role)
		if err != nil {
			return fmt.Errorf("make the role of %s: %w", service, err)
		}
		if !there {
			verb = "CREATE"
		}
		// The server gets what it checks a password by, not the password: its log may show statements.
		if _, err := db.ExecContext(ctx, verb+" ROLE ? LOGIN PASSWORD ?", bun.Ident(role), verifier); err != nil {
			return fmt.Errorf("make the role of %s (does migrate connect as one who may make roles?): %w", service, err)
		}
	}
	return nil
}

// Grant gives each service's role, where there is one, what the service needs.
func Grant(ctx context.Context, db *bun.DB) error {
	for _, service := range Roles() {
		role := RolePrefix + service
		there, err := roleExists(ctx, db, role)
		if err != nil {
			return fmt.Errorf("grant %s its rights: %w", service, err)
		}
		if !there {
			continue
		}
		if err := InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error { return grant(ctx, tx, role, rights[service]) }); err != nil {
			return fmt.Errorf("grant %s its rights: %w", service, err)
		}
	}
	return nil
}

func grant(ctx context.Context, tx bun.Tx, role string, all map[string]string) error {
	var schema string
	if err := tx.NewRaw("SELECT current_schema()").Scan(ctx, &schema); err != nil {
		return err
	}
	// One at a time: two who change the same rights would trip over one another.
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtext(?))", role); err != nil {
		return err
	}
	to, in := pgx.Identifier{role}.Sanitize(), pgx.Identifier{schema}.Sanitize()
	usage := "USAGE"
	if role == RolePrefix+makesTables {
		usage = "USAGE, CREATE"
	}
	if _, err := tx.ExecContext(ctx, "GRANT "+usage+" ON SCHEMA "+in+" TO "+to); err != nil {
		return err
	}
	// Not those that `rebuild` has made: they are its own.
	var tables []string
	if err := tx.NewRaw("SELECT tablename FROM pg_tables WHERE schemaname = ? AND pg_has_role(tableowner, 'USAGE') AND tableowner <> ?", schema, role).Scan(ctx, &tables); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := tx.ExecContext(ctx, "REVOKE ALL ON "+pgx.Identifier{schema, table}.Sanitize()+" FROM "+to); err != nil {
			return err
		}
		what := all[table]
		if what == "" && table != migrationsTable && table != "bun_migration_locks" {
			what = all["*"]
		}
		if what == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, "GRANT "+what+" ON "+pgx.Identifier{schema, table}.Sanitize()+" TO "+to); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA "+in+" TO "+to)
	return err
}

func roleExists(ctx context.Context, db bun.IDB, role string) (there bool, err error) {
	return there, db.NewRaw("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = ?)", role).Scan(ctx, &there)
}

// scram is a password as Postgres keeps it, SCRAM-SHA-256 of RFC 7677. The library that connects has no word for it.
func scram(password string) (string, error) {
	for _, r := range password {
		if r < ' ' || r > '~' {
			return "", errors.New("a role's password is made of plain letters, digits and marks")
		}
	}
	const rounds = 4096
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	key := func(name string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(name))
		return m.Sum(nil)
	}
	stored, text := sha256.Sum256(key("Client Key")), base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, text(salt), text(stored[:]), text(key("Server Key"))), nil
}
