//! Decides what a group of messages does: the effects of one step, from the tables as the step before left
//! them. The rules are [`crate::activities::catalogue`]'s; here rows are found and counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::cells::encode;
use super::redo::{Cells, Ended, NewRow, Outcome, Redo, StoredTable};
use super::rows_table::RowsTable;
use crate::activities::catalogue::{Catalogue, Plan};
use crate::activities::model::{Activity, Cell, Name, Rejection, RejectionKind, Target, Work};
use crate::db::storage::{QueuedMessage, StorageError};

/// Rows that one message removes at most.
const MAX_DELETED: usize = 10_000;
/// A step takes no further message after so many messages, bytes of texts or removed rows.
const MAX_MESSAGES: usize = 256;
const MAX_BYTES: usize = 256 * 1_024;
/// Bytes of the columns that a step records, after which it takes no further message; one message may have
/// so many. So a record is smaller than what Cassandra takes in one write, 16 MiB as it is shipped.
const MAX_COLUMN_BYTES: usize = 6 << 20;
/// Bits of a table's id that tell it from others of its step: more than activities fit into a step.
const TABLE_BITS: u32 = 20;

/// All tables, as the last step left them.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) catalogue: Catalogue,
    states: HashMap<Name, TableState>,
}

/// A table without its columns.
#[derive(Debug, Clone, Copy)]
struct TableState {
    table_id: i64,
    row_count: i64,
    next_row: i64,
    last_applied_at: i64,
}

impl Tables {
    pub(super) fn new(stored: &[StoredTable]) -> Result<Self, StorageError> {
        let mut tables = Self::default();
        for stored in stored {
            let (name, table) = stored.table()?;
            let StoredTable { table_id, row_count, next_row, last_applied_at, .. } = *stored;
            let state = TableState { table_id, row_count, next_row, last_applied_at };
            tables.catalogue.insert(name.clone(), table);
            tables.states.insert(name, state);
        }
        Ok(tables)
    }

    fn stored(&self, name: &Name) -> Option<StoredTable> {
        let TableState { table_id, row_count, next_row, last_applied_at } =
            *self.states.get(name)?;
        let columns = self.catalogue.table(name)?.columns();
        Some(StoredTable {
            name: name.as_str().to_owned(),
            table_id,
            columns: columns.iter().map(|(column, _)| column.as_str().to_owned()).collect(),
            types: columns.iter().map(|(_, column_type)| column_type.to_string()).collect(),
            row_count,
            next_row,
            last_applied_at,
        })
    }
}

type RowKey = (i64, i64);

/// The effects of the messages of one step so far.
pub(super) struct Planner<'a> {
    rows: &'a RowsTable,
    tables: &'a mut Tables,
    step: i64,
    /// Tables that this step has made, for their ids.
    made: i64,
    inserted: BTreeMap<RowKey, Cells>,
    deleted: BTreeSet<RowKey>,
    /// The tables that change, and whether each was stored before.
    touched: BTreeMap<Name, bool>,
    dropped: Vec<(i64, i64)>,
    ended: Vec<Ended>,
    bytes: usize,
    /// Of the columns of the tables that change.
    column_bytes: usize,
}

/// The effects of one message, kept apart until it is known that all of them can be made.
#[derive(Default)]
struct Draft {
    states: HashMap<Name, TableState>,
    inserted: BTreeMap<RowKey, Cells>,
    /// Stored rows.
    deleted: BTreeSet<RowKey>,
    /// Rows that earlier messages of the step inserted.
    uninserted: BTreeSet<RowKey>,
    /// How many rows it has removed, its own ones included.
    removed: usize,
    made: i64,
    column_bytes: usize,
}

impl<'a> Planner<'a> {
    /// For a step. If anything fails, the tables must be read again.
    pub(super) fn new(rows: &'a RowsTable, tables: &'a mut Tables, step: i64) -> Self {
        Self {
            rows,
            tables,
            step,
            made: 0,
            inserted: BTreeMap::new(),
            deleted: BTreeSet::new(),
            touched: BTreeMap::new(),
            dropped: Vec::new(),
            ended: Vec::new(),
            bytes: 0,
            column_bytes: 0,
        }
    }

