-- Webhooks of Meta, which come in.

-- What Meta told us and we have told on EVENTS: it tries for 36 hours, longer than JetStream remembers ids.
CREATE TABLE webhooks_heard (
    event_id text PRIMARY KEY,
    at       timestamptz NOT NULL
);

CREATE INDEX webhooks_heard_at ON webhooks_heard (at);

-- Posts that Threads says are gone. The word may come before we know the post's id: then it waits here for the row.
CREATE TABLE posts_gone (
    account_id text NOT NULL,
    media_id   text NOT NULL,
    gone_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, media_id)
);

CREATE INDEX posts_gone_at ON posts_gone (gone_at);

-- Whose account a webhook is about.
CREATE INDEX social_connections_threads ON social_connections (provider_user_id);
CREATE INDEX social_connections_username ON social_connections (lower(username));
CREATE INDEX posts_media_id ON posts (media_id) WHERE media_id IS NOT NULL;

-- Webhooks of ours, which go out.

CREATE TABLE webhook_endpoints (
    id            text PRIMARY KEY,
    user_id       text NOT NULL,
    url           text NOT NULL,
    description   text NOT NULL DEFAULT '',
    facts         text[] NOT NULL DEFAULT '{}',   -- names; none means all
    account_id    text NOT NULL DEFAULT '',       -- only this account's; '' means all
    secret        bytea NOT NULL,                 -- sealed
    old_secret    bytea,                          -- sealed; signs beside the new one until old_until
    old_until     timestamptz,
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled')),
    reason        text NOT NULL DEFAULT '',       -- why it was disabled, a sentence
    failing_since timestamptz,                    -- of the first failure after the last success
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE INDEX webhook_endpoints_user ON webhook_endpoints (user_id, created_at, id);

CREATE TABLE webhook_deliveries (
    id          text PRIMARY KEY,                 -- hash of endpoint and event: telling a fact again is the same delivery
    endpoint_id text NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    event_id    text NOT NULL,                    -- the webhook-id that the receiver sees
    event_type  text NOT NULL,
    payload     bytea NOT NULL,                   -- the bytes that are sent
    status      text NOT NULL CHECK (status IN ('waiting', 'delivered', 'failed')),
    attempts    integer NOT NULL DEFAULT 0,
    failures    integer NOT NULL DEFAULT 0,       -- in a row, since it was made or sent again
    next_try    timestamptz,                      -- NULL once nothing is left to do
    lease       text,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL,
    try_from    timestamptz NOT NULL              -- from when the days of trying count
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_try) WHERE next_try IS NOT NULL;
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (endpoint_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_old ON webhook_deliveries (created_at);

-- Every attempt, for the log.
CREATE TABLE webhook_attempts (
    id          bigserial PRIMARY KEY,
    delivery_id text NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    status_code integer,                          -- NULL when nothing was answered
    message     text NOT NULL,
    took_ms     double precision NOT NULL
);

CREATE INDEX webhook_attempts_delivery ON webhook_attempts (delivery_id, id);
