//! The catalogue, and the rows of the tables.

use jiff::Timestamp;
use rust_decimal::Decimal;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::names::{ROW_NUMBER, quoted};
use super::{damaged, query};
use crate::activities::catalogue::{Catalogue, Table};
use crate::activities::model::{ColumnType, Name, Value};
use crate::db::postgres::error;
use crate::db::postgres::pool::{Pool, with_client};
use crate::db::postgres::session::Sql;
use crate::db::storage::{ActContext, ErrorKind, Rows, StorageError, TableStatus};

/// The columns of all tables or of one, in order, each with what is stored of its table. In one statement,
/// so that it is the catalogue of one moment.
macro_rules! columns {
    ($condition:literal) => {
        concat!(
            "SELECT t.number, t.name, t.physical_name, t.indexed, t.rows, t.last_applied_at, \
             c.name, c.type, c.physical_name, data_schema \
             FROM activity_tables t JOIN activity_columns c ON c.table_number = t.number, \
                  activity_catalogue ",
            $condition,
            "ORDER BY t.name, c.number"
        )
    };
}
pub(super) const ALL_TABLES: Sql<'_> = Sql { text: columns!(""), types: &[] };
const ONE_TABLE: Sql<'_> = Sql { text: columns!("WHERE t.name = $1 "), types: &[Type::TEXT] };
/// How often rows are read again when their table changes meanwhile.
const TRIES: usize = 5;

/// A table as it is stored.
pub(super) struct StoredTable {
    pub(super) number: i64,
    pub(super) name: Name,
    /// Its schema and what PostgreSQL calls it, quoted.
    pub(super) qualified: String,
    pub(super) indexed: Vec<String>,
    rows: i64,
    last_applied_at: Timestamp,
    pub(super) columns: Vec<StoredColumn>,
}

pub(super) struct StoredColumn {
    pub(super) name: Name,
    pub(super) column_type: ColumnType,
    /// Quoted.
    pub(super) physical: String,
}

impl StoredTable {
    pub(super) fn to_table(&self) -> Table {
        self.columns.iter().map(|column| (column.name.clone(), column.column_type)).collect()
    }
}

/// Tables from the rows of their columns.
pub(super) fn stored_tables(rows: &[Row]) -> Result<Vec<StoredTable>, StorageError> {
    let mut tables: Vec<StoredTable> = Vec::new();
    for row in rows {
        let number: i64 = row.try_get(0).map_err(error::storage)?;
        if tables.last().is_none_or(|table| table.number != number) {
            tables.push(stored_table(row, number)?);
        }
        if let Some(table) = tables.last_mut() {
            table.columns.push(stored_column(row)?);
        }
    }
    Ok(tables)
}

fn stored_table(row: &Row, number: i64) -> Result<StoredTable, StorageError> {
    let text = |column: usize| row.try_get::<_, &str>(column).map_err(error::storage);
    Ok(StoredTable {
        number,
        name: Name::parse(text(1)?).ok_or_else(damaged)?,
        qualified: format!("{}.{}", quoted(text(9)?), quoted(text(2)?)),
        indexed: row.try_get(3).map_err(error::storage)?,
        rows: row.try_get(4).map_err(error::storage)?,
        last_applied_at: row.try_get(5).map_err(error::storage)?,
        columns: Vec::new(),
    })
}

fn stored_column(row: &Row) -> Result<StoredColumn, StorageError> {
    let text = |column: usize| row.try_get::<_, &str>(column).map_err(error::storage);
    Ok(StoredColumn {
        name: Name::parse(text(6)?).ok_or_else(damaged)?,
        column_type: ColumnType::parse_canonical(text(7)?).ok_or_else(damaged)?,
        physical: quoted(text(8)?),
    })
}

