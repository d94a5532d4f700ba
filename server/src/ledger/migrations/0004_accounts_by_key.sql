-- Schema 4: an account is a key, and its name is a label that several may share. Accounts of older ledgers keep their
-- balances and have no key until the operator claims them. Takes time with the accounts and the transfers, because SQLite
-- changes a table's rules only by copying it. Foreign keys are off while migrations run.

-- key: the ed25519 public key of the account's owner; NULL for the bank, the fee, the accounts beside a peer's own, and
-- accounts that nobody has claimed. The other columns are those of schema 1.
CREATE TABLE accounts_by_key (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 6),
    key BLOB CHECK (key IS NULL OR length(key) = 32 AND kind IN (3, 5)),
    name TEXT NOT NULL,
    balance INTEGER NOT NULL DEFAULT 0 CHECK (balance >= 0 OR kind = 1),
    turnover INTEGER NOT NULL DEFAULT 0 CHECK (turnover >= 0),
    accepted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    opened_ms INTEGER NOT NULL,
    -- Serves: SELECT … FROM accounts WHERE kind = ? AND key = ? (a peer joins).
    UNIQUE (kind, key)
) STRICT;

INSERT INTO accounts_by_key
SELECT id, kind, NULL, name, balance, turnover, accepted, rejected, opened_ms FROM accounts;
DROP TABLE accounts;
ALTER TABLE accounts_by_key RENAME TO accounts;

-- Append-only. id says what a transfer is, so that the same one cannot be made twice:
--   task number * 4 + 0     the hold of a task
--   task number * 4 + 1..3  what resolved the task, in the order pay, fee, return; the first is always 1
--   -account                the opening credit of a gamer's account
--   -2^61 + n               the n-th release of pending pay
--   -2^60 + n               the n-th grant of the operator
-- reason: 1 opening credit, 2 hold, 3 pay, 4 fee, 5 return, 6 release, 7 grant, 8 reversal. attempt: which try was paid,
-- else 0.
CREATE TABLE transfers_with_grants (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    debit INTEGER NOT NULL REFERENCES accounts (id),
    credit INTEGER NOT NULL REFERENCES accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    reason INTEGER NOT NULL CHECK (reason BETWEEN 1 AND 8),
    attempt INTEGER NOT NULL,
    CHECK (debit <> credit)
) STRICT;

INSERT INTO transfers_with_grants SELECT id, grp, debit, credit, amount, reason, attempt FROM transfers ORDER BY id;
DROP TABLE transfers;
ALTER TABLE transfers_with_grants RENAME TO transfers;

CREATE TRIGGER transfers_are_not_changed BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE TRIGGER transfers_are_not_deleted BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;

-- What the operator granted: each reference is booked once.
CREATE TABLE grants (
    reference BLOB PRIMARY KEY CHECK (length(reference) = 16),
    account INTEGER NOT NULL REFERENCES accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0)
) STRICT, WITHOUT ROWID;
