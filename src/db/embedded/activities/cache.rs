//! The catalogue in memory, as the worker plans by it. Another process may have changed it: it is compared
//! by its version in the transaction that uses it.
//!
//! A job takes it out of its place, and it is put back when the job is committed. So a catalogue that
//! was never committed is not used again.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::delete_index::{self, StoredTable};
use super::physical;
use super::tables;
use crate::activities::catalogue::{Catalogue, Plan, TableChange};
use crate::activities::model::{ColumnType, Name};

/// Bounds how long the writer is stopped for hashes at the end of a job.
const LONGEST_FILL: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 500 });

const VERSION: &str = "SELECT catalogue_version FROM activity_totals";
const NEXT_VERSION: &str =
    "UPDATE activity_totals SET catalogue_version = catalogue_version + 1 WHERE only = 1";
const ADD_TABLE: &str = "INSERT INTO activity_tables (name, rows, last_applied_at, has_view) \
                         VALUES (?1, 0, 0, 0)";
const ADD_COLUMN: &str = "INSERT INTO activity_columns (table_number, position, name, type) \
                          VALUES (?1, ?2, ?3, ?4)";
const SET_VIEW: &str = "UPDATE activity_tables SET has_view = ?2 WHERE number = ?1";
const VIEWS: &str = "SELECT number, has_view FROM activity_tables";
const REMOVE: [&str; 3] = [
    "DELETE FROM activity_tables WHERE number = ?1",
    "DELETE FROM activity_columns WHERE table_number = ?1",
    "DELETE FROM activity_column_sets WHERE table_number = ?1",
];

/// The catalogue and how its tables are stored.
#[derive(Debug)]
pub(super) struct CachedCatalogue {
    version: i64,
    is_changed: bool,
    /// How long deletes of this job looked at rows without hashes.
    pub(super) scanned: Duration,
    pub(super) catalogue: Catalogue,
    pub(super) stored: HashMap<Name, StoredTable>,
}

impl CachedCatalogue {
    /// The given one if it is that of this transaction, or as it is stored.
    pub(super) fn current(c: &Connection, cached: Option<Self>) -> rusqlite::Result<Self> {
        let version: i64 = c.prepare_cached(VERSION)?.query_row((), |row| row.get(0))?;
        match cached {
            Some(cached) if cached.version == version => Ok(cached),
            _ => Self::load(c),
        }
    }

    /// The catalogue as the transaction so far leaves it.
    pub(super) fn load(c: &Connection) -> rusqlite::Result<Self> {
        let version = c.prepare_cached(VERSION)?.query_row((), |row| row.get(0))?;
        let mut statement = c.prepare_cached(VIEWS)?;
        let views = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let views: HashMap<i64, bool> = views.collect::<Result<_, _>>()?;
        let mut sets = delete_index::load(c)?;
        let (mut catalogue, mut stored) = (Catalogue::default(), HashMap::new());
        for (number, status) in tables::all(c)? {
            catalogue.insert(status.name.clone(), status.columns.into_iter().collect());
            let has_view = views.get(&number).copied().unwrap_or(false);
            let sets = sets.remove(&number).unwrap_or_default();
            stored.insert(status.name, StoredTable { number, has_view, sets });
        }
        Ok(Self { version, is_changed: false, scanned: Duration::ZERO, catalogue, stored })
    }

    /// Notes that another process has to load it again.
    pub(super) const fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Gives rows that were there before a set of columns their hashes, for that time at least or as long
    /// as deletes had to do without, so that a job takes twice as long at most; and stores the next version
    /// if anything was changed. At the end of a job.
    pub(super) fn finish(&mut self, c: &Connection, fill: Duration) -> rusqlite::Result<()> {
        let fill = self.scanned.min(LONGEST_FILL).max(fill);
        self.scanned = Duration::ZERO;
        delete_index::fill(c, self.stored.values_mut(), fill)?;
        if self.is_changed {
            c.prepare_cached(NEXT_VERSION)?.execute(())?;
            (self.version, self.is_changed) = (self.version + 1, false);
        }
        Ok(())
    }

    /// Makes the changes of a message. Returns the numbers of the tables that it changed.
    pub(super) fn apply(&mut self, c: &Connection, plan: &Plan) -> rusqlite::Result<Vec<i64>> {
        let mut numbers = Vec::new();
        for change in &plan.changes {
            self.changed();
            if change.dropped {
                self.drop_table(c, &change.table)?;
            } else {
                numbers.push(self.extend(c, change)?);
            }
        }
        let views = plan.changes.iter().filter(|change| !change.dropped);
        let views: Vec<_> = views.map(|change| change.table.clone()).collect();
        self.catalogue.apply(plan);
        for table in views {
            self.renew_view(c, &table)?;
        }
        Ok(numbers)
    }

    fn drop_table(&mut self, c: &Connection, name: &Name) -> rusqlite::Result<()> {
        let Some(table) = self.stored.remove(name) else { return Ok(()) };
        if table.has_view {
            physical::drop_view(c, name)?;
        }
        physical::drop_table(c, table.number)?;
        for sql in REMOVE {
            c.prepare_cached(sql)?.execute([table.number])?;
        }
        Ok(())
    }

    /// Creates a table, or adds columns to it.
    fn extend(&mut self, c: &Connection, change: &TableChange) -> rusqlite::Result<i64> {
        let types: Vec<ColumnType> = change.columns.iter().map(|(_, of)| *of).collect();
        let existing = self.catalogue.table(&change.table).map_or(0, |table| table.columns().len());
        let number = match self.stored.get(&change.table) {
            Some(table) => {
                physical::add_columns(c, table.number, existing, &types)?;
                table.number
            }
            None => {
                c.prepare_cached(ADD_TABLE)?.execute([change.table.as_str()])?;
                let number = c.last_insert_rowid();
                physical::create(c, number, &types)?;
                let table = StoredTable { number, has_view: false, sets: Vec::new() };
                self.stored.insert(change.table.clone(), table);
                number
            }
        };
        for (n, (column, column_type)) in change.columns.iter().enumerate() {
            let position = (existing + n) as i64;
            let values = params![number, position, column.as_str(), column_type.to_string()];
            c.prepare_cached(ADD_COLUMN)?.execute(values)?;
        }
        Ok(number)
    }

    /// Makes the view of a table that has new columns, or is new.
    fn renew_view(&mut self, c: &Connection, name: &Name) -> rusqlite::Result<()> {
        let (Some(table), Some(stored)) = (self.catalogue.table(name), self.stored.get_mut(name))
        else {
            return Ok(());
        };
        if stored.has_view {
            physical::drop_view(c, name)?;
        }
        let columns = table.columns().iter().map(|(column, _)| column);
        stored.has_view = physical::create_view(c, stored.number, name, columns)?;
        c.prepare_cached(SET_VIEW)?.execute(params![stored.number, stored.has_view]).map(drop)
    }
}
