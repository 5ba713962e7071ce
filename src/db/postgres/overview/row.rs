//! A row as a game. Rows of an earlier service may hold what this program never writes; it means the
//! same as on Cassandra, where a null is an empty text and no tags.

use std::error::Error as StdError;

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row};

use crate::overview::model::{GameId, Overview};

/// A game of the columns `game_id, game_name, description, release_date, developer, publisher, tags`.
pub(in crate::db::postgres) fn overview(row: &Row) -> Result<Overview, Error> {
    let text = |column: usize| -> Result<String, Error> {
        Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default())
    };
    Ok(Overview {
        game_id: GameId(row.try_get(0)?),
        game_name: text(1)?,
        description: text(2)?,
        release_date: text(3)?,
        developer: text(4)?,
        publisher: text(5)?,
        tags: row.try_get::<_, Tags>(6)?.0,
    })
}

/// Tags of a list; nulls among them are left out. A null, or an array of several dimensions, which the
/// type of the column does not exclude, is no tags.
#[derive(Debug, PartialEq, Eq)]
struct Tags(Vec<String>);

impl<'a> FromSql<'a> for Tags {
    fn from_sql(of: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        // An array begins with the number of its dimensions.
        let dimensions = bytes.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        if dimensions.is_some_and(|dimensions| dimensions > 1) {
            return Ok(Self(Vec::new()));
        }
        let tags = Vec::<Option<String>>::from_sql(of, bytes)?;
        Ok(Self(tags.into_iter().flatten().collect()))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Vec::new()))
    }

    fn accepts(of: &Type) -> bool {
        <Vec<Option<String>> as FromSql>::accepts(of)
    }
}
