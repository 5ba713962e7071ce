//! The tables of clients' data as SQLite has them: generated names, and a view under the real name where
//! SQLite can have one.

use rusqlite::{Connection, Error};

use super::codec::sql_type;
use crate::activities::model::{ColumnType, Name};

/// Names of this program's own tables and indexes, and of SQLite's. No view begins so, in any case.
const RESERVED: [&str; 2] = ["activity_", "sqlite_"];

/// The table with the rows.
pub(super) fn rows_table(number: i64) -> String {
    format!("activity_rows_{number}")
}

/// The table with hashes of the rows' values.
pub(super) fn hashes_table(number: i64) -> String {
    format!("activity_hashes_{number}")
}

/// A column by its position.
pub(super) fn column(position: usize) -> String {
    format!("c{position}")
}

/// Makes a table without columns of a client's; they are added.
pub(super) fn create(c: &Connection, number: i64, columns: &[ColumnType]) -> rusqlite::Result<()> {
    let mut definitions = String::new();
    for (position, column_type) in columns.iter().enumerate() {
        definitions += &format!(", {} {}", column(position), sql_type(*column_type));
    }
    let table = rows_table(number);
    c.execute(&format!("CREATE TABLE {table} (row INTEGER PRIMARY KEY{definitions})"), ()).map(drop)
}

/// Adds columns behind the first ones. SQLite writes nothing to the rows.
pub(super) fn add_columns(
    c: &Connection,
    number: i64,
    existing: usize,
    columns: &[ColumnType],
) -> rusqlite::Result<()> {
    let table = rows_table(number);
    for (n, column_type) in columns.iter().enumerate() {
        let (column, column_type) = (column(existing + n), sql_type(*column_type));
        c.execute(&format!("ALTER TABLE {table} ADD COLUMN {column} {column_type}"), ())?;
    }
    Ok(())
}

/// Removes a table and its hashes.
pub(super) fn drop_table(c: &Connection, number: i64) -> rusqlite::Result<()> {
    c.execute(&format!("DROP TABLE {}", rows_table(number)), ())?;
    c.execute(&format!("DROP TABLE IF EXISTS {}", hashes_table(number)), ()).map(drop)
}

/// Makes the view of a table; false if SQLite can have none of that name.
pub(super) fn create_view<'a>(
    c: &Connection,
    number: i64,
    name: &Name,
    columns: impl Iterator<Item = &'a Name>,
) -> rusqlite::Result<bool> {
    let lower = name.as_str().to_ascii_lowercase();
    if RESERVED.iter().any(|reserved| lower.starts_with(reserved)) {
        return Ok(false);
    }
    // SQLite changes a name that differs from another one by its case alone.
    let columns = columns.enumerate();
    let columns = columns.map(|(n, name)| format!("{} AS {}", column(n), quoted(name.as_str())));
    let columns: Vec<_> = columns.collect();
    let (view, columns, table) = (quoted(name.as_str()), columns.join(", "), rows_table(number));
    match c.execute(&format!("CREATE VIEW {view} AS SELECT {columns} FROM {table}"), ()) {
        Ok(_) => Ok(true),
        // The name is taken, in this case or another.
        Err(error @ Error::SqlInputError { .. }) => {
            tracing::debug!(%error, table = name.as_str(), "no view of a table");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Removes the view of a table.
pub(super) fn drop_view(c: &Connection, name: &Name) -> rusqlite::Result<()> {
    c.execute(&format!("DROP VIEW {}", quoted(name.as_str())), ()).map(drop)
}

/// A name as SQL takes it, whatever is in it. It holds no U+0000.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
