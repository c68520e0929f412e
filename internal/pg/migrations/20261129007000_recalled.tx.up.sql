-- The account of this post was disconnected, and its owner told that the queue is cancelled, while a call for the post may
-- have been on its way: it is not published any more, though the account be connected again.
ALTER TABLE posts ADD COLUMN recalled boolean NOT NULL DEFAULT false;
