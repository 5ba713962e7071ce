//! Appends messages to the log, those that wait in one group: a LWT costs the same for one as for many.

use std::sync::Arc;

use super::log::{End, Log};
use crate::activities::model::MessageId;
use crate::db::common::batcher::{Batches, Pending, Queue, queue, refuse_expired};
use crate::db::common::retry::Backoff;
use crate::db::storage::{ActContext, ErrorKind, StorageError};
use crate::telemetry::Registry;
use std::time::Duration;

/// Messages that may wait; more are refused at once, before memory grows.
const QUEUE: usize = 4_096;
/// Messages in one group.
const GROUP: usize = 500;
/// How often it is asked what became of an append whose answer was lost.
const RESOLVE_TRIES: usize = 20;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

/// A message to append: its id and the length of its text.
type Request = Pending<(MessageId, usize), ()>;

pub(super) struct Appender {
    queue: Queue<Request>,
}

impl Appender {
    /// Starts the task; it ends when this value is dropped.
    pub(super) fn start(log: Arc<Log>, registry: &Registry) -> Self {
        let (queue, mut batches) = queue(QUEUE);
        let work = async move || run(&log, &mut batches).await;
        tokio::spawn(registry.supervisor().supervise("queue of activities", work));
        Self { queue }
    }

    /// Appends a message whose text is stored. On an error of the kind [`ErrorKind::Timeout`] it may have
    /// been appended; on any other it was not.
    pub(super) async fn append(
        &self,
        context: ActContext,
        id: MessageId,
        length: usize,
    ) -> Result<(), StorageError> {
        self.queue.submit(context, (id, length)).await
    }
}

async fn run(log: &Log, batches: &mut Batches<Request>) {
    let mut end = None;
    while let Some(mut batch) = batches.next(GROUP).await {
        let mut backoff = BACKOFF;
        while !batch.is_empty() {
            match round(log, end, &mut batch).await {
                Ok(new) => end = Some(new),
                Err(Failure::Outdated) => {
                    end = None;
                    backoff.wait().await;
                }
                Err(Failure::Not(error)) => {
                    end = None;
                    batch.drain(..).for_each(|pending| pending.answer(Err(error.shared())));
                }
                Err(Failure::Unknown(count, error)) => {
                    end = None;
                    batch.drain(..count).for_each(|pending| pending.answer(Err(error.shared())));
                }
            }
            refuse_expired(&mut batch);
        }
    }
}

enum Failure {
    /// Others have appended; nothing of the batch was.
    Outdated,
    /// Nothing of the batch was appended.
    Not(StorageError),
    /// So many may have been appended.
    Unknown(usize, StorageError),
}

/// Appends what fits into the segment, and answers it; the new end of the log.
async fn round(log: &Log, end: Option<End>, batch: &mut Vec<Request>) -> Result<End, Failure> {
    let end = match end {
        Some(end) => end,
        None => log.end(true).await.map_err(|error| Failure::Not(unavailable(error)))?,
    };
    let count = log.room(end).min(batch.len());
    let messages: Vec<_> = batch[..count].iter().map(|pending| pending.request).collect();
    let new = match log.append(end, &messages).await {
        Ok(Some(new)) => new,
        Ok(None) => return Err(Failure::Outdated),
        Err(error) if error.kind() == ErrorKind::Timeout => {
            resolve(log, end, &messages, error).await?
        }
        Err(error) => return Err(Failure::Not(error)),
    };
    batch.drain(..count).for_each(|pending| pending.answer(Ok(())));
    Ok(new)
}

/// What became of an append whose answer was lost. It is all or nothing, and what a SERIAL read does not
/// see is not appended later either.
async fn resolve(
    log: &Log,
    end: End,
    messages: &[(MessageId, usize)],
    mut error: StorageError,
) -> Result<End, Failure> {
    let mut backoff = BACKOFF;
    for _ in 0..RESOLVE_TRIES {
        match log.settled_entry(end.position).await {
            Ok(Some(entry)) if entry.id == messages[0].0 => {
                let new = end.after(messages.iter().map(|(_, length)| *length));
                log.know(new.position);
                log.appended.notify_waiters();
                return Ok(new);
            }
            Ok(_) => return Err(Failure::Outdated),
            Err(failed) => error = failed,
        }
        backoff.wait().await;
    }
    let text = "whether the message was queued is unknown";
    let error = StorageError::with_source(ErrorKind::Timeout, text, error);
    Err(Failure::Unknown(messages.len(), error))
}

/// A read has failed: nothing was changed.
fn unavailable(error: StorageError) -> StorageError {
    let kind = match error.kind() {
        ErrorKind::Timeout => ErrorKind::Unavailable,
        kind => kind,
    };
    StorageError::with_source(kind, "the queue cannot be read", error)
}
