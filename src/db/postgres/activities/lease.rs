//! Which server's worker applies messages.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::names::quoted;
use super::{Values, damaged, query};
use crate::activities::model::MessageId;
use crate::db::postgres::error;
use crate::db::postgres::pool::{Pool, with_client};
use crate::db::postgres::session::Sql;
use crate::db::storage::{ActContext, ErrorKind, StorageError, WorkerLease, WorkerRecord};

const WORKER: Sql<'_> =
    Sql { text: "SELECT token, renewal, owner FROM activity_worker", types: &[] };
/// Takes nothing while a transaction in which the previous worker applies messages still runs, because that
/// has locked the key; after this no such transaction begins. It does not wait for that one: a statement
/// that took long may hold it up, and each server that stands by would keep a connection waiting.
///
/// The queue begins at its lowest position again: a copy of the database may have got the rows without the
/// values of the sequences, and gives positions away that are below the stored one.
const TAKE_OVER: Sql<'_> = Sql {
    text: "WITH free AS MATERIALIZED ( \
             SELECT FROM activity_worker \
             WHERE token = $1 AND renewal = $2 AND owner IS NOT DISTINCT FROM $3 \
             FOR UPDATE SKIP LOCKED \
         ) UPDATE activity_worker SET token = token + 1, renewal = 0, owner = $4, \
               queue_from = 0, totals_from = 0 \
           WHERE token = $1 AND renewal = $2 AND EXISTS (SELECT FROM free) RETURNING token",
    types: &[Type::INT8, Type::INT8, Type::TEXT, Type::TEXT],
};
const RENEW: Sql<'_> = Sql {
    text: "UPDATE activity_worker SET renewal = renewal + 1 \
           WHERE token = $1 AND owner IS NOT NULL RETURNING token",
    types: &[Type::INT8],
};
const RELEASE: Sql<'_> = Sql {
    text: "UPDATE activity_worker SET renewal = renewal + 1, owner = NULL WHERE token = $1",
    types: &[Type::INT8],
};
const NOTE_ATTEMPT: Sql<'_> = Sql {
    text: "WITH fence AS MATERIALIZED ( \
             SELECT FROM activity_worker WHERE token = $1 AND owner IS NOT NULL FOR KEY SHARE \
         ), noted AS ( \
             UPDATE activity_queue SET attempts = attempts + 1 \
             WHERE id = $2 AND EXISTS (SELECT FROM fence) RETURNING attempts \
         ) SELECT EXISTS (SELECT FROM fence), (SELECT attempts FROM noted)",
    types: &[Type::INT8, Type::UUID],
};
/// The schema of the tables that messages make, whether it exists, and whether this role may use it.
const DATA_SCHEMA: Sql<'_> = Sql {
    text: "SELECT data_schema, coalesce(has_schema_privilege(n.oid, 'CREATE'), false) \
                           AND coalesce(has_schema_privilege(n.oid, 'USAGE'), false), \
                  n.oid IS NOT NULL, current_user::text \
           FROM activity_catalogue LEFT JOIN pg_namespace n ON n.nspname = data_schema",
    types: &[],
};

pub(super) async fn worker(pool: &Pool) -> Result<WorkerRecord, StorageError> {
    let rows = query(pool, WORKER, Vec::new()).await?;
    rows.first().map_or_else(|| Err(damaged()), |row| record(row).map_err(error::storage))
}

fn record(row: &Row) -> Result<WorkerRecord, tokio_postgres::Error> {
    Ok(WorkerRecord { token: row.try_get(0)?, renewal: row.try_get(1)?, owner: row.try_get(2)? })
}

pub(super) async fn take_over(
    pool: &Pool,
    seen: &WorkerRecord,
    owner: &str,
) -> Result<Option<WorkerLease>, StorageError> {
    ensure_schema(pool).await?;
    let values: Values = vec![
        Box::new(seen.token),
        Box::new(seen.renewal),
        Box::new(seen.owner.clone()),
        Box::new(owner.to_owned()),
    ];
    let rows = query(pool, TAKE_OVER, values).await?;
    let token = rows.first().map(|row| row.try_get(0).map_err(error::storage)).transpose()?;
    Ok(token.map(|token| WorkerLease { token }))
}

/// Makes the schema of the tables, which a migration by a role without the right could not.
async fn ensure_schema(pool: &Pool) -> Result<(), StorageError> {
    let rows = query(pool, DATA_SCHEMA, Vec::new()).await?;
    let row = rows.first().ok_or_else(damaged)?;
    let read = || -> Result<(String, bool, bool, String), tokio_postgres::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
    };
    let (schema, is_usable, exists, role) = read().map_err(error::storage)?;
    if is_usable {
        return Ok(());
    }
    if exists {
        let why = format!(
            "the role {role} may not create tables in the schema {schema}, so messages are accepted \
             and not applied: run `GRANT USAGE, CREATE ON SCHEMA {} TO {}` as its owner",
            quoted(&schema),
            quoted(&role)
        );
        return Err(StorageError::new(ErrorKind::Invalid, why));
    }
    let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(&schema));
    let created = with_client(pool, ActContext::new(), |client| async move {
        client.query_once(Sql { text: &sql, types: &[] }, &[]).await
    });
    match created.await {
        Ok(_) => Ok(()),
        Err(failed) if is_forbidden(&failed) => {
            let why = format!(
                "the role {role} may not create the schema {schema}, so messages are accepted and not \
                 applied: run `CREATE SCHEMA {} AUTHORIZATION {}` as the database's owner",
                quoted(&schema),
                quoted(&role)
            );
            Err(StorageError::new(ErrorKind::Invalid, why))
        }
        Err(failed) => Err(failed),
    }
}

fn is_forbidden(failed: &StorageError) -> bool {
    let code = error::driver(failed).and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

pub(super) async fn renew(pool: &Pool, lease: WorkerLease) -> Result<bool, StorageError> {
    Ok(!query(pool, RENEW, vec![Box::new(lease.token)]).await?.is_empty())
}

pub(super) async fn release(pool: &Pool, lease: WorkerLease) -> Result<(), StorageError> {
    query(pool, RELEASE, vec![Box::new(lease.token)]).await.map(drop)
}

pub(super) async fn note_attempt(
    pool: &Pool,
    lease: WorkerLease,
    id: MessageId,
) -> Result<Option<u32>, StorageError> {
    let rows = query(pool, NOTE_ATTEMPT, vec![Box::new(lease.token), Box::new(id.0)]).await?;
    let row = rows.first().ok_or_else(damaged)?;
    let read = || -> Result<(bool, Option<i32>), tokio_postgres::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?))
    };
    let (is_worker, attempts) = read().map_err(error::storage)?;
    // One that is not queued any more will be passed over.
    Ok(is_worker.then(|| attempts.unwrap_or(1).cast_unsigned()))
}
