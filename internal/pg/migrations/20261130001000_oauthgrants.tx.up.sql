-- What a person allowed at Threads, until whoever began the flow confirms it: minutes.
CREATE TABLE oauth_grants (
    code_hash               bytea PRIMARY KEY,       -- of the one-time code that confirms it
    user_id                 text NOT NULL,           -- who began
    account_id              text NOT NULL,           -- the account that is to be connected again; empty: none in particular
    cookie_hash             bytea NOT NULL,          -- of the browser in which it came back
    page                    boolean NOT NULL,        -- this browser may confirm it at the gateway's page
    provider_user_id        text NOT NULL,
    username                text NOT NULL,
    scopes                  text[] NOT NULL,
    access_token            bytea NOT NULL,          -- sealed
    access_token_expires_at timestamptz NOT NULL,
    granted_at              timestamptz NOT NULL,
    expires_at              timestamptz NOT NULL     -- of this row
);

CREATE INDEX oauth_grants_expires ON oauth_grants (expires_at);
CREATE INDEX oauth_grants_provider_user ON oauth_grants (provider_user_id);
