//! What operators do with rejected messages.

use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::activities::model::MessageId;
use crate::db::postgres::idempotency::once;
use crate::db::postgres::pool::{Pool, with_client};
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::storage::{ActContext, Discard, MessageState, NewMessage, Retry, StorageError};

const LOCK_ENDED: Sql<'_> = Sql {
    text: "SELECT state, retried_as FROM activity_messages WHERE id = $1 FOR UPDATE",
    types: &[Type::UUID],
};
const IS_QUEUED: Sql<'_> =
    Sql { text: "SELECT FROM activity_queue WHERE id = $1", types: &[Type::UUID] };
/// An empty text stands for the old one.
const QUEUE_AGAIN: Sql<'_> = Sql {
    text: "WITH old AS ( \
             UPDATE activity_messages SET retried_as = $2 WHERE id = $1 RETURNING body \
         ), queued AS ( \
             INSERT INTO activity_queue (id, body, bytes, retry_of) \
             SELECT $2, text, octet_length(text), $1 \
             FROM (SELECT coalesce(nullif($3, ''), body) AS text FROM old) AS new \
             RETURNING bytes \
         ), counted AS ( \
             INSERT INTO activity_queue_totals (messages, bytes) SELECT 1, bytes FROM queued \
         ) SELECT pg_notify('storefront_activities', current_schema()::text)",
    types: &[Type::UUID, Type::UUID, Type::TEXT],
};
const DISCARD: Sql<'_> =
    Sql { text: "DELETE FROM activity_messages WHERE id = $1", types: &[Type::UUID] };

/// What is stored of a message; one that has ended is locked.
enum Found {
    Missing,
    Rejected { retried_as: Option<MessageId> },
    Other(MessageState),
}

async fn lock(client: &PgSession, id: MessageId) -> Result<Found, Error> {
    if let Some(found) = lock_ended(client, id).await? {
        return Ok(found);
    }
    let is_queued = client.prepare_cached(IS_QUEUED).await?;
    if client.query_opt(&is_queued, &[&id.0]).await?.is_some() {
        return Ok(Found::Other(MessageState::Queued));
    }
    // It may have ended between the two statements.
    Ok(lock_ended(client, id).await?.unwrap_or(Found::Missing))
}

async fn lock_ended(client: &PgSession, id: MessageId) -> Result<Option<Found>, Error> {
    let statement = client.prepare_cached(LOCK_ENDED).await?;
    let Some(row) = client.query_opt(&statement, &[&id.0]).await? else { return Ok(None) };
    let retried_as = row.try_get::<_, Option<Uuid>>(1)?.map(MessageId);
    Ok(Some(match row.try_get(0)? {
        "rejected" => Found::Rejected { retried_as },
        _ => Found::Other(MessageState::Applied),
    }))
}

pub(super) async fn retry(
    pool: &Pool,
    context: ActContext,
    id: MessageId,
    new: NewMessage,
) -> Result<Retry, StorageError> {
    let key = context.key().cloned();
    with_client(pool, context, move |client| async move {
        let statements = async |client: &PgSession| queue_again(client, id, &new).await;
        once(&client, key.as_ref(), statements).await
    })
    .await
}

async fn queue_again(client: &PgSession, id: MessageId, new: &NewMessage) -> Result<Retry, Error> {
    match lock(client, id).await? {
        Found::Missing => return Ok(Retry::Missing),
        Found::Other(state) => return Ok(Retry::NotRejected(state)),
        Found::Rejected { retried_as: Some(other) } => return Ok(Retry::AlreadyRetried(other)),
        Found::Rejected { retried_as: None } => {}
    }
    let statement = client.prepare_cached(QUEUE_AGAIN).await?;
    let body: &Arc<str> = &new.body;
    client.query(&statement, &[&id.0, &new.id.0, &&**body]).await?;
    Ok(Retry::Queued(new.id))
}

pub(super) async fn discard(
    pool: &Pool,
    context: ActContext,
    id: MessageId,
) -> Result<Discard, StorageError> {
    let key = context.key().cloned();
    with_client(pool, context, move |client| async move {
        let statements = async |client: &PgSession| remove(client, id).await;
        once(&client, key.as_ref(), statements).await
    })
    .await
}

async fn remove(client: &PgSession, id: MessageId) -> Result<Discard, Error> {
    match lock(client, id).await? {
        Found::Missing => return Ok(Discard::Missing),
        Found::Other(state) => return Ok(Discard::NotRejected(state)),
        Found::Rejected { .. } => {}
    }
    let statement = client.prepare_cached(DISCARD).await?;
    client.execute(&statement, &[&id.0]).await?;
    Ok(Discard::Discarded)
}
