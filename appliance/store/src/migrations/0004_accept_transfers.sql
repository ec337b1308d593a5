-- May the carrier of a trunk put somebody else in its place in a call (REFER, Replaces)?
ALTER TABLE trunk ADD COLUMN accept_transfers INTEGER NOT NULL DEFAULT 0;