    /// Whether the next message belongs to another step.
    pub(super) fn is_full(&self) -> bool {
        self.ended.len() >= MAX_MESSAGES
            || self.bytes >= MAX_BYTES
            || self.column_bytes >= MAX_COLUMN_BYTES
            || self.deleted.len() >= MAX_DELETED
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    /// Whether the step ends this message.
    pub(super) fn has(&self, message: &QueuedMessage) -> bool {
        self.ended.iter().any(|ended| ended.id == message.id)
    }

    /// Adds a message; why it is rejected, if it is: because of `rejected`, or by the rules.
    pub(super) async fn add(
        &mut self,
        message: &QueuedMessage,
        rejected: Option<Rejection>,
    ) -> Result<Option<Rejection>, StorageError> {
        let now = jiff::Timestamp::now().as_millisecond();
        let ended_at = now.max(message.id.made_at());
        let result = match rejected {
            Some(rejection) => Err(rejection),
            None => self.plan(&message.body, ended_at).await?,
        };
        let outcome = result.as_ref().map_or_else(Outcome::from, |()| Outcome::Applied);
        let (position, id, length) = (message.position, message.id, message.body.len());
        self.bytes += length;
        self.ended.push(Ended { position, id, length: length as i64, ended_at, outcome });
        Ok(result.err())
    }

    async fn plan(
        &mut self,
        body: &str,
        ended_at: i64,
    ) -> Result<Result<(), Rejection>, StorageError> {
        let work = match Work::parse(body) {
            Ok(work) => work,
            Err(invalid) => return Ok(Err(unreadable(&invalid.to_string()))),
        };
        let plan = match self.tables.catalogue.plan(&work) {
            Ok(plan) => plan,
            Err(rejection) => return Ok(Err(rejection)),
        };
        match &work {
            Work::DropTable(table) => self.drop_table(table),
            Work::Activities(activities) => {
                let draft = match self.draft(activities, &plan).await? {
                    Ok(draft) => draft,
                    Err(rejection) => return Ok(Err(rejection)),
                };
                self.merge(draft, ended_at);
            }
        }
        self.tables.catalogue.apply(&plan);
        Ok(Ok(()))
    }

    fn drop_table(&mut self, name: &Name) {
        let Some(state) = self.tables.states.remove(name) else { return };
        self.touch(name, true);
        let rows = (state.table_id, i64::MIN)..=(state.table_id, i64::MAX);
        self.inserted.retain(|key, _| !rows.contains(key));
        self.deleted.retain(|key| !rows.contains(key));
        self.dropped.push((state.table_id, state.next_row));
    }

    fn touch(&mut self, name: &Name, existed: bool) {
        // Only the first one of a step tells what is stored.
        self.touched.entry(name.clone()).or_insert(existed);
    }

    fn merge(&mut self, draft: Draft, ended_at: i64) {
        for (name, state) in draft.states {
            self.touch(&name, self.tables.states.contains_key(&name));
            let state = TableState { last_applied_at: ended_at, ..state };
            self.tables.states.insert(name, state);
        }
        self.inserted.retain(|key, _| !draft.uninserted.contains(key));
        self.inserted.extend(draft.inserted);
        self.deleted.extend(draft.deleted);
        self.made += draft.made;
        self.column_bytes += draft.column_bytes;
    }

    async fn draft(
        &self,
        activities: &[Activity],
        plan: &Plan,
    ) -> Result<Result<Draft, Rejection>, StorageError> {
        let numbers = ColumnNumbers::new(&self.tables.catalogue, plan);
        let mut draft = Draft::default();
        for (number, activity) in activities.iter().enumerate() {
            let target = activity.target();
            let cells = numbers.cells(target);
            match activity {
                Activity::Insert(_) => self.insert(&mut draft, target, cells),
                Activity::Delete(_) => self.delete(&mut draft, target, &cells).await?,
            }
            if draft.removed > MAX_DELETED {
                return Ok(Err(too_many_rows(number, &target.table)));
            }
        }
        draft.column_bytes = self.column_bytes_of(&draft, plan);
        if draft.column_bytes > MAX_COLUMN_BYTES {
            return Ok(Err(too_many_columns()));
        }
        Ok(Ok(draft))
    }

    /// By how much a message makes the record longer with the columns of the tables that it changes: each
    /// table is recorded whole, once.
    fn column_bytes_of(&self, draft: &Draft, plan: &Plan) -> usize {
        let tables = draft.states.keys().filter(|name| !self.touched.contains_key(*name));
        let tables = tables.filter_map(|name| self.tables.catalogue.table(name));
        let stored = tables.flat_map(|table| table.columns());
        let added = plan.changes.iter().flat_map(|change| &change.columns);
        stored.chain(added).map(|(column, _)| recorded_length(column)).sum()
    }

    fn insert(&self, draft: &mut Draft, target: &Target, cells: Cells) {
        let mut state = self.state(draft, &target.table);
        draft.inserted.insert((state.table_id, state.next_row), cells);
        state.next_row += 1;
        state.row_count += 1;
        draft.states.insert(target.table.clone(), state);
    }

    async fn delete(
        &self,
        draft: &mut Draft,
        target: &Target,
        cells: &Cells,
    ) -> Result<(), StorageError> {
        let mut state = self.state(draft, &target.table);
        let table_id = state.table_id;
        let mut removed = 0;
        if !self.is_of_this_step(table_id) {
            // Rows that this step has removed before are still stored.
            let limit = MAX_DELETED + self.deleted.len() + draft.deleted.len();
            for row_id in self.rows.search(table_id, cells, limit).await?.into_keys() {
                let key = (table_id, row_id);
                if !self.deleted.contains(&key) && draft.deleted.insert(key) {
                    removed += 1;
                }
            }
        }
        let rows = (table_id, i64::MIN)..=(table_id, i64::MAX);
        let is_match = |row: &Cells| cells.iter().all(|(n, value)| row.get(n) == Some(value));
        for (key, row) in self.inserted.range(rows.clone()) {
            if is_match(row) && draft.uninserted.insert(*key) {
                removed += 1;
            }
        }
        removed += draft.inserted.extract_if(rows, |_, row| is_match(row)).count();
        draft.removed += removed;
        state.row_count -= removed as i64;
        draft.states.insert(target.table.clone(), state);
        Ok(())
    }

    /// A table as the activities so far leave it; a new one if there is none.
    fn state(&self, draft: &mut Draft, name: &Name) -> TableState {
        let known = draft.states.get(name).or_else(|| self.tables.states.get(name)).copied();
        known.unwrap_or_else(|| {
            let table_id = (self.step << TABLE_BITS) + self.made + draft.made;
            draft.made += 1;
            TableState { table_id, row_count: 0, next_row: 0, last_applied_at: 0 }
        })
    }

    /// Whether a table is one of those that the step makes: it has no stored row.
    const fn is_of_this_step(&self, table_id: i64) -> bool {
        table_id >> TABLE_BITS == self.step
    }

    /// What the step writes.
    pub(super) fn finish(self) -> Redo {
        let mut redo = Redo { ended: self.ended, dropped: self.dropped, ..Redo::default() };
        for ((table_id, row_id), cells) in self.inserted {
            redo.inserts.push(NewRow { table_id, row_id, cells });
        }
        for (table_id, row_id) in self.deleted {
            redo.deletes.entry(table_id).or_default().push(row_id);
        }
        for (name, was_stored) in self.touched {
            match self.tables.stored(&name) {
                Some(table) => redo.tables.push(table),
                None if was_stored => redo.removed_names.push(name.as_str().to_owned()),
                None => {}
            }
        }
        redo
    }
}

/// The numbers of columns, those that a plan adds included.
struct ColumnNumbers<'a> {
    catalogue: &'a Catalogue,
    added: HashMap<&'a Name, HashMap<&'a Name, usize>>,
}

