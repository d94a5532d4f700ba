-- When an account was last given a connect token, to the hour, for accounts that registered openly; NULL until an hour after
-- it was enrolled.
ALTER TABLE accounts ADD COLUMN seen_at INTEGER;
