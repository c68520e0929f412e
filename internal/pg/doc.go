// Package pg is how this system talks to Postgres: opening a pool that bun can use, transactions, the errors that
// services tell apart, and the schema's migrations. SQL on a table belongs to the table's owner, not here.
package pg
