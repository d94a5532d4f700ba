-- Schema 5: pay that is pending when its worker is convicted goes back. Takes no time that depends on the file's size.

-- Transfers have ids of one more sort:
--   -2^59 + group * 2^20 + n   the n-th reversal of a group
-- with reason 8: from a worker's pending account to the gamer who paid, or to the fee if that cannot be told.

-- Convicted workers whose pending pay is being given back, in steps. first_grp, last_grp: the groups in which it was paid.
-- below: transfers from this id on have been looked at. rest: what is still to be given back; until then it lies in the
-- worker's pending account and never falls due.
CREATE TABLE reversals (
    worker INTEGER PRIMARY KEY REFERENCES accounts (id),
    first_grp INTEGER NOT NULL,
    last_grp INTEGER NOT NULL,
    below INTEGER NOT NULL,
    rest INTEGER NOT NULL CHECK (rest > 0)
) STRICT;
