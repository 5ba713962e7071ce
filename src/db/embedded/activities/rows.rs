//! The rows of clients' tables as messages change them.

use rusqlite::{Connection, params_from_iter};

use super::cache::CachedCatalogue;
use super::codec::to_sql;
use super::delete_index;
use super::physical::{column, rows_table};
use crate::activities::model::{Cell, Target};

/// The cells with the positions of their columns, ascending, so that equal sets of columns make equal
/// statements.
fn placed<'t>(cache: &CachedCatalogue, target: &'t Target) -> Option<Vec<(usize, &'t Cell)>> {
    let table = cache.catalogue.table(&target.table)?;
    let cells = target.cells.iter().map(|cell| Some((table.position(&cell.column)?, cell)));
    let mut cells = cells.collect::<Option<Vec<_>>>()?;
    cells.sort_unstable_by_key(|(position, _)| *position);
    Some(cells)
}

/// Adds a row. The table's number, and how many rows more it has.
pub(super) fn insert(
    c: &Connection,
    cache: &CachedCatalogue,
    target: &Target,
) -> rusqlite::Result<(i64, i64)> {
    // The plan has made them.
    let cells = placed(cache, target).ok_or(rusqlite::Error::InvalidQuery)?;
    let table = cache.stored.get(&target.table).ok_or(rusqlite::Error::InvalidQuery)?;
    let columns: Vec<_> = cells.iter().map(|(position, _)| column(*position)).collect();
    let places: Vec<_> = (1..=cells.len()).map(|n| format!("?{n}")).collect();
    let (columns, places) = (columns.join(", "), places.join(", "));
    let sql = format!("INSERT INTO {} ({columns}) VALUES ({places})", rows_table(table.number));
    let values = cells.iter().map(|(_, cell)| to_sql(&cell.value));
    let row = c.prepare_cached(&sql)?.insert(params_from_iter(values))?;
    delete_index::add(c, table, row, &cells)?;
    Ok((table.number, 1))
}

/// Removes rows. The table's number, and how many rows more it has.
pub(super) fn delete(
    c: &Connection,
    cache: &mut CachedCatalogue,
    target: &Target,
) -> rusqlite::Result<(i64, i64)> {
    let cells = placed(cache, target).ok_or(rusqlite::Error::InvalidQuery)?;
    let table = cache.stored.get_mut(&target.table).ok_or(rusqlite::Error::InvalidQuery)?;
    let (number, deleted) = (table.number, delete_index::delete(c, table, &cells)?);
    cache.scanned += deleted.scanned;
    if deleted.is_declared {
        cache.changed();
    }
    Ok((number, -(deleted.rows as i64)))
}
