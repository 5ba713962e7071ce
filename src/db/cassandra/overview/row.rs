//! A game as the driver reads and writes it.

use scylla::DeserializeRow;
use scylla::response::query_result::QueryResult;

use crate::db::cassandra::error::shape;
use crate::db::storage::StorageError;
use crate::overview::model::{GameId, Overview};

/// The columns of [`Row`], in its order.
macro_rules! columns {
    () => {
        "game_id, game_name, description, release_date, developer, publisher, tags"
    };
}
pub(in crate::db::cassandra) use columns;

/// Leaves a game that is there alone.
pub(in crate::db::cassandra) const INSERT: &str = concat!(
    "INSERT INTO $.overviews (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
);

/// One row. A column is null only where another program wrote.
#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(in crate::db::cassandra) struct Row {
    game_id: i32,
    #[scylla(default_when_null)]
    game_name: String,
    #[scylla(default_when_null)]
    description: String,
    #[scylla(default_when_null)]
    release_date: String,
    #[scylla(default_when_null)]
    developer: String,
    #[scylla(default_when_null)]
    publisher: String,
    #[scylla(default_when_null)]
    tags: Vec<String>,
}

impl From<Row> for Overview {
    fn from(row: Row) -> Self {
        let Row { game_id, game_name, description, release_date, developer, publisher, tags } = row;
        let game_id = GameId(game_id);
        Self { game_id, game_name, description, release_date, developer, publisher, tags }
    }
}

/// The values of all columns, in the order of [`Row`].
pub(in crate::db::cassandra) type Values<'a> =
    (i32, &'a str, &'a str, &'a str, &'a str, &'a str, &'a Vec<String>);

pub(in crate::db::cassandra) fn values(game: &Overview) -> Values<'_> {
    (
        game.game_id.0,
        &game.game_name,
        &game.description,
        &game.release_date,
        &game.developer,
        &game.publisher,
        &game.tags,
    )
}

/// The game of an answer of at most one row.
pub(in crate::db::cassandra) fn one(result: QueryResult) -> Result<Option<Overview>, StorageError> {
    let rows = result.into_rows_result().map_err(shape)?;
    let row = rows.maybe_first_row::<Row>().map_err(shape)?;
    Ok(row.map(Overview::from))
}

/// The games of an answer.
pub(in crate::db::cassandra) fn all(result: QueryResult) -> Result<Vec<Overview>, StorageError> {
    let rows = result.into_rows_result().map_err(shape)?;
    let rows = rows.rows::<Row>().map_err(shape)?;
    rows.map(|row| row.map(Overview::from).map_err(shape)).collect()
}
