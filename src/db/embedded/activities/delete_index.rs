//! Finding the rows of a delete by hashes of the named columns' values, so that deletes stay fast as
//! tables grow.
//!
//! When a delete first names a set of columns, the set is declared, and from then on each row that is
//! inserted gets a hash. Rows that were there before get theirs in slices, ascending, in later jobs, so
//! that no job stops the writer for long; until then a delete scans those that have none yet. The values
//! are compared as well: a hash finds candidates only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params, params_from_iter};
use xxhash_rust::xxh3::xxh3_64;

use super::codec::{invalid, to_sql};
use super::physical::{column, create_hashes, hashes_table, rows_table};
use crate::activities::model::Cell;

/// Sets of columns of a table that have hashes; each makes inserts slower. Deletes by others scan.
const MAX_SETS: usize = 8;
/// Rows that get their hashes at a time.
const SLICE: usize = if cfg!(test) { 50 } else { 2_000 };

const SETS: &str = "SELECT table_number, number, columns, filled_to, declared_at \
                    FROM activity_column_sets ORDER BY table_number, number";
const DECLARE: &str = "INSERT INTO activity_column_sets \
                       (table_number, number, columns, filled_to, declared_at) \
                       VALUES (?1, ?2, ?3, 0, ?4)";
const FILLED: &str =
    "UPDATE activity_column_sets SET filled_to = ?3 WHERE table_number = ?1 AND number = ?2";

/// How a table is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredTable {
    pub(super) number: i64,
    pub(super) has_view: bool,
    pub(super) sets: Vec<ColumnSet>,
}

/// A set of columns that deletes have named.
#[derive(Debug, Clone)]
pub(super) struct ColumnSet {
    number: i64,
    /// Their positions, ascending.
    columns: Vec<usize>,
    /// Rows up to this one have a hash,
    filled_to: i64,
    /// and so have those after this one. A row with a null among the columns never has one. Those between
    /// may have one: SQLite gives the number of the last row again after that row was deleted.
    declared_at: i64,
}

impl ColumnSet {
    const fn is_full(&self) -> bool {
        self.filled_to >= self.declared_at
    }
}

/// The sets of all tables, by the tables' numbers.
pub(super) fn load(c: &Connection) -> rusqlite::Result<HashMap<i64, Vec<ColumnSet>>> {
    let mut sets: HashMap<_, Vec<_>> = HashMap::new();
    let mut statement = c.prepare_cached(SETS)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (number, columns) = (row.get(1)?, positions(row, 2)?);
        let set = ColumnSet { number, columns, filled_to: row.get(3)?, declared_at: row.get(4)? };
        sets.entry(row.get(0)?).or_default().push(set);
    }
    Ok(sets)
}

fn positions(row: &Row<'_>, index: usize) -> rusqlite::Result<Vec<usize>> {
    let stored = row.get_ref(index)?;
    let positions = stored.as_str()?.split(',').map(str::parse).collect::<Result<_, _>>();
    positions.map_err(|error| invalid(index, stored.data_type(), error))
}

/// Stores the hashes of a row that was inserted.
pub(super) fn add(
    c: &Connection,
    table: &StoredTable,
    row: i64,
    cells: &[(usize, &Cell)],
) -> rusqlite::Result<()> {
    for set in &table.sets {
        let values = set.columns.iter().map(|position| {
            let place = cells.binary_search_by_key(position, |(position, _)| *position).ok()?;
            Some(to_sql(&cells[place].1.value))
        });
        let Some(values) = values.collect::<Option<Vec<_>>>() else { continue };
        add_hash(c, table.number, set, row, values.iter().map(value_ref))?;
    }
    Ok(())
}

fn add_hash<'v>(
    c: &Connection,
    table: i64,
    set: &ColumnSet,
    row: i64,
    values: impl Iterator<Item = ValueRef<'v>>,
) -> rusqlite::Result<()> {
    let Some(hash) = hash(values) else { return Ok(()) };
    // There may be one: see `ColumnSet::declared_at`.
    let sql = format!("INSERT OR IGNORE INTO {} VALUES (?1, ?2, ?3)", hashes_table(table));
    c.prepare_cached(&sql)?.execute(params![set.number, hash, row]).map(drop)
}