impl<'a> ColumnNumbers<'a> {
    fn new(catalogue: &'a Catalogue, plan: &'a Plan) -> Self {
        let added = plan.changes.iter().map(|change| {
            let first = catalogue.table(&change.table).map_or(0, |table| table.columns().len());
            let columns = change.columns.iter().map(|(column, _)| column).zip(first..).collect();
            (&change.table, columns)
        });
        Self { catalogue, added: added.collect() }
    }

    /// The values that are not null.
    fn cells(&self, target: &Target) -> Cells {
        let table = self.catalogue.table(&target.table);
        let added = self.added.get(&target.table);
        let cell = |cell: &Cell| {
            let stored = table.and_then(|table| table.position(&cell.column));
            let number = stored.or_else(|| added?.get(&cell.column).copied())?;
            Some((i32::try_from(number).ok()?, encode(&cell.value)?))
        };
        target.cells.iter().filter_map(cell).collect()
    }
}

fn unreadable(why: &str) -> Rejection {
    Rejection {
        kind: RejectionKind::Unreadable,
        activity: None,
        table: None,
        column: None,
        error: format!("The queued text cannot be read: {why}"),
    }
}

/// Bytes of a column in a record, at most: its name in JSON, and its type.
fn recorded_length(column: &Name) -> usize {
    let length = |byte: u8| match byte {
        0..=0x1f => "\\u0000".len(),
        b'"' | b'\\' => 2,
        _ => 1,
    };
    let around = r#""","DECIMAL(28,28)","#.len();
    column.as_str().bytes().map(length).sum::<usize>() + around
}

fn too_many_columns() -> Rejection {
    Rejection {
        kind: RejectionKind::TooManyColumns,
        activity: None,
        table: None,
        column: None,
        error: "The tables that the message changes have more columns together than can be changed in one \
                step; change them by several messages."
            .to_owned(),
    }
}

fn too_many_rows(activity: usize, table: &Name) -> Rejection {
    Rejection {
        kind: RejectionKind::TooManyRows,
        activity: u32::try_from(activity).ok(),
        table: Some(table.clone()),
        column: None,
        error: format!(
            "The message would remove more than {MAX_DELETED} rows; one message removes at most so many."
        ),
    }
}
