-- What an hour may cost a gamer's account, where the operator has said so; accounts without a row have the cap of the
-- coordinator's settings.
CREATE TABLE hour_caps (
    account BLOB    NOT NULL PRIMARY KEY REFERENCES accounts (key),
    -- NULL: whatever the account has.
    nanos   INTEGER CHECK (nanos >= 0)
) STRICT, WITHOUT ROWID;
