-- Commands that need a call to Threads on behalf of an owner, besides publishing. They wait here and not on the stream:
-- of each user a few are worked on at a time, and the others of that user wait in nobody's way.
CREATE TABLE owner_calls (
    command_id  text PRIMARY KEY,
    user_id     text NOT NULL,
    type        text NOT NULL,
    meta        json NOT NULL,                -- the command's headers
    body        json NOT NULL,                -- the command; it has ids and no words of anybody
    wake_at     timestamptz NOT NULL,
    tries       integer NOT NULL DEFAULT 0,   -- since something was achieved
    failures    integer NOT NULL DEFAULT 0,   -- of ours, not of Threads'
    lease       text,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL
);

CREATE INDEX owner_calls_wake ON owner_calls (wake_at);
CREATE INDEX owner_calls_user ON owner_calls (user_id);
