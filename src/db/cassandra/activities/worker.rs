//! The worker: takes messages from the log and applies them, step by step.
//!
//! A step is a group of messages. Its effects are decided ([`super::planner`]), recorded under the lease
//! ([`super::worker_table`]) and then written; what is recorded is written whatever happens to the
//! worker, by the next one if need be.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::index::List;
use super::planner::{Planner, Tables};
use super::redo::{Ended, Outcome, Redo};
use super::store::Store;
use super::worker_table::EndedTo;
use crate::activities::model::{MessageId, Rejection};
use crate::db::storage::{Applied, ErrorKind, QueuedMessage, StorageError, WorkerLease};

/// How often the end of the log is read while there is nothing to do.
const POLL: Duration = Duration::from_millis(75);
/// Messages whose final states are written at once.
const CONCURRENCY: usize = 32;

pub(super) struct Worker {
    store: Arc<Store>,
    state: Mutex<Option<State>>,
    /// The position after the last entry that was read. It only tells when to wait.
    seen_to: AtomicI64,
}

/// What a worker knows under its lease. It is right because no other worker changes it meanwhile: if one
/// has, the lease is lost and the next step is not recorded.
struct State {
    lease: WorkerLease,
    /// The last step, all written.
    step: i64,
    ended: EndedTo,
    tables: Tables,
    /// Messages that were handed out and have not ended: no message is handed out at two positions.
    offered: HashMap<MessageId, i64>,
}

/// The parts of a step, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Rows are removed and added. Those that are added cannot be seen yet.
    Rows,
    /// The catalogue changes, and with it new rows are seen, at once.
    Tables,
    /// The rows of dropped tables, which cannot be seen any more, are removed.
    Dropped,
    /// The lists of messages change.
    Lists,
    /// The messages get their final states.
    Messages,
}

impl Part {
    pub(super) const ALL: [Self; 5] =
        [Self::Rows, Self::Tables, Self::Dropped, Self::Lists, Self::Messages];
}

