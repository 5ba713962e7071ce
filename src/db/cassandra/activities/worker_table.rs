//! The worker's row: who works, the step that is under way, and how far the queue has ended.
//!
//! All of it is one row that only conditional writes change. So a worker cannot record a step without
//! holding the lease at that very moment: this is the fence, see [`super`].

use std::sync::Arc;

use scylla::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::redo::Redo;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::error::shape;
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::query_result::optional_row;
use crate::db::common::retry::{Backoff, is_transient};
use crate::db::storage::{ErrorKind, StorageError, WorkerLease, WorkerRecord};
use std::time::Duration;

const READ: &str = "SELECT lease_token, renewal, owner, step, redo, ended_to, ended_beyond, ended_bytes, \
                    kept_from FROM $.activity_worker WHERE name = 'worker'";
const READ_LEASE: &str =
    "SELECT lease_token, renewal, owner FROM $.activity_worker WHERE name = 'worker'";
const READ_ENDED: &str = "SELECT ended_to, ended_beyond, ended_bytes FROM $.activity_worker \
                          WHERE name = 'worker'";
const TAKE_OVER: &str = "UPDATE $.activity_worker SET lease_token = ?, renewal = ?, owner = ? \
                         WHERE name = 'worker' IF lease_token = ? AND renewal = ? AND owner = ?";
const RENEW: &str =
    "UPDATE $.activity_worker SET renewal = ? WHERE name = 'worker' IF lease_token = ?";
/// A worker with a step under way does not end in order.
const RELEASE: &str = "UPDATE $.activity_worker SET owner = null, renewal = ? \
                       WHERE name = 'worker' IF lease_token = ? AND redo = null";
const BEGIN: &str = "UPDATE $.activity_worker SET step = ?, redo = ? \
                     WHERE name = 'worker' IF lease_token = ? AND step = ? AND redo = null";
const FINISH: &str = "UPDATE $.activity_worker SET redo = null, ended_to = ?, ended_beyond = ?, \
                      ended_bytes = ? WHERE name = 'worker' IF lease_token = ? AND step = ?";
const KEEP_FROM: &str =
    "UPDATE $.activity_worker SET kept_from = ? WHERE name = 'worker' IF lease_token = ?";
/// How often a write is tried whose outcome is unknown.
const TRIES: usize = 20;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

pub(super) struct WorkerTable {
    cluster: Arc<Cluster>,
    read: PreparedStatement,
    read_lease: PreparedStatement,
    read_ended: PreparedStatement,
    take_over: PreparedStatement,
    renew: PreparedStatement,
    release: PreparedStatement,
    begin: PreparedStatement,
    finish: PreparedStatement,
    keep_from: PreparedStatement,
}

/// The whole row.
#[derive(Debug, DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct Record {
    pub(super) token: i64,
    renewal: i64,
    owner: Option<String>,
    /// The number of the last step that was begun.
    pub(super) step: i64,
    redo: Option<String>,
    ended_to: i64,
    ended_beyond: Option<Vec<i64>>,
    ended_bytes: i64,
    /// The first segment of the log whose entries are kept.
    pub(super) kept_from: i64,
}

/// Which messages have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EndedTo {
    /// The first position whose message has not.
    pub(super) position: i64,
    /// Those after it whose messages have, ascending.
    pub(super) beyond: Vec<i64>,
    /// Bytes of the texts of all that have.
    pub(super) bytes: i64,
}

impl EndedTo {
    pub(super) fn contains(&self, position: i64) -> bool {
        position < self.position || self.beyond.binary_search(&position).is_ok()
    }

    /// How many messages have ended.
    pub(super) const fn count(&self) -> i64 {
        self.position + self.beyond.len() as i64
    }

    /// Notes that a message has ended, once.
    pub(super) fn add(&mut self, position: i64, length: i64) {
        if position < self.position {
            return;
        }
        let Err(place) = self.beyond.binary_search(&position) else { return };
        self.beyond.insert(place, position);
        self.bytes += length;
        let gone = (self.position..).zip(&self.beyond).take_while(|(a, b)| a == *b).count();
        self.beyond.drain(..gone);
        self.position += gone as i64;
    }
}

