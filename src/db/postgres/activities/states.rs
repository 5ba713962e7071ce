//! Messages and where they are. One statement reads the queue and the final states, so that it sees a
//! message that is being applied in one of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::{Values, damaged, query};
use crate::activities::model::MessageId;
use crate::db::postgres::error;
use crate::db::postgres::idempotency::milliseconds;
use crate::db::postgres::pool::Pool;
use crate::db::postgres::session::Sql;
use crate::db::storage::{Message, MessageState, RejectionGroup, StorageError, WorkerLease};

/// The columns of a message, from the queue and from the final states.
macro_rules! queued {
    () => {
        "SELECT id, 'queued' AS state, NULL::text AS error, NULL::integer AS activity, received_at, \
         NULL::timestamptz AS ended_at, attempts, retry_of, NULL::uuid AS retried_as \
         FROM activity_queue "
    };
}
macro_rules! ended {
    () => {
        "SELECT id, state, error, activity, received_at, ended_at, attempts, retry_of, retried_as \
         FROM activity_messages "
    };
}

const FIND: Sql<'_> = Sql {
    text: concat!(queued!(), "WHERE id = $1 UNION ALL ", ended!(), "WHERE id = $1"),
    types: &[Type::UUID],
};
const LIST_ALL: Sql<'_> = Sql {
    text: concat!(
        "(",
        queued!(),
        "WHERE id < $1 ORDER BY id DESC LIMIT $2) UNION ALL (",
        ended!(),
        "WHERE id < $1 ORDER BY id DESC LIMIT $2) ORDER BY id DESC LIMIT $2"
    ),
    types: LIST_TYPES,
};
const LIST_QUEUED: Sql<'_> =
    Sql { text: concat!(queued!(), "WHERE id < $1 ORDER BY id DESC LIMIT $2"), types: LIST_TYPES };
const LIST_APPLIED: Sql<'_> = Sql {
    text: concat!(ended!(), "WHERE state = 'applied' AND id < $1 ORDER BY id DESC LIMIT $2"),
    types: LIST_TYPES,
};
const LIST_REJECTED: Sql<'_> = Sql {
    text: concat!(ended!(), "WHERE state = 'rejected' AND id < $1 ORDER BY id DESC LIMIT $2"),
    types: LIST_TYPES,
};
const LIST_TYPES: &[Type] = &[Type::UUID, Type::INT8];

const BODY: Sql<'_> = Sql {
    text: "SELECT body FROM activity_queue WHERE id = $1 UNION ALL \
           SELECT body FROM activity_messages WHERE id = $1 AND state = 'rejected'",
    types: &[Type::UUID],
};
/// Ascending by cause, with the oldest message of each.
const REJECTIONS: Sql<'_> = Sql {
    text: "SELECT cause, count, \
             (SELECT id FROM activity_messages m \
              WHERE m.cause = g.cause AND state = 'rejected' AND retried_as IS NULL \
              ORDER BY id LIMIT 1) \
         FROM (SELECT cause, count(*) AS count FROM activity_messages \
               WHERE state = 'rejected' AND retried_as IS NULL AND cause > $1 \
               GROUP BY cause ORDER BY cause LIMIT $2) AS g ORDER BY cause",
    types: &[Type::TEXT, Type::INT8],
};
/// How many there are, with each of the oldest.
const REJECTED_BY: Sql<'_> = Sql {
    text: "WITH rejected AS NOT MATERIALIZED (SELECT id FROM activity_messages \
             WHERE state = 'rejected' AND retried_as IS NULL AND cause = $1) \
         SELECT (SELECT count(*) FROM rejected), (SELECT array_agg(id ORDER BY id) FROM \
             (SELECT id FROM rejected ORDER BY id LIMIT $2) AS oldest)",
    types: &[Type::TEXT, Type::INT8],
};
const PRUNE: Sql<'_> = Sql {
    text: "WITH fence AS MATERIALIZED ( \
             SELECT FROM activity_worker WHERE token = $1 AND owner IS NOT NULL FOR KEY SHARE \
         ) DELETE FROM activity_messages WHERE EXISTS (SELECT FROM fence) AND id = ANY (ARRAY( \
             SELECT id FROM activity_messages \
             WHERE (state = 'applied' OR retried_as IS NOT NULL) \
               AND ended_at >= $4 AND ended_at < now() - $2 * interval '1 millisecond' \
             ORDER BY ended_at LIMIT $3)) RETURNING ended_at",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::TIMESTAMPTZ],
};
/// How often messages are looked for from the oldest on.
const PRUNE_ALL: Duration = Duration::from_secs(600);

/// How far messages have been removed. While any transaction has an old snapshot, what was removed stays in
/// the index, and would be read again each time.
#[derive(Default)]
pub(super) struct Pruning(Mutex<Option<Pruned>>);

