//! The worker's copy of the catalogue, and how it changes tables. Its version is compared in each
//! transaction that uses it.

use std::collections::HashMap;

use futures::future::join;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::damaged;
use super::names::{ROW_NUMBER, is_possible_table, physical_column, quoted, sql_type};
use super::tables::{ALL_TABLES, StoredTable, stored_tables};
use crate::activities::catalogue::{Catalogue, TableChange};
use crate::activities::model::{ColumnType, Name};
use crate::db::postgres::error;
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::storage::StorageError;

/// Sets of columns of a table by which rows are found through an index.
const MOST_INDEXES: usize = 8;

/// Takes a generated name if the real one is not possible, or if another relation has it: a table, and
/// also an index or a sequence of another table.
const ADD_TABLE: Sql<'_> = Sql {
    text: "INSERT INTO activity_tables AS t (name, physical_name) \
           SELECT $1, CASE WHEN $2 AND NOT EXISTS ( \
               SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = data_schema AND c.relname = $1) THEN $1 \
               ELSE 'storefront table ' || \
                    nextval(pg_get_serial_sequence('activity_tables', 'number'))::text END \
           FROM activity_catalogue \
           RETURNING number, physical_name, (SELECT data_schema FROM activity_catalogue)",
    types: &[Type::TEXT, Type::BOOL],
};
const ADD_COLUMNS: Sql<'_> = Sql {
    text: "INSERT INTO activity_columns (table_number, number, name, type, physical_name) \
           SELECT $1, number, name, type, physical_name \
           FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[]) \
                AS added (number, name, type, physical_name)",
    types: &[Type::INT8, Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};
const REMOVE_TABLE: Sql<'_> =
    Sql { text: "DELETE FROM activity_tables WHERE number = $1", types: &[Type::INT8] };
const ADD_INDEX: Sql<'_> = Sql {
    text: "UPDATE activity_tables SET indexed = indexed || $2 WHERE number = $1",
    types: &[Type::INT8, Type::TEXT],
};

/// The catalogue as of a version.
pub(super) struct Schema {
    pub(super) version: i64,
    pub(super) catalogue: Catalogue,
    tables: HashMap<Name, Physical>,
}

/// A table as PostgreSQL has it.
#[derive(Debug)]
pub(super) struct Physical {
    /// In the catalogue.
    pub(super) number: i64,
    /// With its schema, quoted.
    pub(super) qualified: String,
    /// Of each column, in the order of the catalogue, quoted.
    pub(super) columns: Vec<String>,
    /// The sets of columns that are indexed, ascending.
    indexed: Vec<Vec<usize>>,
}

impl From<&StoredTable> for Physical {
    fn from(table: &StoredTable) -> Self {
        let numbers = |set: &String| set.split(',').filter_map(|n| n.parse().ok()).collect();
        Self {
            number: table.number,
            qualified: table.qualified.clone(),
            columns: table.columns.iter().map(|column| column.physical.clone()).collect(),
            indexed: table.indexed.iter().map(numbers).collect(),
        }
    }
}

impl Physical {
    /// The hash of some columns, by which rows are found: an index has one number for each row, whatever
    /// the length of its texts. `column` gives the name of each.
    pub(super) fn hash(columns: impl Iterator<Item = String>) -> String {
        let columns: Vec<_> = columns.collect();
        format!("hash_record_extended(ROW({}), 0)", columns.join(", "))
    }

    /// The largest indexed set of columns that are all among these.
    pub(super) fn indexed_among(&self, columns: &[usize]) -> Option<&[usize]> {
        let among = self.indexed.iter().filter(|set| set.iter().all(|n| columns.contains(n)));
        among.max_by_key(|set| set.len()).map(Vec::as_slice)
    }
}

impl Schema {
    pub(super) async fn load(client: &PgSession, version: i64) -> Result<Self, StorageError> {
        let rows = client.query_once(ALL_TABLES, &[]).await.map_err(error::storage)?;
        let (mut catalogue, mut tables) = (Catalogue::default(), HashMap::new());
        for table in &stored_tables(&rows)? {
            catalogue.insert(table.name.clone(), table.to_table());
            tables.insert(table.name.clone(), Physical::from(table));
        }
        Ok(Self { version, catalogue, tables })
    }

    /// A table that is in the catalogue.
    pub(super) fn physical(&self, table: &Name) -> Result<&Physical, StorageError> {
        self.tables.get(table).ok_or_else(damaged)
    }

