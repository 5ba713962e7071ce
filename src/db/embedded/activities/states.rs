//! Messages as clients see them: where each is, and what becomes of rejected ones.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, count, id, id_bytes, optional_id, time};
use super::queue;
use crate::activities::model::MessageId;
use crate::db::storage::{Discard, Message, MessageState, NewMessage, RejectionGroup, Retry};

/// One table for each state, with the same columns in the same order.
const STATES: [(MessageState, &str); 3] = [
    (
        MessageState::Queued,
        "SELECT id, NULL, NULL, received_at, NULL, attempts, retry_of, NULL FROM activity_queue",
    ),
    (
        MessageState::Applied,
        "SELECT id, NULL, NULL, received_at, ended_at, attempts, retry_of, NULL \
         FROM activity_applied",
    ),
    (
        MessageState::Rejected,
        "SELECT id, error, activity, received_at, NULL, attempts, retry_of, retried_as \
         FROM activity_rejected",
    ),
];
const BODY: &str = "SELECT body FROM activity_queue WHERE id = ?1 \
                    UNION ALL SELECT body FROM activity_rejected WHERE id = ?1";
/// The example is the oldest.
const CAUSES: &str = "SELECT cause, messages, (SELECT id FROM activity_rejected r \
                      WHERE r.cause = c.cause AND retried_as IS NULL ORDER BY position LIMIT 1) \
                      FROM activity_causes c WHERE cause > ?1 ORDER BY cause LIMIT ?2";
const OF_CAUSE: &str = "SELECT id FROM activity_rejected WHERE cause = ?1 AND retried_as IS NULL \
                        ORDER BY position LIMIT ?2";
const COUNT_OF_CAUSE: &str = "SELECT messages FROM activity_causes WHERE cause = ?1";
const REJECTED: &str = "SELECT body, retried_as, cause FROM activity_rejected WHERE id = ?1";
const LINK: &str = "UPDATE activity_rejected SET retried_as = ?2 WHERE id = ?1";
const DISCARD: &str = "DELETE FROM activity_rejected WHERE id = ?1 RETURNING retried_as, cause";
pub(super) const COUNT_CAUSE: &str = "INSERT INTO activity_causes (cause, messages) VALUES (?1, 1) \
     ON CONFLICT (cause) DO UPDATE SET messages = messages + 1";
const UNCOUNT_CAUSE: &str = "UPDATE activity_causes SET messages = messages - 1 WHERE cause = ?1";
const DROP_CAUSE: &str = "DELETE FROM activity_causes WHERE cause = ?1 AND messages <= 0";
const PRUNE_APPLIED: &str = "DELETE FROM activity_applied WHERE ended_at <= ?1 AND position IN \
                             (SELECT position FROM activity_applied ORDER BY position LIMIT ?2)";
const PRUNE_RETRIED: &str = "DELETE FROM activity_rejected WHERE position IN \
                             (SELECT position FROM activity_rejected WHERE retried_as IS NOT NULL \
                             AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2)";

