-- Schema 2: no column works out a task's number from another number. It was in no page of the file and nothing
-- read it, yet took 7% of what a task costs to record, because SQLite works such columns out, and checks the
-- row's types once more, at every row that is added. A transfer's task is id >> 2 if id > 0, an attempt's is
-- id >> 8. Takes no time that depends on the file's size.

ALTER TABLE transfers DROP COLUMN task;
ALTER TABLE attempts DROP COLUMN task;
