//! Adding and removing rows: the statements of a transaction, each for as many activities as possible.
//!
//! An activity joins the last statement of its table if that does the same with the same columns.
//! Statements about different tables may change places, so the effect is that of the activities one by
//! one. A statement stands where its first activity does: when it fails, all activities before that one
//! are in statements that succeeded.

use std::collections::HashMap;

use futures::future::join_all;
use rust_decimal::Decimal;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::schema::Physical;
use crate::activities::model::{Cell, ColumnType, Name, Value};
use crate::db::postgres::session::{PgSession, Sql};

/// Rows of one statement.
const MOST_ROWS: usize = 1_000;

/// What an activity does with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Delete,
}

/// An activity, found in its message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of the messages of the transaction.
    pub(super) message: usize,
    pub(super) activity: usize,
}

/// One statement.
struct Statement<'a> {
    kind: Kind,
    number: i64,
    text: String,
    /// Places of the columns in the table.
    columns: Vec<usize>,
    values: Vec<Values<'a>>,
    rows: usize,
    first: Place,
}

/// The values of a column, one for each row.
enum Values<'a> {
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<&'a str>>),
    Float(Vec<Option<f64>>),
    Boolean(Vec<Option<bool>>),
    Decimal(Vec<Option<Decimal>>),
}

impl<'a> Values<'a> {
    fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Integer => Self::Integer(Vec::new()),
            ColumnType::Text => Self::Text(Vec::new()),
            ColumnType::Float => Self::Float(Vec::new()),
            ColumnType::Boolean => Self::Boolean(Vec::new()),
            ColumnType::Decimal { .. } => Self::Decimal(Vec::new()),
        }
    }

    /// Adds a value of the column's type; any other is NULL.
    fn push(&mut self, value: &'a Value) {
        match (self, value) {
            (Self::Integer(all), Value::Integer(value)) => all.push(Some(*value)),
            (Self::Text(all), Value::Text(value)) => all.push(Some(value)),
            (Self::Float(all), Value::Float(value)) => all.push(Some(*value)),
            (Self::Boolean(all), Value::Boolean(value)) => all.push(Some(*value)),
            (Self::Decimal(all), Value::Decimal(value)) => all.push(Some(*value)),
            (Self::Integer(all), _) => all.push(None),
            (Self::Text(all), _) => all.push(None),
            (Self::Float(all), _) => all.push(None),
            (Self::Boolean(all), _) => all.push(None),
            (Self::Decimal(all), _) => all.push(None),
        }
    }

    fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Integer(all) => (all, Type::INT8_ARRAY),
            Self::Text(all) => (all, Type::TEXT_ARRAY),
            Self::Float(all) => (all, Type::FLOAT8_ARRAY),
            Self::Boolean(all) => (all, Type::BOOL_ARRAY),
            Self::Decimal(all) => (all, Type::NUMERIC_ARRAY),
        }
    }
}

/// How a statement failed.
pub(super) struct Failed {
    /// Its first activity.
    pub(super) place: Place,
    pub(super) error: Error,
}

/// By how much the number of a table's rows changed.
pub(super) type Changes = HashMap<i64, i64>;

/// Statements that are to be run.
pub(super) struct Statements<'a> {
    waiting: Vec<Statement<'a>>,
    /// Of each table the last one that waits.
    last: HashMap<&'a Name, usize>,
    /// Whether activities join others.
    merge: bool,
}

impl<'a> Statements<'a> {
    pub(super) fn new(merge: bool) -> Self {
        Self { waiting: Vec::new(), last: HashMap::new(), merge }
    }

    /// Adds an activity; `columns` are the places of its cells' columns in the table.
    pub(super) fn push(
        &mut self,
        kind: Kind,
        (table, physical): (&'a Name, &Physical),
        cells: &'a [Cell],
        columns: Vec<usize>,
        place: Place,
    ) {
        let last = self.last.get(table).map(|n| &mut self.waiting[*n]).filter(|statement| {
            let is_same = statement.kind == kind && statement.columns == columns;
            self.merge && is_same && statement.rows < MOST_ROWS
        });
        if let Some(statement) = last {
            statement.push(cells);
            return;
        }
        let text = match kind {
            Kind::Insert => insert_sql(physical, &columns),
            Kind::Delete => delete_sql(physical, &columns),
        };
        let values = cells.iter().map(|cell| Values::new(cell.column_type)).collect();
        let number = physical.number;
        let mut statement =
            Statement { kind, number, text, columns, values, rows: 0, first: place };
        statement.push(cells);
        self.last.insert(table, self.waiting.len());
        self.waiting.push(statement);
    }

    /// Runs all that wait, in order; all are sent before the first answer is awaited.
    pub(super) async fn run(
        &mut self,
        client: &PgSession,
        changes: &mut Changes,
    ) -> Result<(), Failed> {
        self.last.clear();
        let statements = std::mem::take(&mut self.waiting);
        let results = join_all(statements.iter().map(|statement| statement.run(client))).await;
        for (statement, result) in statements.iter().zip(results) {
            let rows = result.map_err(|error| Failed { place: statement.first, error })?;
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            let change = changes.entry(statement.number).or_default();
            *change += if statement.kind == Kind::Insert { rows } else { -rows };
        }
        Ok(())
    }
}

impl<'a> Statement<'a> {
    fn push(&mut self, cells: &'a [Cell]) {
        self.values.iter_mut().zip(cells).for_each(|(values, cell)| values.push(&cell.value));
        self.rows += 1;
    }

    async fn run(&self, client: &PgSession) -> Result<u64, Error> {
        let (values, types): (Vec<_>, Vec<_>) = self.values.iter().map(Values::parameter).unzip();
        client.execute_once(Sql { text: &self.text, types: &types }, &values).await
    }
}

/// `unnest($1, $2)` and the columns `c0, c1` that it gives.
fn given(count: usize) -> (String, String) {
    let parameters: Vec<_> = (1..=count).map(|n| format!("${n}")).collect();
    let columns: Vec<_> = (0..count).map(|n| format!("c{n}")).collect();
    (format!("unnest({})", parameters.join(", ")), columns.join(", "))
}

/// Inserts rows in their order, so that the numbers that they get are ascending.
fn insert_sql(physical: &Physical, columns: &[usize]) -> String {
    let names: Vec<_> = columns.iter().map(|n| physical.columns[*n].as_str()).collect();
    let (unnest, given) = given(columns.len());
    format!(
        "INSERT INTO {} ({}) SELECT {given} FROM {unnest} WITH ORDINALITY AS given ({given}, n) \
         ORDER BY n",
        physical.qualified,
        names.join(", ")
    )
}

/// Finds rows by the hash of the columns that are indexed, and compares all.
fn delete_sql(physical: &Physical, columns: &[usize]) -> String {
    let stored = |n: &usize| format!("stored.{}", physical.columns[*n]);
    let place = |n: &usize| columns.iter().position(|column| column == n).unwrap_or_default();
    let mut conditions: Vec<_> =
        columns.iter().enumerate().map(|(c, n)| format!("{} = given.c{c}", stored(n))).collect();
    if let Some(indexed) = physical.indexed_among(columns) {
        let of_stored = Physical::hash(indexed.iter().map(stored));
        let of_given = Physical::hash(indexed.iter().map(|n| format!("given.c{}", place(n))));
        conditions.insert(0, format!("{of_stored} = {of_given}"));
    }
    let (unnest, given) = given(columns.len());
    format!(
        "DELETE FROM {} AS stored USING {unnest} AS given ({given}) WHERE {}",
        physical.qualified,
        conditions.join(" AND ")
    )
}
