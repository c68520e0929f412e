-- Chains, reposts, replies and quotes; what a post can have besides words and media; and the allowances of an account.
ALTER TABLE posts
    ADD COLUMN options       jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN parts         jsonb NOT NULL DEFAULT '[]', -- of a chain, with what has become of each
    ADD COLUMN reply_to      text,                        -- as asked: our id of a post, or Threads' media id
    ADD COLUMN quote_post_id text,
    ADD COLUMN repost_of     text,
    -- Working columns, as above.
    ADD COLUMN parent_id     text,                        -- the media id that reply_to or repost_of turned out to be
    ADD COLUMN quoted_id     text;

-- Which row a live part belongs to.
CREATE INDEX posts_parts ON posts USING gin (parts jsonb_path_ops) WHERE parts <> '[]';
CREATE INDEX posts_chains ON posts (account_id) WHERE parts <> '[]';

-- What has been used of an account's allowances over the last day. A claim reserves its place here.
CREATE TABLE quota_uses (
    account_id text NOT NULL,
    quota      text NOT NULL CHECK (quota IN ('posts', 'replies', 'deletes')),
    at         timestamptz NOT NULL,
    post_id    text NOT NULL,
    part       integer NOT NULL,
    PRIMARY KEY (post_id, part, quota)
);

CREATE INDEX quota_uses_account ON quota_uses (account_id, quota, at);
CREATE INDEX quota_uses_at ON quota_uses (at);

-- Posts that are counted by their claim so far.
INSERT INTO quota_uses (account_id, quota, at, post_id, part)
    SELECT account_id, 'posts', claimed_at, id, 0 FROM posts
    WHERE claimed_at > now() - interval '1 day' AND state NOT IN ('failed', 'cancelled');

DROP INDEX posts_claimed;
