-- What is held up among a user's queued posts, in the order of the lists: found at once, however many are queued.
CREATE INDEX posts_user_held ON posts (user_id, state, publish_at, id) WHERE state IN ('waiting', 'unconfirmed', 'parked');
