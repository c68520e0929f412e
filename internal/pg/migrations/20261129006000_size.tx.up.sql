-- What an erasure looks for, at a million rows.
CREATE INDEX posts_account ON posts (account_id, id);
CREATE INDEX commands_post ON commands (post_id) WHERE post_id IS NOT NULL;
CREATE INDEX commands_user ON commands (user_id);
-- What is old enough to be forgotten.
CREATE INDEX commands_finished ON commands (finished_at) WHERE finished_at IS NOT NULL;
