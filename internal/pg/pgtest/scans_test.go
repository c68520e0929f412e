package pgtest

import (
	"strings"
	"testing"
)

// What is found in a plan, and what is not.
func TestScannedBy(t *testing.T) {
	t.Parallel()
	db := New(t)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := pretend(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	first, err := firstColumns(t.Context(), conn)
	if err != nil || first["posts_account_open"] != "account_id" {
		t.Fatalf("%v, %v", first, err)
	}
	for query, want := range map[string]string{
		"SELECT text FROM posts WHERE id = ANY($1)":                                                "",
		"SELECT text FROM posts WHERE text = ANY($1)":                                              "reads all of",
		"SELECT * FROM posts WHERE id = 'x'":                                                       "",
		"SELECT count(*) FROM posts WHERE account_id = 'x'":                                        "reads all of",
		"DELETE FROM post_attempts WHERE post_id IN ('a', 'b')":                                    "",
		"SELECT * FROM posts WHERE told_rev < rev ORDER BY updated_at LIMIT 500":                   "",
		"SELECT * FROM social_connections WHERE username = 'x'":                                    "",
		"SELECT * FROM posts WHERE text = 'x'":                                                     "reads all of",
		"SELECT id FROM posts ORDER BY id LIMIT 500":                                               "reads all of the index posts_pkey",
		"SELECT * FROM posts WHERE publish_at < now() AND kind <> 'imported'":                      "reads all of",
		"UPDATE commands SET outcome = NULL WHERE body_hash = 'x'":                                 "reads all of commands",
		"WITH a AS (SELECT 1 AS n) SELECT * FROM a WHERE EXISTS (SELECT FROM posts WHERE rev = n)": "reads all of",
	} {
		found, err := scannedBy(t.Context(), conn, first, statement{query: query, parameters: strings.Count(query, "$")})
		if got := strings.Join(found, "; "); err != nil || !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
}
