//! Moving messages of a stream outside of the store into the queue.

use futures::future::join4;
use jiff::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::query;
use crate::db::postgres::error;
use crate::db::postgres::pool::{Pool, with_client};
use crate::db::postgres::session::Sql;
use crate::db::storage::{ActContext, StorageError, TransferredMessage};

const POSITION: Sql<'_> = Sql {
    text: "SELECT sequence FROM activity_transfers WHERE stream_id = $1",
    types: &[Type::UUID],
};
const STREAMS: Sql<'_> = Sql { text: "SELECT stream_id FROM activity_transfers", types: &[] };
/// After a loss of the stream's end it is moved again from its beginning, so that some messages are known.
/// Those that are queued are locked, so that they do not end meanwhile: the next statement would see them
/// neither in the queue nor among those that have ended, and queue them again.
const LOCK_KNOWN: Sql<'_> = Sql {
    text: "SELECT FROM activity_queue WHERE id = ANY ($1) ORDER BY position FOR UPDATE",
    types: &[Type::UUID_ARRAY],
};
/// One statement, so that the recorded sequence is tested and changed with what it stands for. It holds the
/// row's lock before the first position of the queue is taken: the next messages of the stream have higher
/// positions.
const TRANSFER: Sql<'_> = Sql {
    text: "WITH moved AS ( \
             INSERT INTO activity_transfers AS t (stream_id, sequence) \
             SELECT $1, $3 WHERE $2 = 0 \
                OR EXISTS (SELECT FROM activity_transfers WHERE stream_id = $1) \
             ON CONFLICT (stream_id) DO UPDATE SET sequence = excluded.sequence \
             WHERE t.sequence = $2 RETURNING t.sequence \
         ), queued AS ( \
             INSERT INTO activity_queue (id, body, bytes, received_at) \
             SELECT id, body, octet_length(body), received_at \
             FROM unnest($4::uuid[], $5::text[], $6::timestamptz[]) \
                 WITH ORDINALITY AS given (id, body, received_at, number) \
             WHERE EXISTS (SELECT FROM moved) \
               AND NOT EXISTS (SELECT FROM activity_messages m WHERE m.id = given.id) \
             ORDER BY number ON CONFLICT (id) DO NOTHING RETURNING bytes \
         ), counted AS ( \
             INSERT INTO activity_queue_totals (messages, bytes) \
             SELECT count(*), sum(bytes) FROM queued HAVING count(*) > 0 \
         ) SELECT count(*), pg_notify('storefront_activities', current_schema()::text) FROM moved",
    types: &[
        Type::UUID,
        Type::INT8,
        Type::INT8,
        Type::UUID_ARRAY,
        Type::TEXT_ARRAY,
        Type::TIMESTAMPTZ_ARRAY,
    ],
};

/// Up to which sequence a stream was moved.
pub(super) async fn position(pool: &Pool, stream: Uuid) -> Result<u64, StorageError> {
    let rows = query(pool, POSITION, vec![Box::new(stream)]).await?;
    let position = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
    Ok(position.map_err(error::storage)?.map_or(0, i64::cast_unsigned))
}

/// The streams of which messages were moved.
pub(super) async fn streams(pool: &Pool) -> Result<Vec<Uuid>, StorageError> {
    let rows = query(pool, STREAMS, Vec::new()).await?;
    rows.iter().map(|row| row.try_get(0).map_err(error::storage)).collect()
}

/// Queues the messages if the stream was moved up to `from`; then it is moved up to `to`.
pub(super) async fn transfer(
    pool: &Pool,
    stream: Uuid,
    (from, to): (u64, u64),
    messages: Vec<TransferredMessage>,
) -> Result<bool, StorageError> {
    let messages = messages.into_iter().map(|message| message.message);
    let (mut ids, mut bodies, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for message in messages {
        let made_at = Timestamp::from_millisecond(message.id.made_at());
        ids.push(message.id.0);
        bodies.push(message.body.to_string());
        times.push(made_at.unwrap_or(Timestamp::UNIX_EPOCH));
    }
    let (from, to) = (from.cast_signed(), to.cast_signed());
    with_client(pool, ActContext::new(), move |client| async move {
        // Each statement sees what was committed before it.
        let (begun, locked, rows, committed) = join4(
            client.begin(),
            client.query_once(LOCK_KNOWN, &[&ids]),
            client.query_once(TRANSFER, &[&stream, &from, &to, &ids, &bodies, &times]),
            client.commit(),
        )
        .await;
        begun?;
        locked?;
        let rows = rows?;
        committed?;
        let moved = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose()?;
        Ok(moved.is_some_and(|moved| moved > 0))
    })
    .await
}
