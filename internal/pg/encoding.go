package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
)

// ErrEncoding means that the database cannot hold every character that people write.
var ErrEncoding = errors.New("is not encoded in UTF8")

// refuseEncoding refuses a database that is not encoded in UTF8: a cluster that was made in the locale C is not, unless its maker
// asked for it, and the encoding of a database cannot be changed.
func refuseEncoding(ctx context.Context, pool *sql.DB) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		pgxConn, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("the database was not opened by pg.Open")
		}
		is := pgxConn.Conn().PgConn().ParameterStatus("server_encoding")
		if is == "" || is == "UTF8" { // a pooler may not say
			return nil
		}
		name := pgxConn.Conn().Config().Database
		return fmt.Errorf("the database %s %w but in %s, which cannot be changed; make another one (CREATE DATABASE … ENCODING 'UTF8' "+
			"TEMPLATE template0) and name it in DATABASE_URL", name, ErrEncoding, is)
	})
}
