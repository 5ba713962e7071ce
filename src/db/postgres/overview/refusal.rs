//! What the database refuses: a table of the earlier service may have narrower columns than ours,
//! and constraints, triggers and policies of its own.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::db::postgres::error;
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::storage::WriteRefusal;
use crate::overview::model::Changes;

/// The first column whose `varchar(n)` is too short for its value. Trailing spaces are left out:
/// the server cuts them off without an error.
const TOO_SHORT: Sql<'_> = Sql {
    text: "SELECT attname::text FROM pg_attribute \
           JOIN unnest($1::text[], $2::text[]) AS given (name, value) ON attname = name \
           WHERE attrelid = 'overviews'::regclass AND atttypmod >= 0 \
             AND char_length(rtrim(value)) > atttypmod - 4 \
           ORDER BY attnum LIMIT 1",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

/// The refusal that the error of a write of these values stands for; any other error is returned.
pub(super) async fn refusal(
    client: &PgSession,
    error: Error,
    values: &Changes,
) -> Result<WriteRefusal, Error> {
    match error::refusal(&error) {
        // The server does not tell which column is too short.
        Some(_) if error.code() == Some(&SqlState::STRING_DATA_RIGHT_TRUNCATION) => {
            too_short(client, values).await.map(WriteRefusal::Malformed)
        }
        Some(refusal) => Ok(refusal),
        None => Err(error),
    }
}

async fn too_short(client: &PgSession, values: &Changes) -> Result<Option<String>, Error> {
    let texts = [
        ("game_name", &values.game_name),
        ("description", &values.description),
        ("release_date", &values.release_date),
        ("developer", &values.developer),
        ("publisher", &values.publisher),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    let tags = values.tags.iter().flatten().map(|tag| ("tags", tag));
    let (names, texts): (Vec<_>, Vec<_>) = texts.chain(tags).unzip();
    let rows = client.query_once(TOO_SHORT, &[&names, &texts]).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}
