//! How a message is a message of the stream: its subject and its headers.
//!
//! The subject is `STREAM.KEY.ID`. KEY is the idempotency key in base64, or `-` without one, so that
//! `STREAM.KEY.*` are the messages of a key and `STREAM.*.ID` is one message.

use std::sync::Arc;

use async_nats::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use crate::activities::model::MessageId;
use crate::db::storage::{IdempotencyKey, Message, MessageState, NewMessage};

/// In place of a key; shorter than any key in base64.
const NO_KEY: &str = "-";
/// The server recognises a message that is sent again by this.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The stream that shall take it, should another have its subject.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// The sequence of the last message of [`EXPECTED_SUBJECT`], 0 for none.
const EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// The fingerprint of the request that had the key, in hexadecimal digits.
const FINGERPRINT: &str = "Storefront-Fingerprint";
/// When the key may be forgotten, in milliseconds since 1970.
const KEY_EXPIRES: &str = "Storefront-Key-Expires";
/// Bytes of the longest headers, which count as part of a message: the names above and their values, of
/// which that with the key is the longest.
pub(super) const MAX_HEADERS: usize = 1_024;

/// The subjects of a stream.
#[derive(Debug, Clone)]
pub(super) struct Subjects(pub(super) Arc<str>);

impl Subjects {
    /// All messages.
    pub(super) fn all(&self) -> String {
        format!("{}.*.*", self.0)
    }

    /// The messages without a key.
    pub(super) fn without_key(&self) -> String {
        format!("{}.{NO_KEY}.*", self.0)
    }

    /// The messages of a key.
    pub(super) fn of_key(&self, key: &IdempotencyKey) -> String {
        format!("{}.{}.*", self.0, token(key))
    }

    /// One message, if it has no key, and if it has one.
    pub(super) fn of_message(&self, id: MessageId) -> [String; 2] {
        [format!("{}.{NO_KEY}.{id}", self.0), format!("{}.*.{id}", self.0)]
    }

    /// Where a worker hears that a message was queued. The stream does not have it.
    pub(super) fn wakeup(&self) -> String {
        format!("{}.wakeup", self.0)
    }

    fn subject(&self, key: Option<&IdempotencyKey>, id: MessageId) -> String {
        let key = key.map_or_else(|| NO_KEY.to_owned(), token);
        format!("{}.{key}.{id}", self.0)
    }
}

fn token(key: &IdempotencyKey) -> String {
    URL_SAFE_NO_PAD.encode(key.text())
}

/// A message to publish.
pub(super) struct Outgoing {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Makes the stream's message; under a key it is only taken if the last one of that key has the expected
/// sequence.
pub(super) fn outgoing(
    subjects: &Subjects,
    key: Option<&IdempotencyKey>,
    expected: u64,
    message: &NewMessage,
) -> Outgoing {
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, message.id.to_string());
    headers.insert(EXPECTED_STREAM, &*subjects.0);
    if let Some(key) = key {
        headers.insert(EXPECTED_SEQUENCE, expected.to_string());
        headers.insert(EXPECTED_SUBJECT, subjects.of_key(key));
        headers.insert(FINGERPRINT, fingerprint(key));
        let kept_for = i64::try_from(key.kept_for().as_millis()).unwrap_or(i64::MAX);
        headers.insert(KEY_EXPIRES, now().saturating_add(kept_for).to_string());
    }
    let body = Bytes::copy_from_slice(message.body.as_bytes());
    Outgoing { subject: subjects.subject(key, message.id), headers, body }
}

pub(super) fn fingerprint(key: &IdempotencyKey) -> String {
    format!("{:032x}", u128::from_be_bytes(key.fingerprint()))
}

/// In milliseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A message of the stream.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) id: MessageId,
    /// Of one that was sent under a key.
    pub(super) key: Option<StoredKey>,
    pub(super) body: Arc<str>,
}

/// What is stored of a key.
#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    pub(super) fingerprint: String,
    /// In milliseconds since 1970.
    expires: i64,
}

impl StoredKey {
    /// Whether the key may be forgotten.
    pub(super) fn is_expired(&self) -> bool {
        self.expires <= now()
    }
}

impl Entry {
    /// Reads a message; `None` if it is none of this program's.
    pub(super) fn read(
        subject: &str,
        sequence: u64,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Self> {
        let id = id_of(subject)?;
        let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        let key = header(FINGERPRINT).map(|fingerprint| {
            let expires = header(KEY_EXPIRES).and_then(|at| at.parse().ok()).unwrap_or(i64::MAX);
            StoredKey { fingerprint, expires }
        });
        // This program's messages are JSON, which has no U+0000; a store may refuse it, each time.
        let body = std::str::from_utf8(body).ok().filter(|body| !body.contains('\0'))?.into();
        Some(Self { sequence, id, key, body })
    }

    /// As clients see it while the store does not have it.
    pub(super) fn message(&self) -> Message {
        queued(self.id)
    }
}

/// The id of a message of the stream.
pub(super) fn id_of(subject: &str) -> Option<MessageId> {
    MessageId::parse(subject.rsplit('.').next()?)
}

/// A message that waits in the stream.
pub(super) fn queued(id: MessageId) -> Message {
    let received_at = jiff::Timestamp::from_millisecond(id.made_at());
    Message {
        id,
        state: MessageState::Queued,
        error: None,
        activity: None,
        received_at: received_at.unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        applied_at: None,
        attempts: 0,
        retry_of: None,
        retried_as: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn subjects() -> Subjects {
        Subjects("S".into())
    }

    #[test]
    fn a_message_is_read_as_it_was_sent() {
        let message = NewMessage { id: MessageId::new(), body: "{}".into() };
        let key = IdempotencyKey::new("a.*> key", 0xa_5, Duration::from_secs(60));
        for key in [None, Some(&key)] {
            let Outgoing { subject, headers, body } = outgoing(&subjects(), key, 7, &message);
            assert!(!subject.contains(['*', '>', ' ']), "{subject}");
            let found = Entry::read(&subject, 9, &headers, &body).unwrap();
            assert_eq!((found.id, found.sequence, &*found.body), (message.id, 9, "{}"));
            let stored = found.key.as_ref();
            assert_eq!(stored.map(|key| key.fingerprint.clone()), key.map(fingerprint));
            assert!(stored.is_none_or(|key| !key.is_expired()));
            assert_eq!(found.message().received_at.as_millisecond(), message.id.made_at());
        }
    }

    #[test]
    fn a_text_that_a_store_refuses_is_foreign() {
        let subject = format!("S.-.{}", MessageId::new());
        for body in [&b"a\0b"[..], b"\xff"] {
            assert!(Entry::read(&subject, 1, &HeaderMap::new(), body).is_none(), "{body:?}");
        }
    }

    #[test]
    fn the_longest_headers_are_below_their_bound() {
        let message = NewMessage { id: MessageId::new(), body: "{}".into() };
        let subjects = Subjects("S".repeat(64).into());
        let key = IdempotencyKey::new("~".repeat(255), u128::MAX, Duration::MAX);
        let outgoing = outgoing(&subjects, Some(&key), u64::MAX, &message);
        let lengths = outgoing.headers.iter().map(|(name, values)| {
            let name: &str = name.as_ref();
            name.len() + 4 + values.iter().map(|value| value.as_str().len()).sum::<usize>()
        });
        assert!(lengths.sum::<usize>() + 32 <= MAX_HEADERS);
    }
}
