-- Schema 13: how many tasks of each gamer have a row, so that one account cannot fill the books. Takes time with the tasks, once.

-- tasks: a gamer's tasks that have a row; those that were folded do not count.
ALTER TABLE accounts ADD COLUMN tasks INTEGER NOT NULL DEFAULT 0 CHECK (tasks >= 0);
UPDATE accounts SET tasks = (SELECT count(*) FROM tasks WHERE gamer = accounts.id) WHERE kind = 3;
