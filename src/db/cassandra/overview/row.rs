//! A row of the table `overviews`: its columns, the statements that several modules use, and its
//! conversion from and to a game.

use scylla::DeserializeRow;
use scylla::response::query_result::QueryResult;

use crate::db::cassandra::query_result::{optional_row, rows};
use crate::db::storage::StorageError;
use crate::overview::model::{GameId, Overview};

/// The columns of [`Row`], in its order.
macro_rules! columns {
    () => {
        "game_id, game_name, description, release_date, developer, publisher, tags"
    };
}
pub(in crate::db::cassandra) use columns;

pub(in crate::db::cassandra) const FIND: &str =
    concat!("SELECT ", columns!(), " FROM $.overviews WHERE game_id = ?");
pub(in crate::db::cassandra) const FIRST: &str =
    concat!("SELECT ", columns!(), " FROM $.overviews LIMIT ?");
/// Leaves an existing game as it is.
pub(in crate::db::cassandra) const INSERT: &str = concat!(
    "INSERT INTO $.overviews (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
);

/// One row. A column is null only where another program has written.
#[derive(Clone, DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(in crate::db::cassandra) struct Row {
    pub(super) game_id: i32,
    pub(super) game_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) release_date: Option<String>,
    pub(super) developer: Option<String>,
    pub(super) publisher: Option<String>,
    pub(super) tags: Option<Vec<String>>,
}

impl From<Row> for Overview {
    fn from(row: Row) -> Self {
        let Row { game_id, game_name, description, release_date, developer, publisher, tags } = row;
        Self {
            game_id: GameId(game_id),
            game_name: game_name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            release_date: release_date.unwrap_or_default(),
            developer: developer.unwrap_or_default(),
            publisher: publisher.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
        }
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

/// The game of an answer that has at most one row.
pub(in crate::db::cassandra) fn one(result: QueryResult) -> Result<Option<Overview>, StorageError> {
    Ok(optional_row::<Row>(result)?.map(Overview::from))
}

/// The games of an answer.
pub(in crate::db::cassandra) fn all(result: QueryResult) -> Result<Vec<Overview>, StorageError> {
    Ok(rows::<Row>(result)?.into_iter().map(Overview::from).collect())
}