impl Worker {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store), state: Mutex::new(None), seen_to: AtomicI64::new(0) }
    }

    /// The state under a lease, loaded if need be; a step that another worker left is written first.
    /// `None` if the lease is lost.
    async fn state(
        &self,
        lease: WorkerLease,
    ) -> Result<Option<MutexGuard<'_, Option<State>>>, StorageError> {
        let mut guard = self.state.lock().await;
        if guard.as_ref().is_none_or(|state| state.lease != lease) {
            *guard = None;
            *guard = self.load(lease).await?;
        }
        Ok(guard.is_some().then_some(guard))
    }

    async fn load(&self, lease: WorkerLease) -> Result<Option<State>, StorageError> {
        let Store { worker_table, tables_table, .. } = &*self.store;
        let record = worker_table.read().await?;
        if record.token != lease.token {
            return Ok(None);
        }
        let (step, mut ended) = (record.step, record.ended());
        if let Some(redo) = record.redo()? {
            tracing::info!(
                step,
                messages = redo.ended.len(),
                "completing a step of another worker"
            );
            self.write(step, &redo).await?;
            add(&mut ended, &redo);
            if !worker_table.finish(lease, step, &ended).await? {
                return Ok(None);
            }
        }
        let tables = Tables::new(&tables_table.all().await?)?;
        Ok(Some(State { lease, step, ended, tables, offered: HashMap::new() }))
    }

    /// The first `limit` queued messages.
    pub(super) async fn next(
        &self,
        lease: WorkerLease,
        limit: usize,
    ) -> Result<Vec<QueuedMessage>, StorageError> {
        let Some(mut guard) = self.state(lease).await? else { return Ok(Vec::new()) };
        let Some(state) = guard.as_mut() else { return Ok(Vec::new()) };
        let (mut messages, mut passed) = (Vec::new(), Vec::new());
        let mut from = state.ended.position;
        while messages.len() < limit {
            let mut entries = self.store.log.read(from, limit).await?;
            let Some(last) = entries.last() else { break };
            from = last.position + 1;
            entries.retain(|entry| !state.ended.contains(entry.position));
            let rows = self.store.messages.find_all(entries.iter().map(|entry| entry.id)).await?;
            for (entry, row) in entries.into_iter().zip(rows) {
                let body =
                    row.as_ref().filter(|row| !row.has_ended()).and_then(|row| row.body.as_deref());
                let Some(body) = body else {
                    // The message was appended twice, after a crash, and has ended.
                    passed.push(entry);
                    continue;
                };
                if messages.len() == limit
                    || *state.offered.entry(entry.id).or_insert(entry.position) != entry.position
                {
                    continue;
                }
                messages.push(QueuedMessage {
                    position: entry.position,
                    id: entry.id,
                    body: body.into(),
                    received_at: super::messages::timestamp(entry.id.made_at()),
                    attempts: row.as_ref().map_or(0, |row| row.attempts()),
                });
            }
        }
        self.seen_to.store(from, Ordering::Relaxed);
        if !passed.is_empty() {
            for entry in passed {
                state.ended.add(entry.position, entry.length.into());
            }
            let (step, ended) = (state.step, state.ended.clone());
            if !self.store.worker_table.finish(lease, step, &ended).await? {
                *guard = None;
                return Ok(Vec::new());
            }
        }
        Ok(messages)
    }

    /// Waits until the log may have more than was read last.
    pub(super) async fn wait(&self, at_most: Duration) {
        let (log, deadline) = (&self.store.log, Instant::now() + at_most);
        let seen_to = self.seen_to.load(Ordering::Relaxed);
        while Instant::now() < deadline {
            let appended = log.appended.notified();
            if log.known_end() > seen_to {
                return;
            }
            // A read that fails tells nothing: the next one may.
            let read = timeout_at(deadline, log.end(false)).await;
            if matches!(read, Ok(Ok(end)) if end.position > seen_to) {
                return;
            }
            tokio::select! {
                () = appended => {}
                () = sleep_until(deadline.min(Instant::now() + POLL)) => {}
            }
        }
    }

    /// Applies messages, or rejects those that have a rejection beside them.
    pub(super) async fn apply(
        &self,
        lease: WorkerLease,
        messages: &[(QueuedMessage, Option<Rejection>)],
    ) -> Result<Applied, StorageError> {
        let Some(mut guard) = self.state(lease).await? else { return Ok(Applied::LeaseLost) };
        let mut outcomes = Vec::with_capacity(messages.len());
        while outcomes.len() < messages.len() {
            // Out of its place until the step is written: after an error it is read again.
            let Some(mut state) = guard.take() else { break };
            let known = outcomes.len();
            let redo = self.decide(&mut state, messages, &mut outcomes).await?;
            let Some(redo) = redo else {
                *guard = Some(state);
                continue;
            };
            if !self.store.worker_table.begin(lease, state.step + 1, &redo).await? {
                outcomes.truncate(known);
                return Ok(match known {
                    0 => Applied::LeaseLost,
                    _ => Applied::Outcomes(outcomes),
                });
            }
            state.step += 1;
            self.complete(&mut state, &redo).await?;
            *guard = Some(state);
        }
        Ok(Applied::Outcomes(outcomes))
    }

    /// Decides the next step, from the message after those that have an outcome on; `None` if the rest has
    /// ended before.
    async fn decide(
        &self,
        state: &mut State,
        messages: &[(QueuedMessage, Option<Rejection>)],
        outcomes: &mut Vec<Option<Rejection>>,
    ) -> Result<Option<Redo>, StorageError> {
        let State { step, ended, tables, offered, .. } = state;
        let mut planner = Planner::new(&self.store.rows, tables, *step + 1);
        while let Some((message, rejection)) = messages.get(outcomes.len())
            && !planner.is_full()
        {
            let is_over = planner.has(message)
                || ended.contains(message.position)
                || (offered.get(&message.id) != Some(&message.position)
                    && self.has_ended(message.id).await?);
            outcomes.push(match is_over {
                true => None,
                false => planner.add(message, rejection.clone()).await?,
            });
        }
        Ok((!planner.is_empty()).then(|| planner.finish()))
    }

    async fn has_ended(&self, id: MessageId) -> Result<bool, StorageError> {
        let found = self.store.messages.find(id, false).await?;
        Ok(found.is_none_or(|row| row.has_ended()))
    }

    /// Writes a step that is recorded, and records that it is written.
    async fn complete(&self, state: &mut State, redo: &Redo) -> Result<(), StorageError> {
        self.write(state.step, redo).await?;
        add(&mut state.ended, redo);
        for ended in &redo.ended {
            state.offered.remove(&ended.id);
        }
        if self.store.worker_table.finish(state.lease, state.step, &state.ended).await? {
            return Ok(());
        }
        let text = "another worker has taken over; it completes what was begun";
        Err(StorageError::new(ErrorKind::Conflict, text))
    }

    /// Writes a step. May be repeated at any time, also by a worker that has lost its lease.
    async fn write(&self, step: i64, redo: &Redo) -> Result<(), StorageError> {
        for part in Part::ALL {
            self.write_part(part, step, redo).await?;
        }
        Ok(())
    }

    pub(super) async fn write_part(
        &self,
        part: Part,
        step: i64,
        redo: &Redo,
    ) -> Result<(), StorageError> {
        let Store { rows, tables_table, messages, .. } = &*self.store;
        match part {
            Part::Rows => rows.write(step, redo).await,
            Part::Tables => tables_table.write(step, redo).await,
            Part::Dropped => rows.drop_tables(step, redo).await,
            Part::Lists => each(redo.ended.iter().map(|ended| self.list(step, ended))).await,
            Part::Messages => each(redo.ended.iter().map(|ended| messages.end(step, ended))).await,
        }
    }

    async fn list(&self, step: i64, ended: &Ended) -> Result<(), StorageError> {
        let (index, id) = (&self.store.index, ended.id);
        match &ended.outcome {
            Outcome::Applied => index.put(List::All, id, Some("applied"), None, step).await,
            Outcome::Rejected { cause, .. } => {
                index.put(List::All, id, Some("rejected"), None, step).await?;
                index.put(List::Rejected, id, Some("rejected"), Some(cause), step).await
            }
        }
    }

    /// Counts an attempt to apply a message alone; `None` if the lease is lost.
    pub(super) async fn note_attempt(
        &self,
        lease: WorkerLease,
        id: MessageId,
    ) -> Result<Option<u32>, StorageError> {
        while self.store.worker_table.renew(lease).await? {
            if let Some(attempts) = self.store.messages.count_attempt(id).await? {
                return Ok(Some(attempts));
            }
        }
        Ok(None)
    }

    #[cfg(test)]
    pub(super) async fn begin_step(
        &self,
        lease: WorkerLease,
        messages: &[(QueuedMessage, Option<Rejection>)],
    ) -> Option<(i64, Redo)> {
        let mut guard = self.state(lease).await.unwrap()?;
        let mut state = guard.take()?;
        let redo = self.decide(&mut state, messages, &mut Vec::new()).await.unwrap()?;
        let step = state.step + 1;
        self.store.worker_table.begin(lease, step, &redo).await.unwrap().then_some((step, redo))
    }
}

/// Notes the messages that a step has ended.
fn add(ended: &mut EndedTo, redo: &Redo) {
    for message in &redo.ended {
        ended.add(message.position, message.length);
    }
}

/// Runs writes, so many at once.
async fn each<F>(writes: impl Iterator<Item = F>) -> Result<(), StorageError>
where
    F: Future<Output = Result<(), StorageError>>,
{
    let writes: Vec<_> = writes.collect();
    stream::iter(writes).buffer_unordered(CONCURRENCY).try_for_each(async |()| Ok(())).await
}
