//! Accepting messages: each is published, and accepted once the server has stored it.
//!
//! A message is sent again until its outcome is known or the deadline has passed: the server recognises it
//! by its id. Under a key it is only stored if no other message of the key is, which the server tests when
//! it stores it. A key's message stays in the stream until the key has expired, also when it was moved into
//! the store, so that a repeat is recognised while the store is away.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::message::{self, outgoing};
use super::stream::{Published, Stream};
use crate::db::common::retry::Backoff;
use crate::db::storage::{Accept, ActContext, ErrorKind, IdempotencyKey, NewMessage, StorageError};

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

/// How long a message is sent again that the server does not take, such as while it starts.
const REFUSED_FOR: Duration = Duration::from_secs(2);

/// What became of a message.
pub(super) struct Accepted {
    pub(super) outcome: Accept,
    /// Whether this call has stored it.
    pub(super) is_stored: bool,
}

/// Stores a message in the stream, once.
pub(super) async fn accept(
    stream: &Stream,
    context: &ActContext,
    message: &NewMessage,
) -> Result<Accepted, StorageError> {
    let (key, begun, deadline) = (context.key(), Instant::now(), context.deadline());
    // Of the last message of the key, whose time is over; 0 if there is none.
    let mut expected = 0;
    // Of a try that may have stored the message.
    let mut unknown = None;
    let mut backoff = BACKOFF;
    loop {
        let outgoing = outgoing(&stream.subjects, key, expected, message);
        let failed = match stream.publish(outgoing, deadline).await {
            Published::Stored { is_repeat } => {
                let outcome = Accept::Queued(message.id);
                return Ok(Accepted { outcome, is_stored: !is_repeat });
            }
            Published::WrongSequence => {
                let found = timeout_at(deadline, earlier(stream, key, message)).await;
                match found.unwrap_or_else(|_| Err(late())) {
                    Ok(Earlier::Outcome(outcome)) => {
                        return Ok(Accepted { outcome, is_stored: false });
                    }
                    Ok(Earlier::Expired(sequence)) => {
                        expected = sequence;
                        None
                    }
                    Err(error) => Some(error),
                }
            }
            Published::Full if unknown.is_none() => {
                return Ok(Accepted { outcome: Accept::Full, is_stored: false });
            }
            Published::Full => None,
            Published::Refused(error) => Some(error),
            Published::Unknown(error) => {
                unknown = Some(error);
                None
            }
        };
        // The retries are short when the message is certainly not stored: the client may repeat its request.
        let is_over = unknown.is_none() && failed.is_some() && begun.elapsed() >= REFUSED_FOR;
        if is_over || timeout_at(deadline, backoff.wait()).await.is_err() {
            return Err(unknown.or(failed).unwrap_or_else(late));
        }
    }
}

/// What the stream has under a key.
enum Earlier {
    Outcome(Accept),
    /// The message with that sequence, whose key may be forgotten; 0: there is none.
    Expired(u64),
}

async fn earlier(
    stream: &Stream,
    key: Option<&IdempotencyKey>,
    message: &NewMessage,
) -> Result<Earlier, StorageError> {
    let Some(key) = key else { return Ok(Earlier::Expired(0)) };
    let Some((sequence, found)) = stream.last_of(&stream.subjects.of_key(key)).await? else {
        return Ok(Earlier::Expired(0));
    };
    // One that is none of this program's reserves no key.
    let Some(found) = found else { return Ok(Earlier::Expired(sequence)) };
    let Some(stored) = &found.key else { return Ok(Earlier::Expired(sequence)) };
    if found.id == message.id {
        // A try of this call, whose answer was lost.
        return Ok(Earlier::Outcome(Accept::Queued(found.id)));
    }
    if stored.is_expired() {
        return Ok(Earlier::Expired(sequence));
    }
    if stored.fingerprint != message::fingerprint(key) {
        return Ok(Earlier::Outcome(Accept::KeyReused));
    }
    key.set_replayed();
    Ok(Earlier::Outcome(Accept::Queued(found.id)))
}

fn late() -> StorageError {
    StorageError::new(
        ErrorKind::Unavailable,
        "the message could not be stored in the stream in time",
    )
}
