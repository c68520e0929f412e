-- Events on EVENTS that could not be read or written to the tables. Written in the transaction that moves the projector's
-- position past them; taken away when a rebuild has applied them.
CREATE TABLE skipped_events (
    seq        bigint PRIMARY KEY,        -- on EVENTS
    type       text NOT NULL,             -- of the message
    post_id    text NOT NULL,             -- empty: it is of no post
    account_id text NOT NULL,
    why        text NOT NULL,
    skipped_at timestamptz NOT NULL,
    dropped_at timestamptz                -- an operator says that it need not be applied: it counts no longer
);

CREATE INDEX skipped_events_account ON skipped_events (account_id);
