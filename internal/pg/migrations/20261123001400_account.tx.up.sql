-- What an account shows of itself: figures kept over time, its history, and searches that have an allowance.

-- Figures as Threads told them: of a post, or of the account itself where media_id is empty. One row an hour at most,
-- the latest of the hour.
CREATE TABLE insight_snapshots (
    account_id text NOT NULL,
    media_id   text NOT NULL DEFAULT '',
    hour       timestamptz NOT NULL,
    at         timestamptz NOT NULL,
    metrics    jsonb NOT NULL,
    PRIMARY KEY (account_id, media_id, hour)
);

CREATE INDEX insight_snapshots_at ON insight_snapshots (at);

-- When the figures of an account are kept next, without anybody asking.
CREATE TABLE insight_rounds (
    account_id text PRIMARY KEY,
    next_at    timestamptz NOT NULL
);

-- Searches and look-ups of the last day that count against an allowance which Threads does not show.
CREATE TABLE search_uses (
    account_id text NOT NULL,
    quota      text NOT NULL CHECK (quota IN ('keyword_searches', 'profile_lookups', 'location_searches')),
    at         timestamptz NOT NULL
);

CREATE INDEX search_uses_account ON search_uses (account_id, quota, at);
CREATE INDEX search_uses_at ON search_uses (at);

-- How far the import of an account's history has come. One at a time; the last stays to be seen.
CREATE TABLE history_imports (
    account_id  text PRIMARY KEY,
    user_id     text NOT NULL,
    command_id  text NOT NULL,
    status      text NOT NULL CHECK (status IN ('running', 'done', 'failed')),
    since       timestamptz,
    until       timestamptz NOT NULL,            -- what is younger is left to the next import
    with_replies boolean NOT NULL,
    list        text NOT NULL DEFAULT 'posts' CHECK (list IN ('posts', 'replies')),
    cursor      text NOT NULL DEFAULT '',        -- where the list goes on
    reached     timestamptz,                     -- the oldest post of the list so far
    pages       integer NOT NULL DEFAULT 0,
    listed      integer NOT NULL DEFAULT 0,
    imported    integer NOT NULL DEFAULT 0,
    known       integer NOT NULL DEFAULT 0,      -- ours, or imported before
    held_back   integer NOT NULL DEFAULT 0,      -- could be a post of ours whose outcome is not known yet
    oldest      timestamptz,
    fault       jsonb,
    started_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    finished_at timestamptz
);

-- Deletions that are still to be made count against the day's allowance.
CREATE INDEX posts_deleting ON posts (account_id) WHERE delete_requested_at IS NOT NULL AND deleted_at IS NULL;

-- One media id is one post of ours. A row that was imported must never stand in the way of it: where the two meet, ours
-- is the post.
DROP INDEX posts_media;
CREATE UNIQUE INDEX posts_media ON posts (account_id, media_id) WHERE media_id IS NOT NULL AND kind <> 'imported';
