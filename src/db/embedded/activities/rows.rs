//! The rows of clients' tables as messages change them.

use rusqlite::{Connection, params_from_iter};

use super::cache::CachedCatalogue;
use super::codec::to_sql;
use super::physical::{column, rows_table};
use crate::activities::model::{Cell, Target};

/// The cells with the positions of their columns, ascending, so that equal sets of columns make equal
/// statements.
fn placed<'t>(
    cache: &CachedCatalogue,
    target: &'t Target,
) -> Option<(i64, Vec<(usize, &'t Cell)>)> {
    let number = cache.stored.get(&target.table)?.number;
    let table = cache.catalogue.table(&target.table)?;
    let cells = target.cells.iter().map(|cell| Some((table.position(&cell.column)?, cell)));
    let mut cells = cells.collect::<Option<Vec<_>>>()?;
    cells.sort_unstable_by_key(|(position, _)| *position);
    Some((number, cells))
}

/// Adds a row. The table's number, and how many rows more it has.
pub(super) fn insert(
    c: &Connection,
    cache: &mut CachedCatalogue,
    target: &Target,
) -> rusqlite::Result<(i64, i64)> {
    let (number, cells) = placed(cache, target).ok_or(rusqlite::Error::InvalidQuery)?;
    let columns: Vec<_> = cells.iter().map(|(position, _)| column(*position)).collect();
    let places: Vec<_> = (1..=cells.len()).map(|n| format!("?{n}")).collect();
    let (columns, places, table) = (columns.join(", "), places.join(", "), rows_table(number));
    let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
    let values = cells.iter().map(|(_, cell)| to_sql(&cell.value));
    c.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok((number, 1))
}

/// Removes rows. The table's number, and how many rows more it has.
pub(super) fn delete(
    c: &Connection,
    cache: &mut CachedCatalogue,
    target: &Target,
) -> rusqlite::Result<(i64, i64)> {
    let (number, cells) = placed(cache, target).ok_or(rusqlite::Error::InvalidQuery)?;
    let conditions = cells.iter().enumerate();
    let conditions =
        conditions.map(|(n, (position, _))| format!("{} = ?{}", column(*position), n + 1));
    let conditions: Vec<_> = conditions.collect();
    let sql = format!("DELETE FROM {} WHERE {}", rows_table(number), conditions.join(" AND "));
    let values = cells.iter().map(|(_, cell)| to_sql(&cell.value));
    let removed = c.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok((number, -(removed as i64)))
}
