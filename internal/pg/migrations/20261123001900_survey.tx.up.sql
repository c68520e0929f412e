-- What a publisher counts every few seconds: the posts in whose life something is going on.
CREATE INDEX posts_unsettled ON posts (state, publish_at)
    WHERE state IN ('waiting', 'publishing', 'unconfirmed', 'concluding', 'parked');
