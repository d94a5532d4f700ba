-- Schema 6: what is over for a day is folded into sums, so that the file stays bounded. Takes no time that depends on the
-- file's size; the folding itself takes place in steps while the coordinator runs.

-- Up to which group everything is folded, and that group's hash, from which the chain goes on. task: the largest number of
-- a folded task; none up to it is given out again. The rest counts what was folded.
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    grp INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    task INTEGER NOT NULL,
    tasks INTEGER NOT NULL,
    transfers INTEGER NOT NULL,
    grants INTEGER NOT NULL
) STRICT;

INSERT INTO checkpoint VALUES (1, 0, zeroblob(32), 0, 0, 0, 0);

-- What the folded transfers add up to for each account, and what the folded tasks and attempts count.
CREATE TABLE folded (
    account INTEGER PRIMARY KEY REFERENCES accounts (id),
    balance INTEGER NOT NULL,
    turnover INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) STRICT;

-- The same for each kind of work.
CREATE TABLE folded_kinds (
    kind INTEGER PRIMARY KEY,
    tasks INTEGER NOT NULL,
    by_worker INTEGER NOT NULL,
    by_coordinator INTEGER NOT NULL,
    by_cache INTEGER NOT NULL,
    void INTEGER NOT NULL,
    earned INTEGER NOT NULL,
    fee INTEGER NOT NULL
) STRICT;

-- And for each verdict on an attempt.
CREATE TABLE folded_attempts (
    verdict INTEGER PRIMARY KEY,
    attempts INTEGER NOT NULL
) STRICT;

-- In a group that folds: the digest of the checkpoint and all the sums after it. It is hashed with the group.
ALTER TABLE groups ADD COLUMN folded BLOB CHECK (folded IS NULL OR length(folded) = 32);

DROP TRIGGER transfers_are_not_deleted;
CREATE TRIGGER transfers_are_not_deleted BEFORE DELETE ON transfers
WHEN OLD.grp > (SELECT grp FROM checkpoint)
BEGIN SELECT RAISE(ABORT, 'transfers are append-only until they are folded'); END;
DROP TRIGGER groups_are_not_deleted;
CREATE TRIGGER groups_are_not_deleted BEFORE DELETE ON groups
WHEN OLD.id > (SELECT grp FROM checkpoint)
BEGIN SELECT RAISE(ABORT, 'groups are append-only until they are folded'); END;
DROP TRIGGER tasks_are_not_deleted;
CREATE TRIGGER tasks_are_not_deleted BEFORE DELETE ON tasks
WHEN OLD.state = 1 OR OLD.closed_grp > (SELECT grp FROM checkpoint)
BEGIN SELECT RAISE(ABORT, 'tasks are append-only until they are folded'); END;
