//! What a message does to the tables: which it creates, which columns it adds, and whether it is
//! rejected. These rules are the same on every backend, and those of a dry run.

use std::collections::HashMap;

use super::model::{
    Activity, Cell, ColumnType, MAX_COLUMNS, Name, Rejection, RejectionKind, Target, Work,
};

/// The tables and their columns, as they are stored or as a message will leave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    tables: HashMap<Name, Table>,
}

/// The columns of a table, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(Name, ColumnType)>,
    positions: HashMap<Name, usize>,
}

impl Table {
    /// The columns, in the order in which they were added.
    #[must_use]
    pub fn columns(&self) -> &[(Name, ColumnType)] {
        &self.columns
    }

    /// Where a column is in [`Self::columns`].
    #[must_use]
    pub fn position(&self, column: &Name) -> Option<usize> {
        self.positions.get(column).copied()
    }

    /// Adds a column at the end.
    pub fn push(&mut self, column: Name, column_type: ColumnType) {
        self.positions.insert(column.clone(), self.columns.len());
        self.columns.push((column, column_type));
    }
}

impl FromIterator<(Name, ColumnType)> for Table {
    fn from_iter<I: IntoIterator<Item = (Name, ColumnType)>>(columns: I) -> Self {
        let mut table = Self::default();
        columns.into_iter().for_each(|(column, column_type)| table.push(column, column_type));
        table
    }
}

impl FromIterator<(Name, Table)> for Catalogue {
    fn from_iter<I: IntoIterator<Item = (Name, Table)>>(tables: I) -> Self {
        Self { tables: tables.into_iter().collect() }
    }
}

/// How a message changes the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of their first activity; no table twice.
    pub changes: Vec<TableChange>,
}

/// How one table changes; at least one of the members says that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange {
    /// The table.
    pub table: Name,
    /// Whether it is created.
    pub created: bool,
    /// Whether it is dropped.
    pub dropped: bool,
    /// The columns that are added, in order.
    pub columns: Vec<(Name, ColumnType)>,
}

impl Catalogue {
    /// A table, if it exists.
    #[must_use]
    pub fn table(&self, name: &Name) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Adds a table, or replaces it.
    pub fn insert(&mut self, name: Name, table: Table) {
        self.tables.insert(name, table);
    }

    /// What the message changes. Later activities see what earlier ones did.
    ///
    /// # Errors
    /// Why the message is rejected.
    pub fn plan(&self, work: &Work) -> Result<Plan, Rejection> {
        match work {
            Work::Activities(activities) => self.plan_activities(activities),
            Work::DropTable(table) => self.plan_drop(table),
        }
    }

    /// Makes the changes of a message.
    pub fn apply(&mut self, plan: &Plan) {
        for change in &plan.changes {
            if change.dropped {
                self.tables.remove(&change.table);
                continue;
            }
            let table = self.tables.entry(change.table.clone()).or_default();
            for (column, column_type) in &change.columns {
                table.push(column.clone(), *column_type);
            }
        }
    }

    fn plan_activities(&self, activities: &[Activity]) -> Result<Plan, Rejection> {
        let mut draft = Draft { catalogue: self, changes: Vec::new(), places: HashMap::new() };
        for (number, activity) in activities.iter().enumerate() {
            let result = match activity {
                Activity::Insert(target) => draft.insert(target),
                Activity::Delete(target) => draft.delete(target),
            };
            result.map_err(|why| why.at(number, activity.target()))?;
        }
        let changes = draft.changes.into_iter();
        let changes = changes.filter(|change| change.created || !change.columns.is_empty());
        Ok(Plan { changes: changes.collect() })
    }

    fn plan_drop(&self, table: &Name) -> Result<Plan, Rejection> {
        if !self.tables.contains_key(table) {
            return Err(Rejection {
                kind: RejectionKind::NothingToDrop,
                activity: None,
                table: Some(table.clone()),
                column: None,
                error: format!("The table `{table}` does not exist."),
            });
        }
        let table = table.clone();
        let change = TableChange { table, created: false, dropped: true, columns: Vec::new() };
        Ok(Plan { changes: vec![change] })
    }
}

