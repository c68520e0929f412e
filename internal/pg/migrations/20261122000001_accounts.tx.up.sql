-- Connected Threads accounts. The original's SocialConnection, with the token sealed (internal/accounts/vault.go)
-- and what the keeping of tokens needs.
CREATE TABLE social_connections (
    id                      text PRIMARY KEY,
    provider                text NOT NULL DEFAULT 'THREADS',
    provider_user_id        text NOT NULL,
    access_token            bytea,        -- sealed; NULL once disconnected
    access_token_expires_at timestamptz,
    refresh_token           text,         -- the original's column; Threads has none
    username                text,
    user_id                 text NOT NULL,
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL,

    status     text NOT NULL CHECK (status IN ('active', 'reconnect_required', 'disconnected')),
    scopes     text[] NOT NULL DEFAULT '{}',
    granted_at timestamptz NOT NULL,
    reason     jsonb,                     -- why a reconnect is required, an events.Fault

    rev      bigint NOT NULL,             -- counts told changes
    told_rev bigint NOT NULL DEFAULT 0,   -- the last one that is known to be on EVENTS
    fact     text NOT NULL,               -- the fact that led to rev

    -- Tokenkeeper's working columns.
    token_issued_at     timestamptz NOT NULL,
    refresh_at          timestamptz,      -- when to look at the token next
    refresh_lease       text,             -- one refresher an account
    refresh_lease_until timestamptz,
    refresh_failures    integer NOT NULL DEFAULT 0,

    UNIQUE (user_id, provider, provider_user_id)
);

CREATE INDEX social_connections_refresh ON social_connections (refresh_at) WHERE status = 'active';
CREATE INDEX social_connections_untold ON social_connections (updated_at) WHERE told_rev < rev;
