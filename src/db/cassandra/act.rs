//! Writes that a caller who goes away does not interrupt.

use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout_at;

use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// How much later than its deadline a write is answered at most: one that gives up at its deadline
/// can then say that nothing has happened.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Runs a write in a task of its own, and answers by its deadline. A write is several statements, and
/// each may take the whole timeout of a statement, so their sum can be far above the deadline. What is
/// not done by then goes on in its task, as if the caller had gone away, and its outcome is unknown.
pub(super) async fn act<T: Send + 'static>(
    context: ActContext,
    work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> Result<T, StorageError> {
    let answered_by = context.deadline() + ANSWER_MARGIN;
    match timeout_at(answered_by, spawn(context, work)).await {
        Ok(ended) => ended.unwrap_or_else(panicked),
        Err(_) => {
            let text = "the cluster did not answer in time; the write may still be done";
            Err(StorageError::new(ErrorKind::Timeout, text))
        }
    }
}

/// The same without a deadline, for fixtures, loads and other long work.
pub(super) async fn act_to_end<T: Send + 'static>(
    context: ActContext,
    work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> Result<T, StorageError> {
    spawn(context, work).await.unwrap_or_else(panicked)
}

/// A write of several statements that is dropped halfway would leave the rest to recovery. The context,
/// and with it the permit, is held until the write has ended, so that the permits bound the writes and
/// not the connections.
fn spawn<T: Send + 'static>(
    context: ActContext,
    work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> JoinHandle<Result<T, StorageError>> {
    tokio::spawn(async move {
        let outcome = work.await;
        drop(context);
        outcome
    })
}

fn panicked<T>(error: JoinError) -> Result<T, StorageError> {
    Err(StorageError::with_source(ErrorKind::Internal, "a database task panicked", error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_write_is_answered_by_its_deadline_and_goes_on() {
        let (done, begun) = (Arc::new(Notify::new()), Instant::now());
        let (context, tell) = (ActContext::new().with_timeout(Duration::ZERO), Arc::clone(&done));
        let slow = act(context, async move {
            tokio::time::sleep(3 * ANSWER_MARGIN).await;
            tell.notify_one();
            Ok(())
        });
        assert_eq!(slow.await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(begun.elapsed() < 2 * ANSWER_MARGIN, "{:?}", begun.elapsed());
        done.notified().await;
    }

    #[tokio::test]
    async fn a_write_that_ends_in_time_is_answered_by_its_outcome() {
        let context = ActContext::new;
        assert_eq!(act(context(), async { Ok(7) }).await.unwrap(), 7);
        let failed = act(context(), async { Err::<(), _>(conflict()) }).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Conflict);
        let late = act_to_end(context().with_timeout(Duration::ZERO), async { Ok(8) });
        assert_eq!(late.await.unwrap(), 8);
    }

    fn conflict() -> StorageError {
        StorageError::new(ErrorKind::Conflict, "others were faster")
    }
}