#[derive(Clone, Copy)]
struct Pruned {
    lease: WorkerLease,
    /// When the last of those ended that were removed.
    to: Timestamp,
    /// Since when none that ended before was looked for: one that was retried since may be removed too.
    since: Instant,
}

pub(super) async fn find(pool: &Pool, id: MessageId) -> Result<Option<Message>, StorageError> {
    let rows = query(pool, FIND, vec![Box::new(id.0)]).await?;
    rows.first().map(message).transpose()
}

pub(super) async fn list(
    pool: &Pool,
    state: Option<MessageState>,
    after: Option<MessageId>,
    limit: u32,
) -> Result<Vec<Message>, StorageError> {
    let sql = match state {
        None => LIST_ALL,
        Some(MessageState::Queued) => LIST_QUEUED,
        Some(MessageState::Applied) => LIST_APPLIED,
        Some(MessageState::Rejected) => LIST_REJECTED,
    };
    let after = after.map_or(Uuid::max(), |id| id.0);
    let rows = query(pool, sql, vec![Box::new(after), Box::new(i64::from(limit))]).await?;
    rows.iter().map(message).collect()
}

pub(super) async fn body(pool: &Pool, id: MessageId) -> Result<Option<Arc<str>>, StorageError> {
    let rows = query(pool, BODY, vec![Box::new(id.0)]).await?;
    let body = |row: &Row| row.try_get::<_, &str>(0).map(Arc::from).map_err(error::storage);
    rows.first().map(body).transpose()
}

pub(super) async fn rejections(
    pool: &Pool,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<RejectionGroup>, StorageError> {
    let values: Values = vec![Box::new(after.unwrap_or_default()), Box::new(i64::from(limit))];
    let rows = query(pool, REJECTIONS, values).await?;
    let group = |row: &Row| -> Result<RejectionGroup, Error> {
        let count: i64 = row.try_get(1)?;
        Ok(RejectionGroup {
            cause: row.try_get(0)?,
            count: count.cast_unsigned(),
            example: MessageId(row.try_get(2)?),
        })
    };
    rows.iter().map(group).collect::<Result<_, _>>().map_err(error::storage)
}

pub(super) async fn rejected_by(
    pool: &Pool,
    cause: &str,
    limit: u32,
) -> Result<(Vec<MessageId>, u64), StorageError> {
    let values: Values = vec![Box::new(cause.to_owned()), Box::new(i64::from(limit))];
    let rows = query(pool, REJECTED_BY, values).await?;
    let row = rows.first().ok_or_else(damaged)?;
    let read =
        || -> Result<(i64, Option<Vec<Uuid>>), Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
    let (count, ids) = read().map_err(error::storage)?;
    let ids = ids.unwrap_or_default().into_iter().map(MessageId).collect();
    Ok((ids, count.cast_unsigned()))
}

impl Pruning {
    pub(super) async fn prune(
        &self,
        pool: &Pool,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_use = |known: &Pruned| known.lease == lease && known.since.elapsed() < PRUNE_ALL;
        let mut pruned = known.filter(is_of_use).unwrap_or(Pruned {
            lease,
            to: Timestamp::UNIX_EPOCH,
            since: Instant::now(),
        });
        let values: Values = vec![
            Box::new(lease.token),
            Box::new(milliseconds(older_than)),
            Box::new(i64::from(limit)),
            Box::new(pruned.to),
        ];
        let removed = query(pool, PRUNE, values).await?;
        for row in &removed {
            pruned.to = pruned.to.max(row.try_get(0).map_err(error::storage)?);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pruned);
        Ok(u32::try_from(removed.len()).unwrap_or(u32::MAX))
    }
}

fn message(row: &Row) -> Result<Message, StorageError> {
    let state = match row.try_get(1).map_err(error::storage)? {
        "queued" => MessageState::Queued,
        "applied" => MessageState::Applied,
        "rejected" => MessageState::Rejected,
        _ => return Err(damaged()),
    };
    read(row, state).map_err(error::storage)
}

fn read(row: &Row, state: MessageState) -> Result<Message, Error> {
    let optional_id = |column: usize| -> Result<Option<MessageId>, Error> {
        Ok(row.try_get::<_, Option<Uuid>>(column)?.map(MessageId))
    };
    Ok(Message {
        id: MessageId(row.try_get(0)?),
        state,
        error: row.try_get(2)?,
        activity: row.try_get::<_, Option<i32>>(3)?.map(i32::cast_unsigned),
        received_at: row.try_get(4)?,
        applied_at: if state == MessageState::Applied { row.try_get(5)? } else { None },
        attempts: row.try_get::<_, i32>(6)?.cast_unsigned(),
        retry_of: optional_id(7)?,
        retried_as: optional_id(8)?,
    })
}
