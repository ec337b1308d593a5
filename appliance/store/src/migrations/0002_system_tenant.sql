-- The box's own tenant, which its self-call rings: at most one, hidden from everybody.
-- Expands only: a program that knows schema 1 reads and writes this file as before.
ALTER TABLE tenant ADD COLUMN system INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX tenant_system ON tenant (system) WHERE system;
