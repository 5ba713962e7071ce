//! The tables of clients' data as they are read.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{self, column_type, count, name, time};
use super::physical::{column, rows_table};
use crate::activities::catalogue::Catalogue;
use crate::activities::model::{ColumnType, Name, Value};
use crate::db::storage::{Rows, TableStatus};

const TABLES: &str =
    "SELECT number, name, rows, last_applied_at FROM activity_tables ORDER BY name";
const COLUMNS: &str = "SELECT table_number, name, type FROM activity_columns \
                       ORDER BY table_number, position";
const NUMBER: &str = "SELECT number FROM activity_tables WHERE name = ?1";
const COLUMNS_OF: &str = "SELECT name, type FROM activity_columns WHERE table_number = ?1 \
                          ORDER BY position";

/// All tables by name, with the numbers by which they are stored.
pub(super) fn all(c: &Connection) -> rusqlite::Result<Vec<(i64, TableStatus)>> {
    let mut columns = all_columns(c)?;
    let mut statement = c.prepare_cached(TABLES)?;
    let tables = statement.query_map((), |row| {
        let number = row.get(0)?;
        let columns = columns.remove(&number).unwrap_or_default();
        let (name, rows, last_applied_at) = (name(row, 1)?, count(row, 2)?, time(row, 3)?);
        Ok((number, TableStatus { name, columns, rows, last_applied_at }))
    })?;
    tables.collect()
}

/// The same, in a read transaction of its own.
pub(super) fn status(c: &Connection) -> rusqlite::Result<Vec<TableStatus>> {
    let transaction = c.unchecked_transaction()?;
    Ok(all(&transaction)?.into_iter().map(|(_, table)| table).collect())
}

pub(super) fn catalogue(c: &Connection) -> rusqlite::Result<Catalogue> {
    let tables = status(c)?.into_iter();
    Ok(tables.map(|table| (table.name, table.columns.into_iter().collect())).collect())
}

fn all_columns(c: &Connection) -> rusqlite::Result<HashMap<i64, Vec<(Name, ColumnType)>>> {
    let mut columns: HashMap<_, Vec<_>> = HashMap::new();
    let mut statement = c.prepare_cached(COLUMNS)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        columns.entry(row.get(0)?).or_default().push((name(row, 1)?, column_type(row, 2)?));
    }
    Ok(columns)
}

/// Rows in the order of arrival; the cursor is the number of the last one. A cursor that is none is
/// behind the last row.
pub(super) fn rows(
    c: &Connection,
    table: &Name,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Option<Rows>> {
    let transaction = c.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached(NUMBER)?;
    let number = statement.query_row([table.as_str()], |row| row.get(0)).optional()?;
    let Some(number) = number else { return Ok(None) };
    let mut statement = transaction.prepare_cached(COLUMNS_OF)?;
    let columns = statement.query_map([number], |row| Ok((name(row, 0)?, column_type(row, 1)?)))?;
    let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
    let after = after.map_or(i64::MIN, |text| text.parse().unwrap_or(i64::MAX));
    let mut found = page(&transaction, number, &columns, after, limit)?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(|(row, _)| row.to_string());
    let rows = found.into_iter().map(|(_, values)| values).collect();
    Ok(Some(Rows { columns: columns.into_iter().map(|(name, _)| name).collect(), rows, next }))
}

/// Up to one row more than the limit, with their numbers.
fn page(
    c: &Connection,
    number: i64,
    columns: &[(Name, ColumnType)],
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<(i64, Vec<Value>)>> {
    let list: Vec<_> = (0..columns.len()).map(column).collect();
    let (list, table) = (list.join(", "), rows_table(number));
    let sql = format!("SELECT row, {list} FROM {table} WHERE row > ?1 ORDER BY row LIMIT ?2");
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, i64::from(limit) + 1], |row| {
        let columns = columns.iter().enumerate();
        let values = columns.map(|(n, (_, column_type))| codec::value(row, n + 1, *column_type));
        Ok((row.get(0)?, values.collect::<Result<_, _>>()?))
    })?;
    rows.collect()
}
