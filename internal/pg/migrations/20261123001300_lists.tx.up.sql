-- Lists of one user's posts by status, in the order of their times. Posts of all statuses have posts_user.
CREATE INDEX posts_user_open ON posts (user_id, publish_at, id) WHERE state NOT IN ('published', 'failed', 'cancelled');
CREATE INDEX posts_user_settled ON posts (user_id, state, publish_at, id) WHERE state IN ('published', 'failed', 'cancelled');
CREATE INDEX posts_user_deleted ON posts (user_id, publish_at, id) WHERE deleted_at IS NOT NULL;

-- The zone in which a post's time was asked for, and what was decided where its clocks change.
ALTER TABLE posts
    ADD COLUMN time_zone     text,
    ADD COLUMN time_decision text;
