//! Moving messages of a stream outside of the store into the queue. The recorded sequence is tested and
//! changed in the transaction that queues them.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::codec::{count, id_bytes};
use super::queue;
use crate::db::storage::TransferredMessage;

const POSITION: &str = "SELECT sequence FROM activity_transfers WHERE stream_id = ?1";
const STREAMS: &str = "SELECT stream_id FROM activity_transfers";
const SET_POSITION: &str = "INSERT INTO activity_transfers (stream_id, sequence) VALUES (?1, ?2) \
                            ON CONFLICT (stream_id) DO UPDATE SET sequence = ?2";
const IS_KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM activity_queue WHERE id = ?1) \
                        OR EXISTS (SELECT 1 FROM activity_applied WHERE id = ?1) \
                        OR EXISTS (SELECT 1 FROM activity_rejected WHERE id = ?1)";
const ADD: &str = "INSERT INTO activity_queue (id, body, received_at) VALUES (?1, ?2, ?3)";

/// Up to which sequence a stream was moved.
pub(super) fn position(c: &Connection, stream: Uuid) -> rusqlite::Result<u64> {
    let mut statement = c.prepare_cached(POSITION)?;
    let found = statement.query_row([stream.as_bytes()], |row| count(row, 0)).optional()?;
    Ok(found.unwrap_or(0))
}

/// The streams of which messages were moved.
pub(super) fn streams(c: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    let mut statement = c.prepare_cached(STREAMS)?;
    let ids: Vec<[u8; 16]> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids.into_iter().map(Uuid::from_bytes).collect())
}

/// Queues the messages if the stream was moved up to `from`; then it is moved up to `to`.
pub(super) fn transfer(
    c: &Connection,
    stream: Uuid,
    (from, to): (u64, u64),
    messages: &[TransferredMessage],
) -> rusqlite::Result<bool> {
    if position(c, stream)? != from {
        return Ok(false);
    }
    let (mut added, mut bytes) = (0, 0);
    for TransferredMessage { message, .. } in messages {
        let id = id_bytes(message.id);
        // After a loss of the stream's end it is moved again from its beginning.
        if c.prepare_cached(IS_KNOWN)?.query_row([id], |row| row.get(0))? {
            continue;
        }
        let received_at = message.id.made_at().saturating_mul(1_000);
        c.prepare_cached(ADD)?.execute(params![id, &*message.body, received_at])?;
        (added, bytes) = (added + 1, bytes + message.body.len());
    }
    queue::add_to_totals(c, added, i64::try_from(bytes).unwrap_or(i64::MAX))?;
    let to = i64::try_from(to).unwrap_or(i64::MAX);
    c.prepare_cached(SET_POSITION)?.execute(params![stream.as_bytes(), to])?;
    Ok(true)
}
