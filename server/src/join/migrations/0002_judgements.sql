-- What the operator says of workers, in order. The running coordinator carries each out in the ledger and on those who are
-- connected; what is said while none runs, the next one carries out.
CREATE TABLE judgements (
    id          INTEGER PRIMARY KEY,
    account     BLOB    NOT NULL REFERENCES accounts (key),
    -- 1: it gets no more work; 0: it may work again.
    quarantined INTEGER NOT NULL CHECK (quarantined IN (0, 1)),
    made_at     INTEGER NOT NULL,
    done        INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT;

CREATE INDEX judgements_to_do ON judgements (id) WHERE done = 0;
