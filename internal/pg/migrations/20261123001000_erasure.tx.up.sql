-- A disconnected account whose posts wait for the next connect, instead of being cancelled.
ALTER TABLE social_connections
    ADD COLUMN keeps_posts boolean NOT NULL DEFAULT false;

-- Requests to erase what is known of a person at Threads. Neither column says who it was: both are keyed hashes.
CREATE TABLE erasures (
    code         text PRIMARY KEY,         -- what the person was given to ask with
    subject      text NOT NULL,            -- equal for all requests about the same Threads user
    requested_at timestamptz NOT NULL,
    finished_at  timestamptz
);

CREATE INDEX erasures_subject ON erasures (subject);

-- Tombstones: accounts that are erased, or being erased. Nothing is written for such an account any more. They stay for
-- good, and hold nothing that Threads told us.
CREATE TABLE erased_accounts (
    account_id text PRIMARY KEY,
    user_id    text NOT NULL,              -- ours
    code       text NOT NULL DEFAULT '',   -- of the erasure; '' where it was learnt from EVENTS, after a restore
    buried_at  timestamptz NOT NULL,
    told_at    timestamptz,                -- when EVENTS had it
    stage      text NOT NULL DEFAULT 'rows' CHECK (stage IN ('rows', 'streams', 'rest', 'done')),
    round      integer NOT NULL DEFAULT 1,
    next_at    timestamptz                 -- when to look at it next; NULL once nothing is left to do
);

CREATE INDEX erased_accounts_next ON erased_accounts (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX erased_accounts_code ON erased_accounts (code);
