-- Schema 9: kept outcomes say whether they are a patient task's. Outcomes of kinds whose right answers differ by roundings
-- may be reused only if they are: those are looked at more closely than others. Takes no time that depends on the file's size;
-- what was kept before counts as not.

-- patient: 1 for the outcome of a task without a deadline.
ALTER TABLE outcomes ADD COLUMN patient INTEGER NOT NULL DEFAULT 0 CHECK (patient IN (0, 1));
