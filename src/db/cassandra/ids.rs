//! The ids that the store assigns.
//!
//! One task takes ids from the counter for all creates that wait, in one LWT: a block is as long as
//! the queue. So a quiet shop has consecutive ids, a busy one pays for one LWT where there were
//! dozens, and no id is ever held in stock.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::id_claims::{ClaimTtl, Claims};
use super::metadata::{IDS, Metadata};
use crate::db::storage::{ErrorKind, StorageError};

/// Creates that may wait; more wait to be let in.
const QUEUE: usize = 4_096;
/// The longest block.
const BLOCK: usize = 1_000;

type Waiting = oneshot::Sender<Result<Option<i32>, StorageError>>;

pub(super) struct Ids {
    queue: mpsc::Sender<Waiting>,
}

impl Ids {
    /// Starts the task; it ends when this value is dropped.
    pub(super) fn start(store: Arc<Metadata>, claims: Arc<Claims>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(assign(store, claims, waiting));
        Self { queue }
    }

    /// The next id, or `None` when there is none left.
    pub(super) async fn next(&self) -> Result<Option<i32>, StorageError> {
        let (answer, assigned) = oneshot::channel();
        self.queue.send(answer).await.map_err(|_| stopped())?;
        assigned.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the task that assigns ids has stopped")
}

async fn assign(store: Arc<Metadata>, claims: Arc<Claims>, mut queue: mpsc::Receiver<Waiting>) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, BLOCK).await > 0 {
        hand_out(take(&store, &claims, group.len() as i64).await, group.drain(..));
    }
}

async fn take(store: &Metadata, claims: &Claims, count: i64) -> Result<Range<i64>, StorageError> {
    let ids = match store.take(count).await {
        // Perhaps they were taken, and are lost; the counter tells which are next.
        Err(error) if error.kind() == ErrorKind::Timeout => store.take(count).await?,
        ids => ids?,
    };
    claims.note(ids.clone(), ClaimTtl::AnHour).await?;
    Ok(ids)
}

/// Tells everybody who waits. An id whose create is gone is lost.
fn hand_out(ids: Result<Range<i64>, StorageError>, group: impl Iterator<Item = Waiting>) {
    match ids {
        Ok(mut ids) => {
            for waiting in group {
                let id = ids.next().and_then(|id| i32::try_from(id).ok());
                drop(waiting.send(Ok(id)));
            }
        }
        Err(error) => {
            // No game has been created yet: that much is known.
            let kind = if error.kind() == ErrorKind::Timeout {
                ErrorKind::Unavailable
            } else {
                error.kind()
            };
            for waiting in group {
                drop(waiting.send(Err(StorageError::new(kind, error.to_string()))));
            }
        }
    }
}

/// The first free id behind the run of taken ids that `from` is in, found in as many steps as the
/// run's length has binary digits: millions of games may have been created under ids of their own.
/// Free ids on the way may be passed over.
pub(super) async fn next_free_id<F>(
    from: i32,
    is_taken: impl Fn(i32) -> F,
) -> Result<i64, StorageError>
where
    F: Future<Output = Result<bool, StorageError>>,
{
    let (mut taken, mut stride) = (from, 1);
    let mut free = loop {
        let id = taken.saturating_add(stride);
        if id == taken {
            return Ok(IDS);
        }
        if !is_taken(id).await? {
            break id;
        }
        (taken, stride) = (id, stride.saturating_mul(2));
    };
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        *(if is_taken(middle).await? { &mut taken } else { &mut free }) = middle;
    }
    Ok(i64::from(free))
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    async fn behind(taken: Range<i64>) -> i64 {
        let from = i32::try_from(taken.start).unwrap();
        next_free_id(from, |id| ready(Ok(taken.contains(&i64::from(id))))).await.unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_run_is_found() {
        for length in [1, 2, 3, 31, 32, 33, 1_000_000] {
            assert_eq!(behind(7..7 + length).await, 7 + length);
        }
    }

    #[tokio::test]
    async fn a_run_may_reach_the_last_id() {
        assert_eq!(behind(2_000_000_000..IDS).await, IDS);
        assert_eq!(behind(IDS - 1..IDS).await, IDS);
    }
}
