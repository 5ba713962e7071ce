//! Moving messages of a stream outside of the store into the log.
//!
//! Up to where the stream was moved stands in the partition of the log's last segment, and the LWT that
//! appends changes both. It is conditional on the end of the log, which every append changes, so it fails
//! if another server has moved messages meanwhile. Therefore no step of the worker has to record it: the
//! append is done or not, and the texts that are stored before it may be stored again.

use futures::future::try_join_all;
use uuid::Uuid;

use super::index::List;
use super::log::End;
use super::store::Store;
use crate::activities::model::MessageId;
use crate::db::storage::{ErrorKind, StorageError, TransferredMessage};

/// Messages in one LWT.
const GROUP: usize = 500;

/// Up to which sequence a stream was moved.
pub(super) async fn position(store: &Store, stream: Uuid) -> Result<u64, StorageError> {
    Ok(moved(store.log.end(false).await?, stream).cast_unsigned())
}

/// The stream of which messages were moved last, if there is one.
pub(super) async fn streams(store: &Store) -> Result<Vec<Uuid>, StorageError> {
    let end = store.log.end(false).await?;
    Ok(end.moved.map(|(stream, _)| stream).into_iter().collect())
}

/// Queues the messages if the stream was moved up to `from`; then it is moved up to `to`.
pub(super) async fn transfer(
    store: &Store,
    stream: Uuid,
    (from, to): (u64, u64),
    messages: &[TransferredMessage],
) -> Result<bool, StorageError> {
    let texts = messages
        .iter()
        .map(|TransferredMessage { message, .. }| store.put(message.id, &message.body, None));
    try_join_all(texts).await?;
    let (mut from, to) = (from.cast_signed(), to.cast_signed());
    let mut left = messages;
    loop {
        let end = store.log.end(true).await?;
        if moved(end, stream) != from {
            return Ok(false);
        }
        warn_of_another(end, stream);
        let (group, rest) = left.split_at(left.len().min(GROUP).min(store.log.room(end)));
        // The last group is moved with what follows it in the stream and is no message.
        let up_to = match group.last() {
            Some(last) if !rest.is_empty() => last.sequence.cast_signed(),
            _ => to,
        };
        if !append(store, end, group, (stream, up_to)).await? {
            // Others have appended; whether they moved messages is seen at the next read of the end.
            continue;
        }
        if rest.is_empty() {
            return Ok(true);
        }
        (from, left) = (up_to, rest);
    }
}

/// Appends a group; false if others have appended.
async fn append(
    store: &Store,
    end: End,
    group: &[TransferredMessage],
    moved: (Uuid, i64),
) -> Result<bool, StorageError> {
    let entry =
        |TransferredMessage { message, .. }: &TransferredMessage| (message.id, message.body.len());
    let entries: Vec<(MessageId, usize)> = group.iter().map(entry).collect();
    let appended = store.log.append_moved(end, &entries, Some(moved)).await;
    match appended {
        // The end that is read next tells whether it was appended.
        Err(error) if error.kind() == ErrorKind::Timeout => return Err(error),
        appended => {
            if appended?.is_none() {
                return Ok(false);
            }
        }
    }
    // The worker lists them too, so a failure delays this only.
    let listed = entries.iter().map(|(id, _)| store.index.put(List::All, *id, None, None, 1));
    if let Err(error) = try_join_all(listed).await {
        tracing::warn!(%error, "moved messages are not listed before they are applied");
    }
    Ok(true)
}

/// The log has one position only: with two streams in turn both are moved from their beginnings.
fn warn_of_another(end: End, stream: Uuid) {
    if let Some((other, sequence)) = end.moved.filter(|(other, _)| *other != stream) {
        tracing::warn!(
            %stream, %other, moved_to = sequence,
            "another stream is moved into the store than before: if that was not intended, give all \
             programs of the store the same --queue"
        );
    }
}

fn moved(end: End, stream: Uuid) -> i64 {
    end.moved.filter(|(id, _)| *id == stream).map_or(0, |(_, sequence)| sequence)
}
