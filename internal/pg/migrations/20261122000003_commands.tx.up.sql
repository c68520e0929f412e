-- What became of each command: a redelivery, or a repeat under the same Idempotency-Key, is answered from here.
CREATE TABLE commands (
    id          text PRIMARY KEY,
    user_id     text NOT NULL,
    key         text,                     -- the caller's Idempotency-Key
    body_hash   text NOT NULL DEFAULT '',
    type        text NOT NULL,
    post_id     text,
    outcome     jsonb,                    -- NULL while it is worked on
    outcome_to  text NOT NULL DEFAULT '', -- inbox that waits for it
    created_at  timestamptz NOT NULL,
    finished_at timestamptz
);

CREATE UNIQUE INDEX commands_key ON commands (user_id, key) WHERE key IS NOT NULL;
CREATE INDEX commands_pending ON commands (post_id) WHERE outcome IS NULL;
