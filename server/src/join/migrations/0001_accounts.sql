-- Who may join. Times are seconds since 1970 by the wall clock; roles: 1 gamer, 2 worker. No secret is in this file:
-- of an invite only the BLAKE3 hash, of an account only the public key.

-- What the running coordinator lets other processes know: where it is reached and what its certificate's key is.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE invites (
    id           INTEGER PRIMARY KEY,
    secret_hash  BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    role         INTEGER NOT NULL CHECK (role IN (1, 2)),
    -- The name of the accounts it opens; NULL lets their owners choose.
    label        TEXT,
    uses_left    INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_at   INTEGER NOT NULL,
    -- What each account it opens is given, once.
    credit_nanos INTEGER NOT NULL CHECK (credit_nanos >= 0),
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    key               BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    role              INTEGER NOT NULL CHECK (role IN (1, 2)),
    name              TEXT    NOT NULL,
    -- 1: its owner cannot change the name.
    named_by_operator INTEGER NOT NULL CHECK (named_by_operator IN (0, 1)),
    enrolled_at       INTEGER NOT NULL,
    -- NULL: by open registration.
    invite            INTEGER REFERENCES invites (id),
    credit_nanos      INTEGER NOT NULL CHECK (credit_nanos >= 0),
    revoked_at        INTEGER,
    -- Number of the operator's last act on this account; 0 before the first. Acts are numbered over all accounts.
    epoch             INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_by_epoch ON accounts (epoch);
CREATE INDEX accounts_by_open_registration ON accounts (enrolled_at) WHERE invite IS NULL;

-- Credits by the operator. The running coordinator books each in the ledger under its reference, so at most once.
CREATE TABLE credits (
    reference BLOB    NOT NULL PRIMARY KEY CHECK (length(reference) = 16),
    account   BLOB    NOT NULL REFERENCES accounts (key),
    nanos     INTEGER NOT NULL CHECK (nanos > 0),
    made_at   INTEGER NOT NULL,
    booked    INTEGER NOT NULL DEFAULT 0 CHECK (booked IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX credits_to_book ON credits (made_at) WHERE booked = 0;
