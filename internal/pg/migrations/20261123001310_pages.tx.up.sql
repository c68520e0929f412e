-- A page of posts costs its own length, whatever it is filtered by and however many posts there are: each filter has an
-- index in the order of the list, and a list that asks for several is merged from them (services/publisher/page.go).

-- Posts that were made elsewhere are listed only when they are asked for. In one index with ours, thousands of them would
-- have to be passed over to find the earliest of ours.
DROP INDEX posts_user;
CREATE INDEX posts_user ON posts (user_id, publish_at, id) WHERE kind <> 'imported';
CREATE INDEX posts_user_imported ON posts (user_id, publish_at, id) WHERE kind = 'imported';
CREATE INDEX posts_user_reposts ON posts (user_id, publish_at, id) WHERE kind = 'repost';
DROP INDEX posts_user_settled;
CREATE INDEX posts_user_settled ON posts (user_id, state, publish_at, id)
    WHERE state IN ('published', 'failed', 'cancelled') AND kind <> 'imported';

-- One of a user's accounts. The first takes the place of posts_open, which had some of the open states only.
CREATE INDEX posts_account_open ON posts (account_id, publish_at, id) WHERE state NOT IN ('published', 'failed', 'cancelled');
DROP INDEX posts_open;
CREATE INDEX posts_account_settled ON posts (account_id, state, publish_at, id) WHERE state IN ('published', 'failed', 'cancelled');
CREATE INDEX posts_account_imported ON posts (account_id, publish_at, id) WHERE kind = 'imported';