    /// Creates a table, adds columns to it or drops it. On an error this copy is of no use any more.
    pub(super) async fn change(
        &mut self,
        client: &PgSession,
        change: &TableChange,
    ) -> Result<(), Error> {
        if change.dropped {
            return self.drop_table(client, &change.table).await;
        }
        match self.tables.get_mut(&change.table) {
            Some(physical) => add_columns(client, physical, &change.columns).await,
            None => {
                let physical = create(client, &change.table, &change.columns).await?;
                self.tables.insert(change.table.clone(), physical);
                Ok(())
            }
        }
    }

    async fn drop_table(&mut self, client: &PgSession, table: &Name) -> Result<(), Error> {
        let Some(physical) = self.tables.remove(table) else { return Ok(()) };
        let sql = format!("DROP TABLE IF EXISTS {}", physical.qualified);
        client.query_once(Sql { text: &sql, types: &[] }, &[]).await?;
        client.execute_once(REMOVE_TABLE, &[&physical.number]).await?;
        Ok(())
    }

    /// Makes the index by which a delete finds rows by these columns, ascending, unless the table has it or
    /// has as many as it may have; whether it was made. That takes the longer the larger the table is.
    pub(super) async fn ensure_index(
        &mut self,
        client: &PgSession,
        table: &Name,
        columns: &[usize],
    ) -> Result<bool, Error> {
        let Some(physical) = self.tables.get_mut(table) else { return Ok(false) };
        let indexed = &physical.indexed;
        if indexed.len() >= MOST_INDEXES || indexed.iter().any(|set| set == columns) {
            return Ok(false);
        }
        let hash = Physical::hash(columns.iter().map(|n| physical.columns[*n].clone()));
        let sql = format!("CREATE INDEX ON {} (({hash}))", physical.qualified);
        client.query_once(Sql { text: &sql, types: &[] }, &[]).await?;
        let set: Vec<_> = columns.iter().map(usize::to_string).collect();
        client.execute_once(ADD_INDEX, &[&physical.number, &set.join(",")]).await?;
        physical.indexed.push(columns.to_vec());
        Ok(true)
    }
}

type Columns<'a> = &'a [(Name, ColumnType)];

async fn create(client: &PgSession, name: &Name, columns: Columns<'_>) -> Result<Physical, Error> {
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
        [&name.as_str(), &is_possible_table(name)];
    let added = client.query_once(ADD_TABLE, &values).await?;
    let (number, physical_name, schema): (i64, &str, &str) = match added.first() {
        Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?),
        // It would have failed.
        None => (0, name.as_str(), ""),
    };
    let mut physical = Physical {
        number,
        qualified: format!("{}.{}", quoted(schema), quoted(physical_name)),
        columns: Vec::new(),
        indexed: Vec::new(),
    };
    let definitions = definitions(&mut physical, columns);
    let sql = format!(
        "CREATE TABLE {} ({} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {})",
        physical.qualified,
        quoted(ROW_NUMBER),
        definitions.join(", ")
    );
    define(client, &sql, number, 0, columns).await?;
    Ok(physical)
}

async fn add_columns(
    client: &PgSession,
    physical: &mut Physical,
    columns: Columns<'_>,
) -> Result<(), Error> {
    let first = physical.columns.len();
    let added: Vec<_> = definitions(physical, columns)
        .into_iter()
        .map(|definition| format!("ADD COLUMN {definition}"))
        .collect();
    let sql = format!("ALTER TABLE {} {}", physical.qualified, added.join(", "));
    define(client, &sql, physical.number, first, columns).await
}

/// The definitions of further columns, which the table has from now on.
fn definitions(physical: &mut Physical, columns: Columns<'_>) -> Vec<String> {
    let define = |(name, column_type): &(Name, ColumnType)| {
        let column = quoted(&physical_column(name, physical.columns.len()));
        let definition = format!("{column} {}", sql_type(*column_type));
        physical.columns.push(column);
        definition
    };
    columns.iter().map(define).collect()
}

/// Runs a statement that adds columns, and writes them into the catalogue.
async fn define(
    client: &PgSession,
    sql: &str,
    table: i64,
    first: usize,
    columns: Columns<'_>,
) -> Result<(), Error> {
    let places = first..first + columns.len();
    let numbers: Vec<_> = places.clone().map(|n| i32::try_from(n).unwrap_or(i32::MAX)).collect();
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let types: Vec<_> = columns.iter().map(|(_, column_type)| column_type.to_string()).collect();
    let physical: Vec<_> =
        places.zip(columns).map(|(n, (name, _))| physical_column(name, n)).collect();
    let (defined, recorded) = join(
        client.query_once(Sql { text: sql, types: &[] }, &[]),
        client.execute_once(ADD_COLUMNS, &[&table, &numbers, &names, &types, &physical]),
    )
    .await;
    defined?;
    recorded.map(drop)
}