/// Removes the rows with the values of the cells, which are in the order of their columns. How many.
pub(super) fn delete(
    c: &Connection,
    table: &mut StoredTable,
    cells: &[(usize, &Cell)],
) -> rusqlite::Result<Deleted> {
    let columns: Vec<_> = cells.iter().map(|(position, _)| *position).collect();
    let known = table.sets.iter().position(|set| set.columns == columns);
    let mut deleted = Deleted::default();
    let set = match known {
        None if table.sets.len() < MAX_SETS => {
            declare(c, table, columns)?;
            deleted.is_declared = true;
            table.sets.last()
        }
        known => known.map(|place| &table.sets[place]),
    };
    let values: Vec<_> = cells.iter().map(|(_, cell)| to_sql(&cell.value)).collect();
    let mut rows = Vec::new();
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    if let Some(set) = set {
        by_hash(c, table.number, set, &values, &mut rows)?;
        (from, to) = (set.filled_to, set.declared_at);
    }
    if from < to {
        let begun = Instant::now();
        by_scan(c, table.number, cells, (from, to), &values, &mut rows)?;
        deleted.scanned = begun.elapsed();
    }
    rows.sort_unstable();
    rows.dedup();
    deleted.rows = rows.len();
    remove(c, table, &rows)?;
    Ok(deleted)
}

/// What a delete did.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    pub(super) rows: usize,
    /// Whether the catalogue has a new set.
    pub(super) is_declared: bool,
    /// Time for rows without hashes.
    pub(super) scanned: Duration,
}

