-- An account whose posts are held back by those who run the system. It is prepared for, and nothing of it is published.
ALTER TABLE social_connections
    ADD COLUMN paused_at    timestamptz,
    ADD COLUMN pause_reason text NOT NULL DEFAULT '';
