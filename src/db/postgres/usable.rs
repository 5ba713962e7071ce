//! Whether a database that somebody else has made can be used. What would make requests fail later is
//! refused when the program starts, in a sentence that says what to do about it.

use tokio_postgres::{Error, GenericClient};

use super::error::open_error;
use crate::db::storage::{ErrorKind, StorageError};

const ENCODING: &str = "SELECT getdatabaseencoding()::text";
/// Columns that this program does not fill and that may not stay empty.
const UNFILLED: &str = "SELECT format('%I', a.attname) FROM pg_attribute a \
     JOIN pg_type t ON t.oid = a.atttypid \
     WHERE a.attrelid = to_regclass('overviews') AND a.attnum > 0 AND NOT a.attisdropped \
       AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL \
       AND a.attname <> ALL ('{game_id,game_name,description,release_date,developer,publisher,tags}') \
     ORDER BY a.attnum LIMIT 1";
/// The unique indexes of game_id alone, those first that a create can use: whether it can, whether the
/// index is that of a deferrable constraint, the names of the index and of the constraint.
const KEYS: &str = "SELECT i.indisvalid AND i.indisready AND i.indislive AND i.indimmediate AS usable, \
         NOT i.indimmediate, i.indexrelid::regclass::text, quote_ident(c.conname) \
     FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'game_id' \
     LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u') \
     WHERE i.indrelid = to_regclass('overviews') AND i.indisunique AND i.indpred IS NULL \
       AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum \
     ORDER BY usable DESC, i.indisprimary DESC LIMIT 1";

/// Refuses a database that cannot be used. A table that is not migrated may lack a key.
pub(super) async fn check(
    client: &impl GenericClient,
    redacted: &str,
    is_migrated: bool,
) -> Result<(), StorageError> {
    match problem(client, is_migrated).await.map_err(|e| open_error(redacted, e))? {
        None => Ok(()),
        Some(problem) => {
            let text = format!("cannot use {redacted}: {problem}");
            Err(StorageError::new(ErrorKind::Invalid, text))
        }
    }
}

async fn problem(client: &impl GenericClient, is_migrated: bool) -> Result<Option<String>, Error> {
    let encoding: String = client.query_typed_one(ENCODING, &[]).await?.try_get(0)?;
    if encoding != "UTF8" {
        return Ok(Some(format!(
            "its encoding is {encoding}, which does not have every character; make a database with \
             `createdb -T template0 -E UTF8` and copy the tables into it with pg_dump"
        )));
    }
    if let Some(row) = client.query_typed_opt(UNFILLED, &[]).await? {
        let column: String = row.try_get(0)?;
        return Ok(Some(format!(
            "its column overviews.{column} may not be null, has no default, and this program does not \
             fill it; run `ALTER TABLE overviews ALTER {column} DROP NOT NULL`, or give it a default"
        )));
    }
    key_problem(client, is_migrated).await
}

async fn key_problem(
    client: &impl GenericClient,
    is_migrated: bool,
) -> Result<Option<String>, Error> {
    let Some(row) = client.query_typed_opt(KEYS, &[]).await? else {
        let text = "its table overviews has no unique index of game_id; run \
                    `ALTER TABLE overviews ADD PRIMARY KEY (game_id)`";
        return Ok(is_migrated.then(|| text.to_owned()));
    };
    let (usable, deferrable): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    let (index, constraint): (String, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(match constraint {
        _ if usable => None,
        Some(constraint) if deferrable => Some(format!(
            "its key {constraint} is deferrable, so that no create can rely on it; run `ALTER TABLE \
             overviews DROP CONSTRAINT {constraint}, ADD PRIMARY KEY (game_id)`"
        )),
        _ => Some(format!(
            "its index {index} was left unfinished and is not kept up to date; run \
             `REINDEX INDEX {index}`"
        )),
    })
}