pub(super) async fn tables(pool: &Pool) -> Result<Vec<TableStatus>, StorageError> {
    let tables = stored_tables(&query(pool, ALL_TABLES, Vec::new()).await?)?;
    let status = |table: StoredTable| TableStatus {
        name: table.name,
        columns: table.columns.into_iter().map(|c| (c.name, c.column_type)).collect(),
        rows: u64::try_from(table.rows).unwrap_or_default(),
        last_applied_at: table.last_applied_at,
    };
    Ok(tables.into_iter().map(status).collect())
}

pub(super) async fn catalogue(pool: &Pool) -> Result<Catalogue, StorageError> {
    let tables = stored_tables(&query(pool, ALL_TABLES, Vec::new()).await?)?;
    Ok(tables.iter().map(|table| (table.name.clone(), table.to_table())).collect())
}

pub(super) async fn rows(
    pool: &Pool,
    name: &Name,
    after: Option<String>,
    limit: u32,
) -> Result<Option<Rows>, StorageError> {
    let after = match after {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| {
            StorageError::new(ErrorKind::Invalid, "the cursor is none that this store gave")
        })?,
    };
    let mut tries = 1..=TRIES;
    loop {
        let name = name.as_str().to_owned();
        let stored = stored_tables(&query(pool, ONE_TABLE, vec![Box::new(name)]).await?)?;
        let Some(table) = stored.into_iter().next() else { return Ok(None) };
        match read_rows(pool, &table, after, limit).await {
            // It was dropped, or is another one of that name.
            Err(failed) if tries.next().is_some() && is_another_table(&failed) => {}
            rows => return rows.map(Some),
        }
    }
}

fn is_another_table(failed: &StorageError) -> bool {
    matches!(
        error::driver(failed).and_then(Error::code),
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN)
    )
}

async fn read_rows(
    pool: &Pool,
    table: &StoredTable,
    after: i64,
    limit: u32,
) -> Result<Rows, StorageError> {
    let number = quoted(ROW_NUMBER);
    let columns: String = table.columns.iter().map(|c| format!(", {}", c.physical)).collect();
    let sql = format!(
        "SELECT {number}{columns} FROM {} WHERE {number} > $1 ORDER BY {number} LIMIT $2",
        table.qualified
    );
    let more = i64::from(limit) + 1;
    let found = with_client(pool, ActContext::new(), move |client| async move {
        let sql = Sql { text: &sql, types: &[Type::INT8, Type::INT8] };
        client.query_once(sql, &[&after, &more]).await
    })
    .await?;
    let shown = &found[..found.len().min(limit as usize)];
    let last = shown.last().filter(|_| shown.len() < found.len());
    let next = last.map(|row| row.try_get::<_, i64>(0).map_err(error::storage)).transpose()?;
    let values = |row: &Row| -> Result<Vec<Value>, Error> {
        let types = table.columns.iter().map(|column| column.column_type);
        types.enumerate().map(|(n, column_type)| value(row, n + 1, column_type)).collect()
    };
    Ok(Rows {
        columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        rows: shown.iter().map(values).collect::<Result<_, _>>().map_err(error::storage)?,
        next: next.map(|number| number.to_string()),
    })
}

fn value(row: &Row, column: usize, column_type: ColumnType) -> Result<Value, Error> {
    let value = match column_type {
        ColumnType::Integer => row.try_get::<_, Option<i64>>(column)?.map(Value::Integer),
        ColumnType::Text => {
            row.try_get::<_, Option<&str>>(column)?.map(|text| Value::Text(text.into()))
        }
        ColumnType::Float => row.try_get::<_, Option<f64>>(column)?.map(Value::Float),
        ColumnType::Boolean => row.try_get::<_, Option<bool>>(column)?.map(Value::Boolean),
        ColumnType::Decimal { scale, .. } => {
            let exact = |mut number: Decimal| {
                number.rescale(scale);
                Value::Decimal(number)
            };
            row.try_get::<_, Option<Decimal>>(column)?.map(exact)
        }
    };
    Ok(value.unwrap_or(Value::Null))
}
