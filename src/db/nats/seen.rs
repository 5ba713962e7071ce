//! What was last seen of the stream, and whether it has lost messages at its end since.
//!
//! A stream loses its end at a power failure of a server that acknowledges before it syncs, or from an
//! older backup. New messages get sequences then that others had, so it is not enough to compare its end
//! with what was moved: new messages may have filled the gap. Therefore the greatest sequence ever seen is
//! kept, and after each new connection the stream is looked at before a message is published.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::known::Known;

/// How far a stream is known to have gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    stream: Uuid,
    /// The greatest sequence that it had, has acknowledged or was moved up to.
    highest: u64,
    /// It has given a sequence twice.
    is_lost: bool,
}

impl End {
    /// Whether the stream must have had that sequence already.
    pub(super) fn had(&self, stream: Uuid, sequence: u64) -> bool {
        self.stream == stream && sequence <= self.highest
    }

    /// Whether a stream with that last sequence has lost messages that it had.
    pub(super) fn is_lost(&self, stream: Uuid, last: u64) -> bool {
        self.stream == stream && (self.is_lost || last < self.highest)
    }

    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    fn raise(&mut self, sequence: u64) {
        self.highest = self.highest.max(sequence);
    }

    /// The stream is that one, and has gone up to the sequence.
    fn see(&mut self, stream: Uuid, sequence: u64) {
        if self.stream != stream {
            *self = Self { stream, ..Self::default() };
        }
        self.raise(sequence);
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<(Option<Known>, End)>);

impl Seen {
    /// The stream as it was last seen.
    pub(super) fn known(&self) -> Option<Known> {
        self.lock().0.clone()
    }

    /// It was looked at and is sound.
    pub(super) fn note(&self, known: &Known) {
        let mut seen = self.lock();
        seen.1.see(known.id, known.last);
        seen.0 = Some(known.clone());
    }

    /// It must be looked at before it is used again.
    pub(super) fn forget(&self) {
        self.lock().0 = None;
    }

    pub(super) fn end(&self) -> End {
        self.lock().1
    }

    /// The stream has that identity, and was moved up to the sequence.
    pub(super) fn see(&self, stream: Uuid, moved_to: u64) {
        self.lock().1.see(stream, moved_to);
    }

    /// The stream has, or has had, that sequence; nothing if another is in its place meanwhile.
    pub(super) fn raise(&self, stream: Uuid, sequence: u64) {
        let end = &mut self.lock().1;
        if end.stream == stream {
            end.raise(sequence);
        }
    }

    /// The stream has given a sequence twice, so it must be looked at.
    pub(super) fn note_lost(&self, stream: Uuid) {
        let mut seen = self.lock();
        seen.1.is_lost |= seen.1.stream == stream;
        seen.0 = None;
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Known>, End)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_below_the_greatest_sequence_is_lost() {
        let (seen, stream) = (Seen::default(), Uuid::new_v4());
        seen.see(stream, 7);
        seen.raise(stream, 9);
        seen.raise(stream, 8);
        seen.raise(Uuid::new_v4(), 20);
        assert!(!seen.end().is_lost(stream, 9));
        assert!(seen.end().is_lost(stream, 8));
        assert!(!seen.end().is_lost(Uuid::new_v4(), 8), "another stream");
    }

    #[test]
    fn a_sequence_that_is_given_twice_is_a_loss_until_the_identity_changes() {
        let (seen, stream, next) = (Seen::default(), Uuid::new_v4(), Uuid::new_v4());
        seen.see(stream, 9);
        assert!(seen.end().had(stream, 9));
        assert!(!seen.end().had(stream, 10) && !seen.end().had(next, 9));
        seen.note_lost(stream);
        seen.raise(stream, 12);
        assert!(seen.end().is_lost(stream, 12), "though the gap is filled");
        seen.see(next, 3);
        assert!(!seen.end().is_lost(next, 3) && !seen.end().had(next, 4));
    }
}
