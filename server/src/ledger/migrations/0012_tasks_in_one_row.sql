-- Schema 12: a task that began and ended in one group, in one attempt, is one row, which is two thirds of what recording it took.
-- Takes no time that depends on the file's size.

-- worker: who did it in one attempt, which was accepted in the group that the task began in. Then the row alone says that attempt
-- and these transfers, which have no rows of their own and are hashed as if they had:
--   no * 4 + 1   gamer -> worker + 1   pay, for the attempt, if it is not zero
--   the next     gamer -> fee          fee, if it is not zero
-- NULL for every other task: its attempts and transfers are rows.
ALTER TABLE tasks ADD COLUMN worker INTEGER;