impl Record {
    pub(super) fn worker(&self) -> WorkerRecord {
        let Self { token, renewal, owner, .. } = self;
        WorkerRecord { token: *token, renewal: *renewal, owner: owner.clone() }
    }

    pub(super) fn ended(&self) -> EndedTo {
        EndedTo {
            position: self.ended_to,
            beyond: self.ended_beyond.clone().unwrap_or_default(),
            bytes: self.ended_bytes,
        }
    }

    /// The step that is not all written, if there is one.
    pub(super) fn redo(&self) -> Result<Option<Redo>, StorageError> {
        self.redo.as_deref().map(|text| serde_json::from_str(text).map_err(shape)).transpose()
    }
}

impl WorkerTable {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        use StatementKind::{Conditional, SerialRead};
        Ok(Self {
            cluster: Arc::clone(cluster),
            read: cluster.prepare(READ, SerialRead).await?,
            read_lease: cluster.prepare(READ_LEASE, SerialRead).await?,
            read_ended: cluster.prepare(READ_ENDED, StatementKind::Scan).await?,
            take_over: cluster.prepare(TAKE_OVER, Conditional).await?,
            renew: cluster.prepare(RENEW, Conditional).await?,
            release: cluster.prepare(RELEASE, Conditional).await?,
            begin: cluster.prepare(BEGIN, Conditional).await?,
            finish: cluster.prepare(FINISH, Conditional).await?,
            keep_from: cluster.prepare(KEEP_FROM, Conditional).await?,
        })
    }

    /// The whole row, linearizable.
    pub(super) async fn read(&self) -> Result<Record, StorageError> {
        let found = self.cluster.execute(&self.read, ()).await?;
        optional_row(found)?.ok_or_else(no_row)
    }

    /// Who works, linearizable.
    pub(super) async fn lease(&self) -> Result<WorkerRecord, StorageError> {
        let found = self.cluster.execute(&self.read_lease, ()).await?;
        let (token, renewal, owner) = optional_row(found)?.ok_or_else(no_row)?;
        Ok(WorkerRecord { token, renewal, owner })
    }

    /// Which messages have ended, at least.
    pub(super) async fn ended(&self) -> Result<EndedTo, StorageError> {
        let found = self.cluster.execute(&self.read_ended, ()).await?;
        let (position, beyond, bytes): (i64, Option<Vec<i64>>, i64) =
            optional_row(found)?.ok_or_else(no_row)?;
        Ok(EndedTo { position, beyond: beyond.unwrap_or_default(), bytes })
    }

    /// Makes `owner` the worker if the row still names the one that was seen.
    pub(super) async fn take_over(
        &self,
        seen: &WorkerRecord,
        owner: &str,
    ) -> Result<Option<WorkerLease>, StorageError> {
        let (token, renewal) = (seen.token + 1, new_renewal());
        let values = (token, renewal, owner, seen.token, seen.renewal, seen.owner.as_deref());
        let written = self.cluster.execute(&self.take_over, values).await.and_then(applied);
        let taken = match written {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                let now = self.settled().await?;
                now.token == token && now.renewal == renewal
            }
            written => written?,
        };
        Ok(taken.then_some(WorkerLease { token }))
    }

    /// Changes the renewal; whether the lease is held.
    pub(super) async fn renew(&self, lease: WorkerLease) -> Result<bool, StorageError> {
        let written = self.cluster.execute(&self.renew, (new_renewal(), lease.token)).await;
        match written.and_then(applied) {
            // Whether it was renewed does not matter, if the lease is held.
            Err(error) if error.kind() == ErrorKind::Timeout => {
                Ok(self.settled().await?.token == lease.token)
            }
            written => written,
        }
    }

    /// Ends the lease, unless a step is under way or another has it.
    pub(super) async fn release(&self, lease: WorkerLease) -> Result<(), StorageError> {
        self.cluster.execute(&self.release, (new_renewal(), lease.token)).await.map(drop)
    }

    /// Records a step behind the one before; false if the lease is lost. An error of the kind
    /// [`ErrorKind::Timeout`] leaves open whether it was.
    pub(super) async fn begin(
        &self,
        lease: WorkerLease,
        step: i64,
        redo: &Redo,
    ) -> Result<bool, StorageError> {
        let text = serde_json::to_string(redo).map_err(shape)?;
        let values = (step, text.as_str(), lease.token, step - 1);
        let written = self.cluster.execute(&self.begin, values).await.and_then(applied);
        match written {
            Ok(true) => Ok(true),
            Err(error) if error.kind() != ErrorKind::Timeout => Err(error),
            unknown => {
                let now = self.settled_record().await?;
                let is_ours = now.token == lease.token;
                // Not the number alone: an earlier record under it, whose outcome was unknown, may arrive
                // late and take the place of this one.
                let is_this = now.redo.as_deref() == Some(text.as_str());
                match unknown {
                    _ if is_ours && now.step == step && is_this => Ok(true),
                    Err(error) => Err(error),
                    Ok(_) if is_ours => Err(outdated()),
                    Ok(_) => Ok(false),
                }
            }
        }
    }

    /// Records that a step is all written; false if the lease is lost: then the next worker writes it
    /// again.
    pub(super) async fn finish(
        &self,
        lease: WorkerLease,
        step: i64,
        ended: &EndedTo,
    ) -> Result<bool, StorageError> {
        let EndedTo { position, beyond, bytes } = ended;
        let mut backoff = BACKOFF;
        let mut tries = 0;
        loop {
            let values = (position, beyond, bytes, lease.token, step);
            match self.cluster.execute(&self.finish, values).await.and_then(applied) {
                // The same may be written again, as long as the next step has not begun.
                Err(error) if is_transient(&error) && tries < TRIES => tries += 1,
                written => return written,
            }
            backoff.wait().await;
        }
    }

    /// Records from which segment on the entries of the log are kept; false if the lease is lost.
    pub(super) async fn keep_from(
        &self,
        lease: WorkerLease,
        segment: i64,
    ) -> Result<bool, StorageError> {
        applied(self.cluster.execute(&self.keep_from, (segment, lease.token)).await?)
    }

    /// The lease after a write whose answer was lost: what this does not see is not written later.
    async fn settled(&self) -> Result<WorkerRecord, StorageError> {
        self.settled_record().await.map(|record| record.worker())
    }

    async fn settled_record(&self) -> Result<Record, StorageError> {
        let (mut backoff, mut tries) = (BACKOFF, 0);
        loop {
            match self.read().await {
                Err(error) if is_transient(&error) && tries < TRIES => tries += 1,
                // It is about a write: an unread outcome is unknown.
                Err(error) => {
                    let text = "whether the worker's record was changed is unknown";
                    return Err(StorageError::with_source(ErrorKind::Timeout, text, error));
                }
                found => return found,
            }
            backoff.wait().await;
        }
    }
}

/// Other than every one before, as far as it matters: no server sees two that are equal.
fn new_renewal() -> i64 {
    rand::random::<i64>() & i64::MAX
}

fn outdated() -> StorageError {
    let text = "another step of this worker was recorded meanwhile";
    StorageError::new(ErrorKind::Conflict, text)
}

fn no_row() -> StorageError {
    shape("the row of the worker is missing: run `storefront migrate`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_end_out_of_turn_are_counted_once() {
        let mut ended = EndedTo::default();
        for position in [2, 0, 2, 1, 0, 5] {
            ended.add(position, 10);
        }
        assert_eq!(ended, EndedTo { position: 3, beyond: vec![5], bytes: 40 });
        assert_eq!(ended.count(), 4);
        assert!(ended.contains(5) && ended.contains(0) && !ended.contains(3));
        ended.add(4, 1);
        ended.add(3, 1);
        assert_eq!(ended, EndedTo { position: 6, beyond: vec![], bytes: 42 });
    }
}
