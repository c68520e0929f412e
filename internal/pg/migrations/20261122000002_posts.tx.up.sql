-- Posts, from scheduling to outcome. The row judges: every step of a post is one conditional UPDATE here.
CREATE TABLE posts (
    id             text PRIMARY KEY,
    user_id        text NOT NULL,
    account_id     text NOT NULL,
    kind           text NOT NULL DEFAULT 'post',
    text           text NOT NULL,
    media          jsonb NOT NULL DEFAULT '[]',
    content_hash   text NOT NULL,         -- tells equal posts of one account
    publish_at     timestamptz NOT NULL,
    publish_within integer NOT NULL,      -- seconds
    state          text NOT NULL CHECK (state IN ('scheduled', 'ready', 'waiting', 'publishing', 'unconfirmed',
                                                  'concluding', 'parked', 'published', 'failed', 'cancelled')),
    reason         jsonb,                 -- an events.Fault
    media_id       text,                  -- Threads' id of the live post
    permalink      text,
    called_at      timestamptz,           -- when the publish call that made it left
    accepted_at    timestamptz,           -- when the answer, or the proof, came
    delete_requested_at timestamptz,
    deleted_at     timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,

    rev      bigint NOT NULL,             -- counts told changes
    told_rev bigint NOT NULL DEFAULT 0,   -- the last one that the recorder saw on EVENTS
    fact     text NOT NULL,               -- the fact that led to rev, or that concluding is telling

    -- Working columns: not in events, not rebuilt by a replay.
    wake_at          timestamptz,         -- when to look at the post next; NULL only when nothing is left to do, or parked
    armed_at         timestamptz,         -- the wake_at for which an alarm was set
    lease            text,                -- who works on it
    lease_until      timestamptz,
    container_id     text,                -- only a container that is named here may be published
    container_at     timestamptz,
    children         text[] NOT NULL DEFAULT '{}',
    attempt          integer NOT NULL DEFAULT 0, -- publish calls that may have left
    claimed_at       timestamptz,         -- of the last attempt; also what the quota counts
    call_deadline    timestamptz,         -- when the call of the last attempt has surely ended
    not_ready        integer NOT NULL DEFAULT 0, -- answers 24/4279009 for this container
    rebuilds         integer NOT NULL DEFAULT 0,
    finished_seen_at timestamptz,         -- FINISHED was read for the first time since the last attempt
    failures         integer NOT NULL DEFAULT 0 -- transient failures in a row, for the back-off
);

-- One media id is one post. Where two rows would claim the same live post, one of them is wrong.
CREATE UNIQUE INDEX posts_media ON posts (account_id, media_id) WHERE media_id IS NOT NULL;
-- The sweep.
CREATE INDEX posts_wake ON posts (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX posts_unarmed ON posts (wake_at) WHERE wake_at IS NOT NULL AND armed_at IS DISTINCT FROM wake_at;
CREATE INDEX posts_untold ON posts (updated_at) WHERE told_rev < rev;
-- Lists.
CREATE INDEX posts_user ON posts (user_id, publish_at, id);
-- The quota of an account, and the rule of equal texts.
CREATE INDEX posts_claimed ON posts (account_id, claimed_at) WHERE claimed_at IS NOT NULL;
-- What an account's coming and going touches.
CREATE INDEX posts_open ON posts (account_id, publish_at, id) WHERE state IN ('scheduled', 'ready', 'waiting', 'unconfirmed');
CREATE INDEX posts_in_doubt ON posts (account_id, content_hash) WHERE state IN ('publishing', 'unconfirmed');

-- What was tried for a post, readable by its owner.
CREATE TABLE post_attempts (
    id       bigserial PRIMARY KEY,
    post_id  text NOT NULL,
    at       timestamptz NOT NULL,
    phase    text NOT NULL,
    took_ms  double precision NOT NULL,
    ok       boolean NOT NULL,
    message  text NOT NULL,
    code     integer NOT NULL DEFAULT 0,
    subcode  integer NOT NULL DEFAULT 0,
    trace_id text NOT NULL DEFAULT ''
);

CREATE INDEX post_attempts_post ON post_attempts (post_id, id);

-- How far the recorder has applied EVENTS. Written in the transaction of the rows it changes.
CREATE TABLE recorder_positions (
    name       text PRIMARY KEY,
    seq        bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
