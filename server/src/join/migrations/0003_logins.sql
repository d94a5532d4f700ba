-- Links that log the operator's browser in to the status page, each once. As everywhere here: hashes, no secrets.
CREATE TABLE logins (
    secret_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a collector of figures shows to read them; at most one, and making another replaces it.
CREATE TABLE metrics_token (
    id          INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32)
) STRICT;