/// The catalogue as the activities so far leave it.
struct Draft<'a> {
    catalogue: &'a Catalogue,
    changes: Vec<TableChange>,
    /// Of each table in `changes`: its place there, and the types of its added columns.
    places: HashMap<Name, (usize, HashMap<Name, ColumnType>)>,
}

/// Why an activity fails; the column, if it is about one.
struct Failure {
    kind: RejectionKind,
    column: Option<Name>,
    error: String,
}

impl Failure {
    fn at(self, number: usize, target: &Target) -> Rejection {
        Rejection {
            kind: self.kind,
            activity: u32::try_from(number).ok(),
            table: Some(target.table.clone()),
            column: self.column,
            error: self.error,
        }
    }
}

impl Draft<'_> {
    fn insert(&mut self, target: &Target) -> Result<(), Failure> {
        let missing = self.missing(target)?;
        let is_new = !self.exists(&target.table);
        if missing.is_empty() && !is_new {
            return Ok(());
        }
        let columns = self.count(&target.table) + missing.len();
        if columns > MAX_COLUMNS {
            let error = format!(
                "The table `{}` would have {columns} columns; a table has at most {MAX_COLUMNS}.",
                target.table
            );
            return Err(Failure { kind: RejectionKind::TooManyColumns, column: None, error });
        }
        let (place, added) = self.places.entry(target.table.clone()).or_insert_with(|| {
            let table = target.table.clone();
            let columns = Vec::new();
            self.changes.push(TableChange { table, created: is_new, dropped: false, columns });
            (self.changes.len() - 1, HashMap::new())
        });
        for cell in missing {
            added.insert(cell.column.clone(), cell.column_type);
            self.changes[*place].columns.push((cell.column.clone(), cell.column_type));
        }
        Ok(())
    }

    fn delete(&self, target: &Target) -> Result<(), Failure> {
        if !self.exists(&target.table) {
            let error = format!("The table `{}` does not exist.", target.table);
            return Err(Failure { kind: RejectionKind::MissingTable, column: None, error });
        }
        match self.missing(target)?.first() {
            None => Ok(()),
            Some(cell) => {
                let error =
                    format!("The table `{}` has no column `{}`.", target.table, cell.column);
                let column = Some(cell.column.clone());
                Err(Failure { kind: RejectionKind::MissingColumn, column, error })
            }
        }
    }

    /// The cells whose columns are missing; an error if a column has another type.
    fn missing<'t>(&self, target: &'t Target) -> Result<Vec<&'t Cell>, Failure> {
        let mut missing = Vec::new();
        for cell in &target.cells {
            match self.column_type(&target.table, &cell.column) {
                None => missing.push(cell),
                Some(known) if known == cell.column_type => {}
                Some(known) => {
                    let error = format!(
                        "The column `{}` of the table `{}` has the type {known}, not {}.",
                        cell.column, target.table, cell.column_type
                    );
                    let column = Some(cell.column.clone());
                    return Err(Failure { kind: RejectionKind::ColumnType, column, error });
                }
            }
        }
        Ok(missing)
    }

    fn exists(&self, table: &Name) -> bool {
        self.catalogue.tables.contains_key(table) || self.places.contains_key(table)
    }

    fn count(&self, table: &Name) -> usize {
        let stored = self.catalogue.table(table).map_or(0, |table| table.columns.len());
        stored + self.places.get(table).map_or(0, |(_, added)| added.len())
    }

    fn column_type(&self, table: &Name, column: &Name) -> Option<ColumnType> {
        let added = self.places.get(table).and_then(|(_, added)| added.get(column)).copied();
        added.or_else(|| {
            let table = self.catalogue.table(table)?;
            Some(table.columns[table.position(column)?].1)
        })
    }
}
