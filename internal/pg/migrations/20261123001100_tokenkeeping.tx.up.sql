-- The grant behind a token has a clock of its own: 90 days, which a refresh renews for public profiles only.
ALTER TABLE social_connections
    ADD COLUMN grant_ends_at timestamptz, -- as Threads last told; NULL means 90 days after granted_at
    ADD COLUMN warned_at     timestamptz; -- when the owner was last told that it ends soon

-- Which key a secret is sealed with is in its first five bytes: how many are left under an old key, and which.
CREATE INDEX social_connections_sealed_with ON social_connections (substring(access_token from 1 for 5), id);
