//! Telling requests that wait for a message that it has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::model::MessageId;

/// Who waits for which message in this program.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    waiting: Mutex<HashMap<MessageId, Arc<Notify>>>,
}

/// A wait for one message, which ends with the value.
pub(super) struct Waiter<'a> {
    outcomes: &'a Outcomes,
    id: MessageId,
    ended: Arc<Notify>,
}

impl Outcomes {
    /// Begins to wait for a message. Another wait for the same message takes its place; that one
    /// notices by asking the store.
    pub(super) fn wait_for(&self, id: MessageId) -> Waiter<'_> {
        let ended = Arc::new(Notify::new());
        self.lock().insert(id, Arc::clone(&ended));
        Waiter { outcomes: self, id, ended }
    }

    /// These messages have ended.
    pub(super) fn publish(&self, ids: impl Iterator<Item = MessageId>) {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        for id in ids {
            if let Some(ended) = waiting.remove(&id) {
                // Kept for a waiter that does not wait yet.
                ended.notify_one();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageId, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Waits until the message has ended in this program.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.outcomes.lock();
        if waiting.get(&self.id).is_some_and(|known| Arc::ptr_eq(known, &self.ended)) {
            waiting.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_waiter_hears_of_its_message_also_before_it_waits() {
        let outcomes = Outcomes::default();
        let (id, other) = (MessageId::new(), MessageId::new());
        let waiter = outcomes.wait_for(id);
        outcomes.publish([other].into_iter());
        let limit = Duration::from_millis(20);
        assert!(tokio::time::timeout(limit, waiter.ended()).await.is_err());
        outcomes.publish([id].into_iter());
        waiter.ended().await;
        drop(waiter);
        assert!(outcomes.lock().is_empty());
    }
}
