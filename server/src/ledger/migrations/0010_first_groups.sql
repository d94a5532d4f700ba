-- Schema 10: pending pay says in which groups it was paid, so that only that goes back when its worker is convicted, and not
-- what was released or has gone back before. Takes no time that depends on the file's size.

-- first_grp: the first group that paid any of it; 0 for what was paid before this schema, which any group may have.
ALTER TABLE earnings ADD COLUMN first_grp INTEGER NOT NULL DEFAULT 0 CHECK (first_grp >= 0);
