-- Schema 7: the chain covers accounts as well as transfers, folding keeps a hash an hour so that heads kept elsewhere can
-- still be compared, and what workers were paid outside is booked. Takes time with the accounts and the transfers, because
-- SQLite changes a table's rules only by copying it. After it, one group takes over the accounts and grants that are there.

-- kind: as in schema 1, and 7 payout: what workers were paid outside. The other columns are those of schema 4.
CREATE TABLE accounts_with_payout (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 7),
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

INSERT INTO accounts_with_payout SELECT id, kind, key, name, balance, turnover, accepted, rejected, opened_ms FROM accounts;
DROP TABLE accounts;
ALTER TABLE accounts_with_payout RENAME TO accounts;
INSERT INTO accounts (id, kind, name, opened_ms) VALUES (0, 7, 'payout', 0);

-- Append-only. id says what a transfer is: as in schemas 4 and 5, and
--   -2^62 + n               the n-th payout, or payout taken back
-- reason: as in schema 4, and 9 payout, 10 payout taken back.
CREATE TABLE transfers_with_payouts (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    debit INTEGER NOT NULL REFERENCES accounts (id),
    credit INTEGER NOT NULL REFERENCES accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    reason INTEGER NOT NULL CHECK (reason BETWEEN 1 AND 10),
    attempt INTEGER NOT NULL,
    CHECK (debit <> credit)
) STRICT;

INSERT INTO transfers_with_payouts SELECT id, grp, debit, credit, amount, reason, attempt FROM transfers ORDER BY id;
DROP TABLE transfers;
ALTER TABLE transfers_with_payouts RENAME TO transfers;

CREATE TRIGGER transfers_are_not_changed BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE TRIGGER transfers_are_not_deleted BEFORE DELETE ON transfers
WHEN OLD.grp > (SELECT grp FROM checkpoint)
BEGIN SELECT RAISE(ABORT, 'transfers are append-only until they are folded'); END;

-- What a worker was paid outside. id: its transfer's. reference: the operator's own, booked once. undoes: the payout that
-- this one takes back.
CREATE TABLE payouts (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    reference TEXT NOT NULL CHECK (length(reference) BETWEEN 1 AND 64),
    account INTEGER NOT NULL REFERENCES accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    undoes INTEGER UNIQUE REFERENCES payouts (id)
) STRICT;

-- Serves: SELECT … FROM payouts WHERE reference = ? AND undoes IS NULL (was it booked before).
CREATE UNIQUE INDEX payouts_by_reference ON payouts (reference) WHERE undoes IS NULL;

CREATE TRIGGER payouts_are_not_changed BEFORE UPDATE ON payouts
BEGIN SELECT RAISE(ABORT, 'payouts are append-only'); END;
CREATE TRIGGER payouts_are_not_deleted BEFORE DELETE ON payouts
BEGIN SELECT RAISE(ABORT, 'payouts are append-only'); END;

-- What happened to accounts, in order; each group's rows are hashed with it. Append-only until folded.
-- what: 1 a gamer's account was opened, 2 a worker's (number: when; bytes: its key, if it has one; text: its name),
-- 3 renamed (text), 4 claimed (bytes: the key), 5 granted (number: how much; bytes: the reference), 6 paid out and
-- 7 payout taken back (number: how much; text: the reference).
CREATE TABLE account_log (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    account INTEGER NOT NULL,
    what INTEGER NOT NULL CHECK (what BETWEEN 1 AND 7),
    number INTEGER NOT NULL,
    bytes BLOB,
    text TEXT
) STRICT;

-- Serves: SELECT … FROM account_log WHERE grp <= ? ORDER BY grp, id (which rows are folded).
CREATE INDEX account_log_by_group ON account_log (grp);

CREATE TRIGGER account_log_is_not_changed BEFORE UPDATE ON account_log
BEGIN SELECT RAISE(ABORT, 'the log of accounts is append-only'); END;
CREATE TRIGGER account_log_is_not_deleted BEFORE DELETE ON account_log
WHEN OLD.grp > (SELECT grp FROM checkpoint)
BEGIN SELECT RAISE(ABORT, 'the log of accounts is append-only until it is folded'); END;

-- Accounts as the folded part of the log left them.
CREATE TABLE folded_accounts (
    account INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    key BLOB,
    name TEXT NOT NULL,
    opened_ms INTEGER NOT NULL
) STRICT;

-- Of the folded groups, the first of each hour.
CREATE TABLE landmarks (
    grp INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Digests of the folded accounts, grants and payouts, and of the landmarks; NULL as long as there are none.
ALTER TABLE checkpoint ADD COLUMN accounts BLOB CHECK (accounts IS NULL OR length(accounts) = 32);
ALTER TABLE checkpoint ADD COLUMN landmarks BLOB CHECK (landmarks IS NULL OR length(landmarks) = 32);
