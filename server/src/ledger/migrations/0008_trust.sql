-- Schema 8: what is known of workers survives a restart. Takes no time that depends on the file's size. Workers of older
-- ledgers begin as newcomers.

-- What a worker has answered of one kind since it began, or began again after a failed check. since_ms: when it began, in
-- the ledger's time. checked: how many answers of all time passed a deep check.
CREATE TABLE trust (
    worker INTEGER NOT NULL REFERENCES accounts (id),
    kind INTEGER NOT NULL,
    kernel_version INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    answers INTEGER NOT NULL CHECK (answers >= 0),
    checked INTEGER NOT NULL CHECK (checked >= 0),
    -- Serves: SELECT … FROM trust WHERE worker = ? (a worker joins).
    PRIMARY KEY (worker, kind, kernel_version)
) STRICT, WITHOUT ROWID;

-- Workers with failed checks that are not forgotten, or that are or were convicted. clean_checks: deep checks passed since
-- the last failure. quarantined_ms: since when it gets no work; NULL if it does.
CREATE TABLE standings (
    worker INTEGER PRIMARY KEY REFERENCES accounts (id),
    failures INTEGER NOT NULL CHECK (failures >= 0),
    clean_checks INTEGER NOT NULL CHECK (clean_checks >= 0),
    quarantined_ms INTEGER
) STRICT;
