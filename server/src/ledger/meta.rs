//! The table `meta` of a ledger's file: how it was closed, how its time continues, and which ledger it is.

use rusqlite::{Connection, OptionalExtension as _, Result};

fn read(connection: &Connection, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    connection.query_row(sql, [name], |row| row.get(0)).optional()
}

fn write(connection: &Connection, name: &str, value: i64) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
    connection.execute(sql, rusqlite::params![name, value]).map(|_| ())
}

/// How a ledger was last closed; in its table `meta` under `closed_in_order`.
pub(super) mod closing {
    use rusqlite::{Connection, Result};

    const NAME: &str = "closed_in_order";

    /// A coordinator has it open, or had when it died.
    pub const OPEN: i64 = 0;
    /// It was closed, and everything is in the database itself.
    pub const IN_ORDER: i64 = 1;
    /// It is a whole copy of one that was open.
    pub const COPY: i64 = 2;
    /// Nothing was ever recorded in it.
    pub const NEW: i64 = 3;

    pub fn read(connection: &Connection) -> Result<Option<i64>> {
        super::read(connection, NAME)
    }

    pub fn write(connection: &Connection, value: i64) -> Result<()> {
        super::write(connection, NAME, value)
    }

    /// Marks a newly created ledger. Not called when a used ledger is migrated.
    pub fn mark_new(connection: &Connection) -> Result<()> {
        write(connection, NEW)
    }

    /// Marks a whole copy, also that of a ledger which was closed in order: the ledger may have been used since.
    pub fn mark_copy(connection: &Connection) -> Result<()> {
        write(connection, COPY)
    }
}

/// How a ledger's time continues from one start to the next; in its table `meta`.
pub(super) mod timing {
    use rusqlite::{Connection, Result};

    use super::write;

    /// What the last start and the last close have stored.
    pub struct Timing {
        /// The ledger's time when the running time of `boot` was zero.
        pub opened_ms: Option<i64>,
        /// The boot of the machine from which running time counted, if it was known.
        pub boot: Option<i64>,
        /// The ledger's time when it was closed in order.
        pub closed_ms: Option<i64>,
    }

    pub fn read(connection: &Connection) -> Result<Timing> {
        let value = |name: &str| super::read(connection, name);
        Ok(Timing {
            opened_ms: value("time_at_boot_ms")?,
            boot: value("boot")?,
            closed_ms: value("closed_at_ms")?,
        })
    }

    pub fn write_opened(connection: &Connection, opened_ms: i64, boot: Option<i64>) -> Result<()> {
        write(connection, "time_at_boot_ms", opened_ms)?;
        match boot {
            Some(boot) => write(connection, "boot", boot),
            None => connection.execute("DELETE FROM meta WHERE name = 'boot'", []).map(|_| ()),
        }
    }

    pub fn write_closed(connection: &Connection, at_ms: i64) -> Result<()> {
        write(connection, "closed_at_ms", at_ms)
    }
}

/// Which ledger it is; in its table `meta` under `id`.
pub(super) mod identity {
    use rusqlite::{Connection, Result};

    use super::super::options::LedgerId;

    /// `None` for a ledger that was made before there were such numbers.
    pub fn read(connection: &Connection) -> Result<Option<LedgerId>> {
        super::read(connection, "id").map(|id| id.map(LedgerId))
    }

    pub fn write(connection: &Connection, LedgerId(id): LedgerId) -> Result<()> {
        connection.execute("INSERT INTO meta (name, value) VALUES ('id', ?1)", [id]).map(|_| ())
    }
}
