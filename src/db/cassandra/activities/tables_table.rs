//! The catalogue: the tables that messages have made, all in one partition, which one write changes at
//! once.

use std::sync::Arc;

use scylla::response::PagingState;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;

use super::messages::timestamp;
use super::redo::{Redo, StoredTable};
use crate::activities::catalogue::Table;
use crate::activities::model::{ColumnType, Name};
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::query_result::{optional_row, rows};
use crate::db::storage::{StorageError, TableStatus};

const PUT: &str = "INSERT INTO $.activity_tables (shard, name, table_id, columns, types, row_count, \
                   next_row, last_applied_at) VALUES (0, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
const REMOVE: &str = "DELETE FROM $.activity_tables USING TIMESTAMP ? WHERE shard = 0 AND name = ?";
/// The columns of [`Row`], in its order.
const ALL: &str = "SELECT name, table_id, columns, types, row_count, next_row, last_applied_at \
                   FROM $.activity_tables WHERE shard = 0";
const FIND: &str = "SELECT name, table_id, columns, types, row_count, next_row, last_applied_at \
                    FROM $.activity_tables WHERE shard = 0 AND name = ?";

pub(super) struct TablesTable {
    cluster: Arc<Cluster>,
    put: PreparedStatement,
    remove: PreparedStatement,
    all: PreparedStatement,
    find: PreparedStatement,
}

type Row = (
    String,
    i64,
    Option<Vec<String>>,
    Option<Vec<String>>,
    Option<i64>,
    Option<i64>,
    Option<CqlTimestamp>,
);

impl TablesTable {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            put: cluster.prepare(PUT, StatementKind::Plain).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Plain).await?,
            all: cluster.prepare(ALL, StatementKind::Scan).await?,
            find: cluster.prepare(FIND, StatementKind::Scan).await?,
        })
    }

    /// Writes what a step changes, all at once.
    pub(super) async fn write(&self, step: i64, redo: &Redo) -> Result<(), StorageError> {
        let mut statements = Vec::new();
        let mut values: Vec<Box<dyn SerializeRow + Send + Sync + '_>> = Vec::new();
        for table in &redo.tables {
            let StoredTable { name, table_id, columns, types, row_count, next_row, .. } = table;
            let at = CqlTimestamp(table.last_applied_at);
            statements.push(self.put.clone());
            values.push(Box::new((name, table_id, columns, types, row_count, next_row, at, step)));
        }
        for name in &redo.removed_names {
            statements.push(self.remove.clone());
            values.push(Box::new((step, name)));
        }
        if statements.is_empty() {
            return Ok(());
        }
        self.cluster.batch(statements, values).await.map(drop)
    }

    /// All tables, by their names.
    pub(super) async fn all(&self) -> Result<Vec<StoredTable>, StorageError> {
        let (mut all, mut from) = (Vec::new(), PagingState::start());
        loop {
            let (page, next) = self.cluster.page(&self.all, (), from).await?;
            all.extend(rows::<Row>(page)?.into_iter().map(stored));
            match next {
                Some(state) => from = state,
                None => return Ok(all),
            }
        }
    }

    pub(super) async fn find(&self, name: &Name) -> Result<Option<StoredTable>, StorageError> {
        let found = self.cluster.execute(&self.find, (name.as_str(),)).await?;
        Ok(optional_row::<Row>(found)?.map(stored))
    }
}

fn stored((name, table_id, columns, types, row_count, next_row, at): Row) -> StoredTable {
    StoredTable {
        name,
        table_id,
        columns: columns.unwrap_or_default(),
        types: types.unwrap_or_default(),
        row_count: row_count.unwrap_or(0),
        next_row: next_row.unwrap_or(0),
        last_applied_at: at.map_or(0, |at| at.0),
    }
}

impl StoredTable {
    /// Its name and columns.
    pub(super) fn table(&self) -> Result<(Name, Table), StorageError> {
        Ok((self.name()?, self.columns()?.into_iter().collect()))
    }

    pub(super) fn columns(&self) -> Result<Vec<(Name, ColumnType)>, StorageError> {
        let column = |(name, column_type): (&String, &String)| {
            Some((Name::parse(name)?, ColumnType::parse_canonical(column_type)?))
        };
        let columns: Option<_> = self.columns.iter().zip(&self.types).map(column).collect();
        columns.ok_or_else(|| shape(format!("a column of `{}` cannot be read", self.name)))
    }

    fn name(&self) -> Result<Name, StorageError> {
        Name::parse(&self.name).ok_or_else(|| shape("the name of a table cannot be read"))
    }

    /// As clients see it.
    pub(super) fn status(&self) -> Result<TableStatus, StorageError> {
        Ok(TableStatus {
            name: self.name()?,
            columns: self.columns()?,
            rows: self.row_count.unsigned_abs(),
            last_applied_at: timestamp(self.last_applied_at),
        })
    }
}
