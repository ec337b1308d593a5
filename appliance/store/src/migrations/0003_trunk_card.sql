-- What a trunk's carrier was able to do when it was last tried out.
-- Expands only: a program that knows schema 2 reads and writes this file as before.
CREATE TABLE trunk_card (
    trunk_id         TEXT PRIMARY KEY REFERENCES trunk (id) ON DELETE CASCADE,
    trunk_updated_at TEXT NOT NULL, -- of the trunk that was tried out
    probed_at        TEXT NOT NULL,
    report           TEXT NOT NULL
) STRICT;
