//! The ids that the store assigns.
//!
//! One task takes ids from the counter for all creates that wait, in one LWT: a block is as long as
//! the queue. So a quiet shop has consecutive ids, a busy one pays for one LWT where there were
//! dozens, and no id is ever held in stock.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::id_claims::{ClaimTtl, IdClaims};
use crate::db::cassandra::metadata::{ID_LIMIT, MetadataTable};
use crate::db::storage::{ErrorKind, StorageError};

/// Creates that may wait; more wait to be let in.
const QUEUE: usize = 4_096;
/// The longest block.
const BATCH: usize = 1_000;

type Pending = oneshot::Sender<Result<Option<i32>, StorageError>>;

pub(super) struct IdBatcher {
    queue: mpsc::Sender<Pending>,
}

impl IdBatcher {
    /// Starts the task; it ends when this value is dropped.
    pub(super) fn start(metadata: Arc<MetadataTable>, claims: Arc<IdClaims>) -> Self {
        let (queue, pending) = mpsc::channel(QUEUE);
        tokio::spawn(run(metadata, claims, pending));
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

async fn run(
    metadata: Arc<MetadataTable>,
    claims: Arc<IdClaims>,
    mut queue: mpsc::Receiver<Pending>,
) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        assign(reserve(&metadata, &claims, batch.len() as i64).await, batch.drain(..));
    }
}

async fn reserve(
    metadata: &MetadataTable,
    claims: &IdClaims,
    count: i64,
) -> Result<Range<i64>, StorageError> {
    let ids = match metadata.take(count).await {
        // Perhaps they were taken, and are lost; the counter tells which are next.
        Err(error) if error.kind() == ErrorKind::Timeout => metadata.take(count).await?,
        ids => ids?,
    };
    claims.claim(ids.clone(), ClaimTtl::OneHour).await?;
    Ok(ids)
}

/// Tells everybody who waits. An id whose create is gone is lost.
fn assign(ids: Result<Range<i64>, StorageError>, batch: impl Iterator<Item = Pending>) {
    match ids {
        Ok(mut ids) => {
            for pending in batch {
                let id = ids.next().and_then(|id| i32::try_from(id).ok());
                drop(pending.send(Ok(id)));
            }
        }
        Err(error) => {
            // No game has been created yet: that much is known.
            let kind = if error.kind() == ErrorKind::Timeout {
                ErrorKind::Unavailable
            } else {
                error.kind()
            };
            for pending in batch {
                drop(pending.send(Err(StorageError::new(kind, error.to_string()))));
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
            return Ok(ID_LIMIT);
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
        assert_eq!(behind(2_000_000_000..ID_LIMIT).await, ID_LIMIT);
        assert_eq!(behind(ID_LIMIT - 1..ID_LIMIT).await, ID_LIMIT);
    }
}
