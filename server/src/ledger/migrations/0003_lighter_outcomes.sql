-- Schema 3: a kept outcome costs less to keep. Its checksum is XXH3 (64 bits, of the bytes, seeded with XXH3 of the
-- task's key) instead of BLAKE3, and its task is not looked up when it is added: `ledger check` says so if there is none.
-- What was kept under the old checksum is forgotten, so equal tasks are computed and charged once more. Takes time with
-- the bytes that were kept; their pages are used again.

DROP TABLE outcomes;

-- Outcomes of the last 24 hours, in the order they were kept, so that the oldest have the lowest ids. The key
-- is the task's, which was recorded in the same group or an earlier one, and tasks are never deleted.
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    worker INTEGER,
    expires_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
