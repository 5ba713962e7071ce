//! The last statements of a transaction: how many rows its tables have, and how its messages ended.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::rows::Changes;
use crate::activities::model::{MessageId, Rejection, RejectionKind};
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::storage::QueuedMessage;

const ENDED: Sql<'_> = Sql {
    text: "SELECT id, state, error, activity, cause FROM activity_messages WHERE id = ANY ($1)",
    types: &[Type::UUID_ARRAY],
};
const COUNT_ROWS: Sql<'_> = Sql {
    text: "UPDATE activity_tables t SET rows = t.rows + c.change, last_applied_at = now() \
           FROM unnest($1::bigint[], $2::bigint[]) AS c (number, change) \
           WHERE t.number = c.number",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};
/// Of a message that has ended before, and was queued again, only the row of the queue is removed.
const END: Sql<'_> = Sql {
    text: "WITH ended AS ( \
             DELETE FROM activity_queue WHERE position = ANY ($1) RETURNING * \
         ), counted AS ( \
             INSERT INTO activity_queue_totals (messages, bytes) \
             SELECT -count(*), -sum(bytes) FROM ended HAVING count(*) > 0 \
         ) INSERT INTO activity_messages (id, state, error, activity, cause, body, received_at, \
                                          ended_at, attempts, retry_of) \
         SELECT id, CASE WHEN r.position IS NULL THEN 'applied' ELSE 'rejected' END, \
                error, activity, cause, CASE WHEN r.position IS NOT NULL THEN body END, \
                received_at, clock_timestamp(), attempts, retry_of \
         FROM ended e LEFT JOIN \
              unnest($2::bigint[], $3::text[], $4::integer[], $5::text[]) \
                  AS r (position, error, activity, cause) ON r.position = e.position \
         ON CONFLICT (id) DO NOTHING",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT4_ARRAY,
        Type::TEXT_ARRAY,
    ],
};

/// Adds to the numbers of rows in the catalogue.
pub(super) async fn count_rows(client: &PgSession, changes: &Changes) -> Result<u64, Error> {
    if changes.is_empty() {
        return Ok(0);
    }
    let (numbers, changes): (Vec<i64>, Vec<i64>) = changes.iter().unzip();
    client.execute_once(COUNT_ROWS, &[&numbers, &changes]).await
}

/// Messages whose end is to be recorded.
#[derive(Default)]
pub(super) struct Ended<'a> {
    positions: Vec<i64>,
    rejected: Vec<i64>,
    errors: Vec<&'a str>,
    activities: Vec<Option<i32>>,
    causes: Vec<String>,
}

impl<'a> Ended<'a> {
    pub(super) fn new(
        messages: &[QueuedMessage],
        outcomes: &'a [Option<Rejection>],
        queued: &HashSet<i64>,
    ) -> Self {
        let mut ended = Self::default();
        for (message, outcome) in messages.iter().zip(outcomes) {
            ended.positions.push(message.position);
            let is_queued = queued.contains(&message.position);
            let Some(rejection) = outcome.as_ref().filter(|_| is_queued) else { continue };
            ended.rejected.push(message.position);
            ended.errors.push(&rejection.error);
            ended.activities.push(rejection.activity.map(u32::cast_signed));
            ended.causes.push(rejection.cause());
        }
        ended
    }

    pub(super) async fn record(&self, client: &PgSession) -> Result<u64, Error> {
        let Self { positions, rejected, errors, activities, causes } = self;
        client.execute_once(END, &[positions, rejected, errors, activities, causes]).await
    }
}

/// Why those messages were rejected that had ended before; `None` if there is none that had.
pub(super) async fn passed_over(
    client: &PgSession,
    messages: &[QueuedMessage],
    queued: &HashSet<i64>,
) -> Result<Option<HashMap<MessageId, Rejection>>, Error> {
    let ended = messages.iter().filter(|message| !queued.contains(&message.position));
    let ended: Vec<Uuid> = ended.map(|message| message.id.0).collect();
    if ended.is_empty() {
        return Ok(None);
    }
    let rows = client.query_once(ENDED, &[&ended]).await?;
    let rejected = rows.iter().map(rejection).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(rejected.into_iter().flatten().collect()))
}

fn rejection(row: &Row) -> Result<Option<(MessageId, Rejection)>, Error> {
    if row.try_get::<_, &str>(1)? != "rejected" {
        return Ok(None);
    }
    let cause: Option<&str> = row.try_get(4)?;
    let kind = cause.and_then(|cause| cause.split(' ').next());
    let kind = RejectionKind::ALL.into_iter().find(|known| Some(known.as_str()) == kind);
    let rejection = Rejection {
        kind: kind.unwrap_or(RejectionKind::Unreadable),
        activity: row.try_get::<_, Option<i32>>(3)?.map(i32::cast_unsigned),
        table: None,
        column: None,
        error: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
    };
    Ok(Some((MessageId(row.try_get(0)?), rejection)))
}
