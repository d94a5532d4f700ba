-- Schema 1: the books. Amounts are nano-dollars, times are milliseconds since 1970 unless a name says otherwise.

-- Facts about the file itself. closed_in_order: 1 between an orderly close and the next open.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- kind: 1 bank, 2 fee, 3 gamer, 4 gamer_held, 5 worker, 6 worker_pending. A peer's two accounts have numbers
-- that follow one another. Only the bank may be below zero. balance is the sum of the account's transfers,
-- turnover what a gamer was charged or a worker earned, accepted/rejected a gamer's tasks settled/voided or a
-- worker's attempts accepted/rejected: all four are derived, kept here so that joining and statements are one
-- lookup, and compared with the transfers, tasks and attempts by `ledger check`.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 6),
    name TEXT NOT NULL,
    balance INTEGER NOT NULL DEFAULT 0 CHECK (balance >= 0 OR kind = 1),
    turnover INTEGER NOT NULL DEFAULT 0 CHECK (turnover >= 0),
    accepted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    opened_ms INTEGER NOT NULL,
    -- Serves: SELECT … FROM accounts WHERE kind = ? AND name = ? (a peer joins).
    UNIQUE (kind, name)
) STRICT;

INSERT INTO accounts (id, kind, name, opened_ms) VALUES (1, 1, 'bank', 0), (2, 2, 'fee', 0);

-- One row per group commit. hash is BLAKE3 over the previous group's hash, this row and the group's transfers
-- in order of their ids.
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    transfers INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Append-only. id says what a transfer is, so that the same one cannot be made twice:
--   task number * 4 + 0     the hold of a task
--   task number * 4 + 1..3  what resolved the task, in the order pay, fee, return; the first is always 1
--   -account                the opening credit of a gamer's account
--   -2^61 + n               the n-th release of pending pay
-- reason: 1 opening credit, 2 hold, 3 pay, 4 fee, 5 return, 6 release. attempt: which try was paid, else 0.
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    debit INTEGER NOT NULL REFERENCES accounts (id),
    credit INTEGER NOT NULL REFERENCES accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    reason INTEGER NOT NULL CHECK (reason BETWEEN 1 AND 6),
    attempt INTEGER NOT NULL,
    task INTEGER GENERATED ALWAYS AS (CASE WHEN id > 0 THEN id >> 2 END) VIRTUAL,
    CHECK (debit <> credit)
) STRICT;

CREATE TRIGGER transfers_are_not_changed BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE TRIGGER transfers_are_not_deleted BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE TRIGGER groups_are_not_changed BEFORE UPDATE ON groups
BEGIN SELECT RAISE(ABORT, 'groups are append-only'); END;
CREATE TRIGGER groups_are_not_deleted BEFORE DELETE ON groups
BEGIN SELECT RAISE(ABORT, 'groups are append-only'); END;

-- state: 1 open, 2 settled, 3 void. key is the digest of kind, kernel version and spec. pay and fee are what
-- was charged. source: 1 worker (in attempt), 2 coordinator, 3 cache. passed: 1 always-on check, 2 deep
-- check, 3 the coordinator's own. void_reason: 1 late, 2 kernel failed, 3 no worker, 4 cancelled, 5 closing,
-- 6 crashed, 7 bad settlement. opened_grp, closed_grp: the groups it was recorded in.
CREATE TABLE tasks (
    no INTEGER PRIMARY KEY,
    gamer INTEGER NOT NULL REFERENCES accounts (id),
    game_task INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    kernel_version INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    units INTEGER NOT NULL,
    price INTEGER NOT NULL CHECK (price >= 0),
    price_list INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    opened_grp INTEGER NOT NULL,
    closed_grp INTEGER,
    pay INTEGER NOT NULL DEFAULT 0,
    fee INTEGER NOT NULL DEFAULT 0,
    source INTEGER,
    attempt INTEGER,
    passed INTEGER,
    void_reason INTEGER,
    -- Serves: INSERT … ON CONFLICT DO NOTHING (the gamer's number for a task is its idempotency key).
    UNIQUE (gamer, game_task),
    CHECK (pay >= 0 AND fee >= 0 AND pay + fee <= price)
) STRICT;

-- Serves: SELECT … FROM tasks WHERE state = 1 (which holds did a crash leave open).
CREATE INDEX tasks_open ON tasks (no) WHERE state = 1;

CREATE TRIGGER tasks_close_once BEFORE UPDATE ON tasks WHEN OLD.state <> 1
BEGIN SELECT RAISE(ABORT, 'a task that is settled or void does not change'); END;
CREATE TRIGGER tasks_are_not_deleted BEFORE DELETE ON tasks
BEGIN SELECT RAISE(ABORT, 'tasks are append-only'); END;

-- id: task number * 256 + attempt number. worker: NULL for the coordinator. verdict: 0 running, 1 accepted,
-- 2 rejected (with a reason), 3 lost, 4 expired, 5 failed, 6 unneeded.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    grp INTEGER NOT NULL,
    worker INTEGER,
    verdict INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 6),
    reason TEXT,
    task INTEGER GENERATED ALWAYS AS (id >> 8) VIRTUAL
) STRICT;

-- Outcomes of the last 24 hours, in the order they were kept, so that the oldest have the lowest ids. The key
-- is the task's. checksum: the first eight bytes of BLAKE3 over key and bytes, because SQLite has no
-- checksums of its own and these bytes are served again.
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES tasks (no),
    worker INTEGER,
    expires_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- Workers whose outcomes below an id are being deleted, in steps.
CREATE TABLE revocations (
    worker INTEGER PRIMARY KEY REFERENCES accounts (id),
    below INTEGER NOT NULL
) STRICT;

-- Open patient tasks: what is needed to queue them again. blobs: each preceded by its length, 4 bytes,
-- little endian.
CREATE TABLE patient (
    task INTEGER PRIMARY KEY REFERENCES tasks (no),
    spec BLOB NOT NULL,
    blobs BLOB NOT NULL
) STRICT;

-- Pay that is pending, by when it falls due.
CREATE TABLE earnings (
    due_ms INTEGER NOT NULL,
    worker INTEGER NOT NULL REFERENCES accounts (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    -- Serves: INSERT … ON CONFLICT DO UPDATE (pay is added up) and DELETE … WHERE due_ms = ? (it is released).
    PRIMARY KEY (due_ms, worker)
) STRICT, WITHOUT ROWID;