/// A message, in one read transaction: it may move from one state to another at any time.
pub(super) fn find(c: &Connection, id: MessageId) -> rusqlite::Result<Option<Message>> {
    let transaction = c.unchecked_transaction()?;
    for (state, select) in STATES {
        let sql = format!("{select} WHERE id = ?1");
        let mut statement = transaction.prepare_cached(&sql)?;
        let found = statement.query_row([id_bytes(id)], |row| message(row, state)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Each state has its own index of ids, and so the newest of each are merged.
pub(super) fn list(
    c: &Connection,
    of: Option<MessageState>,
    after: Option<MessageId>,
    limit: u32,
) -> rusqlite::Result<Vec<Message>> {
    let transaction = c.unchecked_transaction()?;
    let mut messages: Vec<Message> = Vec::new();
    for (state, select) in STATES.into_iter().filter(|(state, _)| of.is_none_or(|of| of == *state))
    {
        let condition = if after.is_some() { "WHERE id < ?1" } else { "WHERE ?1 IS NULL" };
        let sql = format!("{select} {condition} ORDER BY id DESC LIMIT ?2");
        let mut statement = transaction.prepare_cached(&sql)?;
        let values = params![after.map(id_bytes), limit];
        for found in statement.query_map(values, |row| message(row, state))? {
            messages.push(found?);
        }
    }
    messages.sort_unstable_by_key(|message| std::cmp::Reverse(message.id));
    messages.truncate(limit as usize);
    Ok(messages)
}

fn message(row: &Row<'_>, state: MessageState) -> rusqlite::Result<Message> {
    let applied_at = row.get::<_, Option<i64>>(4)?.map(|_| time(row, 4)).transpose()?;
    Ok(Message {
        id: id(row, 0)?,
        state,
        error: row.get(1)?,
        activity: row.get(2)?,
        received_at: time(row, 3)?,
        applied_at,
        attempts: row.get(5)?,
        retry_of: optional_id(row, 6)?,
        retried_as: optional_id(row, 7)?,
    })
}

pub(super) fn body(c: &Connection, id: MessageId) -> rusqlite::Result<Option<Arc<str>>> {
    let mut statement = c.prepare_cached(BODY)?;
    statement.query_row([id_bytes(id)], |row| codec::text(row, 0)).optional()
}

pub(super) fn rejections(
    c: &Connection,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<RejectionGroup>> {
    let mut statement = c.prepare_cached(CAUSES)?;
    // No cause is empty.
    let groups = statement.query_map(params![after.unwrap_or(""), limit], |row| {
        Ok(RejectionGroup { cause: row.get(0)?, count: count(row, 1)?, example: id(row, 2)? })
    })?;
    groups.collect()
}

pub(super) fn rejected_by(
    c: &Connection,
    cause: &str,
    limit: u32,
) -> rusqlite::Result<(Vec<MessageId>, u64)> {
    let transaction = c.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached(OF_CAUSE)?;
    let ids = statement.query_map(params![cause, limit], |row| id(row, 0))?;
    let ids = ids.collect::<Result<_, _>>()?;
    let mut statement = transaction.prepare_cached(COUNT_OF_CAUSE)?;
    let all = statement.query_row([cause], |row| count(row, 0)).optional()?;
    Ok((ids, all.unwrap_or(0)))
}

pub(super) fn retry(c: &Connection, of: MessageId, new: NewMessage) -> rusqlite::Result<Retry> {
    let mut statement = c.prepare_cached(REJECTED)?;
    let found = statement.query_row([id_bytes(of)], |row| {
        Ok((codec::text(row, 0)?, optional_id(row, 1)?, row.get::<_, String>(2)?))
    });
    let Some((body, retried_as, cause)) = found.optional()? else {
        return Ok(other_state(c, of)?.map_or(Retry::Missing, Retry::NotRejected));
    };
    if let Some(id) = retried_as {
        return Ok(Retry::AlreadyRetried(id));
    }
    let body = if new.body.is_empty() { body } else { new.body };
    let new = NewMessage { id: new.id, body };
    queue::add(c, &new, Some(of))?;
    c.prepare_cached(LINK)?.execute([id_bytes(of), id_bytes(new.id)])?;
    uncount_cause(c, &cause)?;
    Ok(Retry::Queued(new.id))
}

pub(super) fn discard(c: &Connection, id: MessageId) -> rusqlite::Result<Discard> {
    let mut statement = c.prepare_cached(DISCARD)?;
    let found = statement
        .query_row([id_bytes(id)], |row| Ok((optional_id(row, 0)?, row.get::<_, String>(1)?)));
    let Some((retried_as, cause)) = found.optional()? else {
        return Ok(other_state(c, id)?.map_or(Discard::Missing, Discard::NotRejected));
    };
    if retried_as.is_none() {
        uncount_cause(c, &cause)?;
    }
    Ok(Discard::Discarded)
}

/// Where a message is that is not rejected; `None` if there is no such one.
fn other_state(c: &Connection, id: MessageId) -> rusqlite::Result<Option<MessageState>> {
    for (state, table) in
        [(MessageState::Queued, "activity_queue"), (MessageState::Applied, "activity_applied")]
    {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE id = ?1)");
        if c.prepare_cached(&sql)?.query_row([id_bytes(id)], |row| row.get(0))? {
            return Ok(Some(state));
        }
    }
    Ok(None)
}

fn uncount_cause(c: &Connection, cause: &str) -> rusqlite::Result<()> {
    c.prepare_cached(UNCOUNT_CAUSE)?.execute([cause])?;
    c.prepare_cached(DROP_CAUSE)?.execute([cause]).map(drop)
}

/// Removes applied messages in the order of the queue, then retried ones, that ended by then.
pub(super) fn prune(c: &Connection, ended_by: i64, limit: u32) -> rusqlite::Result<u32> {
    let limit = i64::from(limit);
    let applied = c.prepare_cached(PRUNE_APPLIED)?.execute([ended_by, limit])? as i64;
    let retried = c.prepare_cached(PRUNE_RETRIED)?.execute([ended_by, limit - applied])? as i64;
    Ok(u32::try_from(applied + retried).unwrap_or(u32::MAX))
}
