//! Batched inserts into one table: rows are bound one by one and written many at a time.
//!
//! One statement per row spends most of its time opening and closing the same B-trees. One statement for up to
//! [`ROWS_MAX`] rows opens them once, finds each row's place next to the last one's, and checks each row as usual.

use rusqlite::types::{Null, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result, Statement};

/// Rows per statement: more save hardly anything, far fewer cost some per cent of the writer's time. Even, so that a task's
/// two transfers mostly reuse the bound parameters of the last pair.
pub(super) const ROWS_MAX: usize = 64;

/// Bytes of waiting rows beyond which they are written early and the statement's copies released: bounds the memory
/// that large outcomes take.
const BYTES_MAX: usize = 64 * 1024;

/// Appends rows of `N` columns.
pub(super) struct Rows<'c, const N: usize> {
    statement: Statement<'c>,
    /// The current value of each parameter. Binding costs many times what comparing does, and most columns (kind, price
    /// list, payer) have the value that is bound to their parameter already.
    bound: Vec<Bound>,
    /// Rows that are bound and not yet written.
    waiting: usize,
    /// Bytes of their texts and blobs.
    bytes: usize,
}

#[derive(Clone, Copy)]
enum Bound {
    Null,
    Integer(i64),
    Bytes,
}

impl<'c, const N: usize> Rows<'c, N> {
    /// Prepares for rows of `table`; `conflict` is the SQL clause for a row that violates a unique key, empty to fail.
    pub fn prepare(
        connection: &'c Connection,
        table: &str,
        columns: [&str; N],
        conflict: &str,
    ) -> Result<Self> {
        let row = format!("SELECT {}", ["?"; N].join(", "));
        let rows = [row.as_str(); ROWS_MAX].join(" UNION ALL ");
        let columns = columns.join(", ");
        // `? + 0` instead of `?`: SQLite plans a statement with the value of a bare limit parameter, and would plan it
        // again for each other number of rows.
        let sql = format!("INSERT INTO {table} ({columns}) {rows} LIMIT ? + 0 {conflict}");
        let bound = vec![Bound::Null; N * ROWS_MAX];
        Ok(Self { statement: connection.prepare(&sql)?, bound, waiting: 0, bytes: 0 })
    }

    /// Whether the next row is the first of a statement.
    pub fn begins(&self) -> bool {
        self.waiting == 0 || self.is_full()
    }

    /// Whether the waiting rows must be written before another is added.
    fn is_full(&self) -> bool {
        self.waiting == ROWS_MAX || self.bytes >= BYTES_MAX
    }

    /// Adds a row of integers, texts and blobs, after writing those before it if there is no room for more.
    pub fn push(&mut self, row: &[ValueRef<'_>; N]) -> Result<()> {
        if self.is_full() {
            self.write()?;
        }
        let first = self.waiting * N;
        for (at, (value, bound)) in row.iter().zip(&mut self.bound[first..first + N]).enumerate() {
            let parameter = first + at + 1;
            match (value, &bound) {
                (ValueRef::Null, Bound::Null) => {}
                (ValueRef::Integer(number), Bound::Integer(same)) if number == same => {}
                (ValueRef::Null, _) => {
                    *bound = Bound::Null;
                    self.statement.raw_bind_parameter(parameter, Null)?;
                }
                (ValueRef::Integer(number), _) => {
                    *bound = Bound::Integer(*number);
                    self.statement.raw_bind_parameter(parameter, *number)?;
                }
                (value, _) => {
                    *bound = Bound::Bytes;
                    self.bytes += value.as_bytes()?.len();
                    self.statement.raw_bind_parameter(parameter, ToSqlOutput::Borrowed(*value))?;
                }
            }
        }
        self.waiting += 1;
        Ok(())
    }

    /// Writes the waiting rows in their order; returns how many were added.
    pub fn write(&mut self) -> Result<usize> {
        if self.waiting == 0 {
            return Ok(0);
        }
        self.statement.raw_bind_parameter(N * ROWS_MAX + 1, self.waiting as i64)?;
        let added = self.statement.raw_execute()?;
        if self.bytes >= BYTES_MAX {
            self.statement.clear_bindings();
            self.bound.fill(Bound::Null);
        }
        (self.waiting, self.bytes) = (0, 0);
        Ok(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (i64, Option<i64>, Option<String>, Option<Vec<u8>>);

    /// Rows whose columns are empty, equal to the row before, or different.
    fn row(id: i64) -> Row {
        let long = if id % 50 == 0 { BYTES_MAX } else { 3 };
        let number = (id % 3 != 0).then_some(id / 100);
        (id, number, (id % 5 == 0).then(|| format!("row {id}")), (id % 4 != 1).then(|| vec![id as u8; long]))
    }

    fn push(rows: &mut Rows<'_, 4>, (id, number, text, bytes): &Row) {
        let number = number.map_or(ValueRef::Null, ValueRef::Integer);
        let text = text.as_deref().map_or(ValueRef::Null, ValueRef::from);
        let bytes = bytes.as_deref().map_or(ValueRef::Null, ValueRef::Blob);
        rows.push(&[ValueRef::Integer(*id), number, text, bytes]).unwrap();
    }

    #[test]
    fn what_is_pushed_is_what_is_written() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, number INTEGER, text TEXT, bytes BLOB) STRICT",
            )
            .unwrap();
        let mut rows = Rows::prepare(&connection, "t", ["id", "number", "text", "bytes"], "").unwrap();
        let mut next = 0;
        for many in [0, 1, ROWS_MAX - 1, ROWS_MAX, ROWS_MAX + 1, 1, 0, 5 * ROWS_MAX] {
            for _ in 0..many {
                push(&mut rows, &row(next));
                next += 1;
            }
            rows.write().unwrap();
            assert_eq!(rows.write().unwrap(), 0, "once");
            let mut select = connection.prepare("SELECT * FROM t ORDER BY id").unwrap();
            let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
            let found: Vec<Row> = found.unwrap().map(|row| row.unwrap()).collect();
            assert!(found == (0..next).map(row).collect::<Vec<_>>(), "after {many} more, {next} in all");
        }
    }

    #[test]
    fn a_row_that_cannot_be_added_is_left_out_or_fails_all() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id < 1000)) STRICT").unwrap();
        let count =
            || connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        let id = ValueRef::Integer;
        let mut lenient = Rows::prepare(&connection, "t", ["id"], "ON CONFLICT DO NOTHING").unwrap();
        for number in [1, 2, 2, 3, 1] {
            lenient.push(&[id(number)]).unwrap();
        }
        assert_eq!((lenient.write().unwrap(), count()), (3, 3));
        let mut strict = Rows::prepare(&connection, "t", ["id"], "").unwrap();
        for number in [4, 5, 3, 6] {
            strict.push(&[id(number)]).unwrap();
        }
        assert!(strict.write().is_err());
        lenient.push(&[id(7)]).unwrap();
        lenient.push(&[id(1_000)]).unwrap();
        assert!(lenient.write().is_err(), "a broken rule is no conflict");
        assert_eq!(count(), 3);
    }
}
