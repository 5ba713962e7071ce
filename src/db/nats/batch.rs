//! Messages of one read of the stream.

use async_nats::HeaderMap;
use bytes::Bytes;

use super::errors::unreadable;
use super::message::Entry;
use crate::db::storage::StorageError;

/// Messages that were read from a sequence on.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// The sequence of the last one, also if it is none of this program's; 0 if there is none.
    pub(super) last: u64,
    /// Messages after it.
    pub(super) pending: u64,
}

impl Batch {
    /// Adds an answer; fails if one before it has not arrived.
    pub(super) fn push(&mut self, headers: &HeaderMap, body: &Bytes) -> Result<(), StorageError> {
        let subject = headers.get("Nats-Subject").map_or("", |value| value.as_str());
        // 0 in the first one.
        if number(headers, "Nats-Last-Sequence")? != self.last {
            return Err(unreadable("an answer has not arrived, as at a new connection"));
        }
        self.last = number(headers, "Nats-Sequence")?;
        match Entry::read(subject, self.last, headers, body) {
            Some(entry) => self.entries.push(entry),
            None => {
                tracing::warn!(subject, sequence = self.last, "the stream has a foreign message");
            }
        }
        Ok(())
    }
}

pub(super) fn number(headers: &HeaderMap, name: &str) -> Result<u64, StorageError> {
    let number = headers.get_last(name).and_then(|value| value.as_str().parse().ok());
    number.ok_or_else(|| unreadable(format!("an answer has no header {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activities::model::MessageId;
    use crate::db::storage::ErrorKind;

    /// An answer of a batch: the message, and the one before it.
    fn answer(sequence: u64, before: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Subject", format!("S.-.{}", MessageId::new()));
        headers.insert("Nats-Sequence", sequence.to_string());
        headers.insert("Nats-Last-Sequence", before.to_string());
        headers
    }

    #[test]
    fn a_gap_inside_a_batch_is_no_batch() {
        let mut batch = Batch::default();
        batch.push(&answer(5, 0), &Bytes::from_static(b"{}")).unwrap();
        // Those between were removed from the stream.
        batch.push(&answer(9, 5), &Bytes::from_static(b"{}")).unwrap();
        let error = batch.push(&answer(11, 10), &Bytes::from_static(b"{}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!((batch.entries.len(), batch.last), (2, 9));
    }
}