fn by_hash(
    c: &Connection,
    table: i64,
    set: &ColumnSet,
    values: &[ToSqlOutput<'_>],
    rows: &mut Vec<i64>,
) -> rusqlite::Result<()> {
    // A value to delete by is never null.
    let Some(hash) = hash(values.iter().map(value_ref)) else { return Ok(()) };
    let conditions = conditions("r.", &set.columns, 3);
    let (hashes, table) = (hashes_table(table), rows_table(table));
    // CROSS: first the hash, then its rows, whatever SQLite guesses.
    let sql = format!(
        "SELECT r.row FROM {hashes} h CROSS JOIN {table} r ON r.row = h.row \
         WHERE h.column_set = ?1 AND h.hash = ?2 AND {conditions}"
    );
    let head = [ToSqlOutput::from(set.number), ToSqlOutput::from(hash)];
    let values = params_from_iter(head.iter().chain(values));
    for row in c.prepare_cached(&sql)?.query_map(values, |row| row.get(0))? {
        rows.push(row?);
    }
    Ok(())
}

/// Looks at the rows after the first number up to the second.
fn by_scan(
    c: &Connection,
    table: i64,
    cells: &[(usize, &Cell)],
    (from, to): (i64, i64),
    values: &[ToSqlOutput<'_>],
    rows: &mut Vec<i64>,
) -> rusqlite::Result<()> {
    let columns: Vec<_> = cells.iter().map(|(position, _)| *position).collect();
    let (table, conditions) = (rows_table(table), conditions("", &columns, 3));
    let sql = format!("SELECT row FROM {table} WHERE row > ?1 AND row <= ?2 AND {conditions}");
    let head = [ToSqlOutput::from(from), ToSqlOutput::from(to)];
    let values = params_from_iter(head.iter().chain(values));
    for row in c.prepare_cached(&sql)?.query_map(values, |row| row.get(0))? {
        rows.push(row?);
    }
    Ok(())
}

fn conditions(prefix: &str, columns: &[usize], first: usize) -> String {
    // Row values, because conditions joined by AND are nested: SQLite takes fewer of them than a table has
    // columns.
    let names = columns.iter().map(|position| format!("{prefix}{}", column(*position)));
    let values = (first..first + columns.len()).map(|n| format!("?{n}"));
    let (names, values): (Vec<_>, Vec<_>) = (names.collect(), values.collect());
    format!("({}) = ({})", names.join(", "), values.join(", "))
}

/// Removes rows and their hashes of all sets.
fn remove(c: &Connection, table: &StoredTable, rows: &[i64]) -> rusqlite::Result<()> {
    let mut columns: Vec<_> = table.sets.iter().flat_map(|set| &set.columns).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    let returning = if columns.is_empty() { "row".to_owned() } else { list(&columns) };
    let sql =
        format!("DELETE FROM {} WHERE row = ?1 RETURNING {returning}", rows_table(table.number));
    let mut statement = c.prepare_cached(&sql)?;
    for row in rows {
        let mut found = statement.query([row])?;
        let Some(values) = found.next()? else { continue };
        for set in &table.sets {
            let hash = hash_of(values, set, &columns, 0)?;
            remove_hash(c, table.number, set, hash, *row)?;
        }
    }
    Ok(())
}

fn remove_hash(
    c: &Connection,
    table: i64,
    set: &ColumnSet,
    hash: Option<i64>,
    row: i64,
) -> rusqlite::Result<()> {
    let Some(hash) = hash else { return Ok(()) };
    let hashes = hashes_table(table);
    let sql = format!("DELETE FROM {hashes} WHERE column_set = ?1 AND hash = ?2 AND row = ?3");
    c.prepare_cached(&sql)?.execute(params![set.number, hash, row]).map(drop)
}

/// The hash of a row, of which the columns were read from that index on.
fn hash_of(
    row: &Row<'_>,
    set: &ColumnSet,
    columns: &[usize],
    first: usize,
) -> rusqlite::Result<Option<i64>> {
    let values = set.columns.iter().map(|position| {
        let place = columns.binary_search(position).unwrap_or(usize::MAX - first);
        row.get_ref(first + place)
    });
    Ok(hash(values.collect::<rusqlite::Result<Vec<_>>>()?.into_iter()))
}

/// Declares a set and gives the rows of a small table their hashes.
fn declare(c: &Connection, table: &mut StoredTable, columns: Vec<usize>) -> rusqlite::Result<()> {
    if table.sets.is_empty() {
        create_hashes(c, table.number)?;
    }
    let last = format!("SELECT coalesce(max(row), 0) FROM {}", rows_table(table.number));
    let declared_at = c.prepare_cached(&last)?.query_row((), |row| row.get(0))?;
    let number = table.sets.len() as i64;
    let text: Vec<_> = columns.iter().map(usize::to_string).collect();
    let values = params![table.number, number, text.join(","), declared_at];
    c.prepare_cached(DECLARE)?.execute(values)?;
    let mut set = ColumnSet { number, columns, filled_to: 0, declared_at };
    fill_slice(c, table.number, &mut set)?;
    table.sets.push(set);
    Ok(())
}

/// Gives rows their hashes for as long as that, at least one slice of them.
pub(super) fn fill<'t>(
    c: &Connection,
    tables: impl Iterator<Item = &'t mut StoredTable>,
    time: Duration,
) -> rusqlite::Result<()> {
    let begun = Instant::now();
    for table in tables {
        for set in &mut table.sets {
            while !set.is_full() {
                fill_slice(c, table.number, set)?;
                if begun.elapsed() >= time {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn fill_slice(c: &Connection, table: i64, set: &mut ColumnSet) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT row, {} FROM {} WHERE row > ?1 AND row <= ?2 ORDER BY row LIMIT {SLICE}",
        list(&set.columns),
        rows_table(table)
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = statement.query([set.filled_to, set.declared_at])?;
    let mut rows = 0;
    let mut last = set.filled_to;
    while let Some(row) = found.next()? {
        last = row.get(0)?;
        let values = (1..=set.columns.len()).map(|n| row.get_ref(n));
        let values: Vec<_> = values.collect::<Result<_, _>>()?;
        add_hash(c, table, set, last, values.into_iter())?;
        rows += 1;
    }
    set.filled_to = if rows < SLICE { set.declared_at } else { last };
    // No new version of the catalogue: to scan, or to fill again, what another process has filled since
    // does no harm.
    c.prepare_cached(FILLED)?.execute([table, set.number, set.filled_to]).map(drop)
}

fn list(columns: &[usize]) -> String {
    columns.iter().map(|position| column(*position)).collect::<Vec<_>>().join(", ")
}

fn value_ref<'v>(value: &'v ToSqlOutput<'v>) -> ValueRef<'v> {
    match value {
        ToSqlOutput::Borrowed(value) => *value,
        ToSqlOutput::Owned(value) => ValueRef::from(value),
        _ => ValueRef::Null,
    }
}

/// A hash of values as they are stored; `None` if one is null, as no delete finds it.
fn hash<'v>(values: impl Iterator<Item = ValueRef<'v>>) -> Option<i64> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            ValueRef::Null => return None,
            ValueRef::Integer(value) => bytes.extend(value.to_le_bytes()),
            ValueRef::Real(value) => bytes.extend(value.to_bits().to_le_bytes()),
            // With the length, so that no two lists of values have the same bytes.
            ValueRef::Text(value) | ValueRef::Blob(value) => {
                bytes.extend((value.len() as u64).to_le_bytes());
                bytes.extend(value);
            }
        }
    }
    Some(xxh3_64(&bytes).cast_signed())
}
