//! Walking several tables side by side, in the order of the same number.

use rusqlite::{Result, Row, Rows};

/// Rows of a statement, with one row of look-ahead.
pub(in crate::ledger) struct LookAhead<'s, T> {
    rows: Rows<'s>,
    next: Option<T>,
    read: fn(&Row<'_>) -> Result<T>,
}

impl<'s, T> LookAhead<'s, T> {
    /// Reads the first row.
    pub fn new(rows: Rows<'s>, read: fn(&Row<'_>) -> Result<T>) -> Result<Self> {
        let mut ahead = Self { rows, next: None, read };
        ahead.step()?;
        Ok(ahead)
    }

    /// The next row.
    pub fn step(&mut self) -> Result<Option<T>> {
        let next = self.rows.next()?.map(self.read).transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// The next row if it `belongs`.
    pub fn take_if(&mut self, belongs: impl Fn(&T) -> bool) -> Result<Option<T>> {
        if self.next.as_ref().is_some_and(belongs) { self.step() } else { Ok(None) }
    }
}
