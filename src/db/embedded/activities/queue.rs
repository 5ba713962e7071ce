//! The queue: messages that were accepted and have not ended.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{self, count, id, id_bytes, time};
use crate::activities::model::MessageId;
use crate::db::storage::{NewMessage, QueueStatus, QueuedMessage};

const ADD: &str =
    "INSERT INTO activity_queue (id, body, received_at, retry_of) VALUES (?1, ?2, ?3, ?4)";
const COUNT: &str =
    "UPDATE activity_totals SET messages = messages + ?1, bytes = bytes + ?2 WHERE only = 1";
const STATUS: &str = "SELECT messages, bytes, (SELECT received_at FROM activity_queue \
                      ORDER BY position LIMIT 1) FROM activity_totals";
const NEXT: &str = "SELECT position, id, body, received_at, attempts FROM activity_queue \
                    ORDER BY position LIMIT ?1";
/// Bytes of the texts that are taken at a time.
const NEXT_BYTES: usize = 8 << 20;
const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM activity_queue)";
const TAKE: &str = "DELETE FROM activity_queue WHERE position = ?1 AND id = ?2 \
                    RETURNING octet_length(body), received_at, attempts, retry_of";
const NOTE_ATTEMPT: &str =
    "UPDATE activity_queue SET attempts = attempts + 1 WHERE id = ?1 RETURNING attempts";

/// Adds a message at the end.
pub(super) fn add(
    c: &Connection,
    message: &NewMessage,
    retry_of: Option<MessageId>,
) -> rusqlite::Result<()> {
    let now = Timestamp::now().as_microsecond();
    let values = params![id_bytes(message.id), &*message.body, now, retry_of.map(id_bytes)];
    c.prepare_cached(ADD)?.execute(values)?;
    add_to_totals(c, 1, i64::try_from(message.body.len()).unwrap_or(i64::MAX))
}

/// Counts messages and the bytes of their texts in, or out.
pub(super) fn add_to_totals(c: &Connection, messages: i64, bytes: i64) -> rusqlite::Result<()> {
    c.prepare_cached(COUNT)?.execute([messages, bytes]).map(drop)
}

/// Reads a row and the head of the queue, however long it is.
pub(super) fn status(c: &Connection) -> rusqlite::Result<QueueStatus> {
    c.prepare_cached(STATUS)?.query_row((), |row| {
        let oldest = row.get::<_, Option<i64>>(2)?.map(|received_at| {
            let age = Timestamp::now().as_microsecond().saturating_sub(received_at);
            Duration::from_micros(u64::try_from(age).unwrap_or(0))
        });
        Ok(QueueStatus { messages: count(row, 0)?, bytes: count(row, 1)?, oldest })
    })
}

pub(super) fn next(c: &Connection, limit: u32) -> rusqlite::Result<Vec<QueuedMessage>> {
    let mut statement = c.prepare_cached(NEXT)?;
    let messages = statement.query_map([limit], |row| {
        Ok(QueuedMessage {
            position: row.get(0)?,
            id: id(row, 1)?,
            body: codec::text(row, 2)?,
            received_at: time(row, 3)?,
            attempts: row.get(4)?,
        })
    })?;
    let mut bytes = 0;
    let mut taken = Vec::new();
    for message in messages {
        let message = message?;
        bytes += message.body.len();
        // One at least, however long it is.
        if bytes > NEXT_BYTES && !taken.is_empty() {
            break;
        }
        taken.push(message);
    }
    Ok(taken)
}

pub(super) fn is_empty(c: &Connection) -> rusqlite::Result<bool> {
    c.prepare_cached(IS_EMPTY)?.query_row((), |row| row.get(0))
}

/// What is kept of a message that was taken out of the queue to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) bytes: i64,
    pub(super) received_at: i64,
    pub(super) attempts: u32,
    pub(super) retry_of: Option<[u8; 16]>,
}

/// Takes a message out of the queue; `None` if it is not there any more. The caller counts it out of the
/// totals.
pub(super) fn take(c: &Connection, message: &QueuedMessage) -> rusqlite::Result<Option<Taken>> {
    let values = params![message.position, id_bytes(message.id)];
    c.prepare_cached(TAKE)?
        .query_row(values, |row| {
            Ok(Taken {
                bytes: row.get(0)?,
                received_at: row.get(1)?,
                attempts: row.get(2)?,
                retry_of: row.get(3)?,
            })
        })
        .optional()
}

/// Counts one more attempt; 0 for a message that is not queued any more.
pub(super) fn note_attempt(c: &Connection, id: MessageId) -> rusqlite::Result<u32> {
    let mut statement = c.prepare_cached(NOTE_ATTEMPT)?;
    let attempts = statement.query_row([id_bytes(id)], |row| row.get(0)).optional()?;
    Ok(attempts.unwrap_or(0))
}
