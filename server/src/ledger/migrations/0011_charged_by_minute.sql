-- Schema 11: what gamers were charged of late, by minute, so that a cap on what an hour costs holds over restarts. Takes no time
-- that depends on the file's size: what was charged before this schema is not in it.

-- minute: since 1970, on the ledger's clock. Minutes that no hour needs are deleted as later ones are added.
CREATE TABLE charged (
    gamer INTEGER NOT NULL REFERENCES accounts (id),
    minute INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    -- Serves: INSERT … ON CONFLICT DO UPDATE (charges are added up) and SELECT … WHERE gamer = ? (a gamer joins).
    PRIMARY KEY (gamer, minute)
) STRICT, WITHOUT ROWID;

-- Serves: DELETE … WHERE minute < ?.
CREATE INDEX charged_by_minute ON charged (minute);

-- The first group whose charges are in it.
INSERT OR REPLACE INTO meta (name, value)
SELECT 'charged_from_grp', max(coalesce((SELECT max(id) FROM groups), 0), (SELECT grp FROM checkpoint)) + 1;
