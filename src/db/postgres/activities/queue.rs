//! Accepting messages, many by one statement, and reading the queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::query;
use crate::activities::model::MessageId;
use crate::db::postgres::batch::{Batch, fill, recorded};
use crate::db::postgres::error;
use crate::db::postgres::pool::Pool;
use crate::db::postgres::session::{PgSession, Prepared, Sql};
use crate::db::storage::{
    Accept, NewMessage, QueueStatus, QueuedMessage, StorageError, WorkerLease,
};

/// Positions are taken after all that was accepted before has been committed, so that its positions are
/// lower. Workers are notified once.
const ACCEPT: Sql<'_> = Sql {
    text: "WITH queued AS ( \
             INSERT INTO activity_queue (id, body, bytes) \
             SELECT id, body, octet_length(body) \
             FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS given (id, body, number) \
             ORDER BY number RETURNING bytes \
         ), counted AS ( \
             INSERT INTO activity_queue_totals (messages, bytes) \
             SELECT count(*), sum(bytes) FROM queued \
         ) SELECT pg_notify('storefront_activities', current_schema()::text)",
    types: &[Type::UUID_ARRAY, Type::TEXT_ARRAY],
};
/// The sums, of how many rows they are, and for how many microseconds the first has been queued. All of it
/// from where the queue and its totals begin: see [`super::low_water`].
const STATUS: Sql<'_> = Sql {
    text: "SELECT coalesce(sum(messages), 0)::bigint, coalesce(sum(bytes), 0)::bigint, count(*), \
             (SELECT (extract(epoch FROM clock_timestamp() - received_at) * 1000000)::bigint \
              FROM activity_queue \
              WHERE position >= (SELECT queue_from FROM activity_worker) \
              ORDER BY position LIMIT 1) \
         FROM activity_queue_totals WHERE number >= (SELECT totals_from FROM activity_worker)",
    types: &[],
};
/// Rows that another server is replacing are left to it.
const COMPACT: Sql<'_> = Sql {
    text: "WITH replaced AS ( \
             DELETE FROM activity_queue_totals WHERE ctid = ANY (ARRAY( \
                 SELECT ctid FROM activity_queue_totals \
                 WHERE number >= (SELECT totals_from FROM activity_worker) \
                 FOR UPDATE SKIP LOCKED)) \
             RETURNING messages, bytes \
         ) INSERT INTO activity_queue_totals (messages, bytes) \
         SELECT sum(messages), sum(bytes) FROM replaced HAVING count(*) > 0",
    types: &[],
};
/// So many rows of the totals are replaced by their sum.
const MANY_TOTALS: i64 = 256;
/// The lowest positions that are there, not those after the last one that was applied: a transaction with a
/// lower position may commit after one with a higher position. At least one message, and after that only
/// as many as have texts of so many bytes together. None without the lease.
const NEXT: Sql<'_> = Sql {
    text: "SELECT position, id, body, received_at, attempts FROM ( \
             SELECT *, sum(bytes) OVER (ORDER BY position) - bytes AS bytes_before FROM ( \
                 SELECT * FROM activity_queue WHERE position >= ( \
                     SELECT queue_from FROM activity_worker \
                     WHERE token = $1 AND owner IS NOT NULL) \
                 ORDER BY position LIMIT $2) AS first) AS summed \
         WHERE bytes_before < $3 ORDER BY position",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};
/// Bytes of the texts that are taken from the queue at once.
const NEXT_BYTES: i64 = 8 << 20;

/// Queues messages in batches.
pub(super) struct AcceptMessages;

#[async_trait]
impl Batch for AcceptMessages {
    type Request = NewMessage;
    type Response = Accept;
    type Statements = Prepared;
    const LIMIT: usize = 256;
    recorded!();

    async fn prepare(&self, client: &PgSession) -> Result<Prepared, Error> {
        client.prepare(ACCEPT).await
    }

    async fn run(
        &self,
        client: &PgSession,
        statement: &Prepared,
        requests: &[&NewMessage],
        responses: &mut [Option<Accept>],
    ) -> Result<(), Error> {
        let ids: Vec<Uuid> = requests.iter().map(|message| message.id.0).collect();
        let bodies: Vec<&str> = requests.iter().map(|message| &*message.body).collect();
        client.query(statement, &[&ids, &bodies]).await?;
        fill(responses, requests.iter().map(|message| Accept::Queued(message.id)));
        Ok(())
    }
}

pub(super) async fn status(pool: &Pool) -> Result<QueueStatus, StorageError> {
    let rows = query(pool, STATUS, Vec::new()).await?;
    let (messages, bytes, totals, age): (i64, i64, i64, Option<i64>) = match rows.first() {
        Some(row) => read_status(row).map_err(error::storage)?,
        None => (0, 0, 0, None),
    };
    if totals >= MANY_TOTALS {
        query(pool, COMPACT, Vec::new()).await?;
    }
    let positive = |number: i64| u64::try_from(number).unwrap_or_default();
    Ok(QueueStatus {
        messages: positive(messages),
        bytes: positive(bytes),
        oldest: age.map(|age| Duration::from_micros(positive(age))),
    })
}

fn read_status(row: &Row) -> Result<(i64, i64, i64, Option<i64>), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
}

pub(super) async fn next(
    pool: &Pool,
    lease: WorkerLease,
    limit: u32,
) -> Result<Vec<QueuedMessage>, StorageError> {
    let values: super::Values =
        vec![Box::new(lease.token), Box::new(i64::from(limit)), Box::new(NEXT_BYTES)];
    let rows = query(pool, NEXT, values).await?;
    rows.iter().map(read_message).collect::<Result<_, _>>().map_err(error::storage)
}

fn read_message(row: &Row) -> Result<QueuedMessage, Error> {
    Ok(QueuedMessage {
        position: row.try_get(0)?,
        id: MessageId(row.try_get(1)?),
        body: Arc::from(row.try_get::<_, &str>(2)?),
        received_at: row.try_get(3)?,
        attempts: row.try_get::<_, i32>(4)?.cast_unsigned(),
    })
}
