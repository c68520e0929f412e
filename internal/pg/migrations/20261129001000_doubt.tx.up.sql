-- Whether a publish call may have made the part in hand live is one fact of the row, not a conclusion from others.
ALTER TABLE posts
    ADD COLUMN doubt       boolean NOT NULL DEFAULT false, -- a call that left, or may have left, may have made it live
    ADD COLUMN doubt_since timestamptz,                    -- since when, by the database's clock; kept while doubt stands
    ADD COLUMN on_absent   text CHECK (on_absent IN ('retry', 'wait', 'fail', 'resume')), -- what follows when it is proven not to be live
    ADD COLUMN built_from  text;                           -- hash of what container_id and children were built from

CREATE INDEX posts_doubt ON posts (account_id, content_hash) WHERE doubt;

-- A publisher of the release before knows nothing of doubt. Its claims must leave it all the same while both run.
CREATE FUNCTION posts_set_doubt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.doubt := true;
    NEW.doubt_since := coalesce(NEW.doubt_since, clock_timestamp());
    RETURN NEW;
END $$;

CREATE TRIGGER posts_set_doubt BEFORE UPDATE OF state ON posts FOR EACH ROW
    WHEN (NEW.state IN ('publishing', 'unconfirmed') AND OLD.state <> NEW.state AND NOT NEW.doubt)
    EXECUTE FUNCTION posts_set_doubt();

UPDATE posts SET doubt = true, doubt_since = least(claimed_at, publish_at), on_absent = 'retry'
WHERE attempt > 0 AND state IN ('scheduled', 'ready', 'waiting', 'publishing', 'unconfirmed', 'parked')
    OR state IN ('unconfirmed', 'parked');
