# Run once, when Postgres of compose.yaml makes its database: it gets an owner who is not the superuser, and who may make the
# services' roles.
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/postgres_password)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
CREATE ROLE app LOGIN CREATEROLE PASSWORD :'password';
ALTER DATABASE app OWNER TO app;
ALTER SCHEMA public OWNER TO app;
SQL
