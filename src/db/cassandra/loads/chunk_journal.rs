//! The load journal: which chunks of a load are finished.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;

use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::Metadata;
use crate::db::cassandra::query_result::{optional_row, rows};
use crate::db::storage::{ErrorKind, Load, StorageError};

/// Conditional, so that of two processes that wrote the same chunk one counts its rows.
const RECORD: &str = "INSERT INTO $.load_chunks (load_id, first_id, end_id, rows, writer) \
                      VALUES (?, ?, ?, ?, ?) IF NOT EXISTS";
const WRITER: &str = "SELECT writer FROM $.load_chunks WHERE load_id = ? AND first_id = ?";
const DONE: &str = "SELECT first_id, end_id, rows FROM $.load_chunks WHERE load_id = ?";
/// How often a record is tried whose outcome is unknown; the SERIAL read in between completes or
/// discards the try before.
const TRIES: usize = 10;

pub(super) struct ChunkJournal {
    cluster: Arc<Cluster>,
    record: PreparedStatement,
    writer: PreparedStatement,
    done: PreparedStatement,
}

impl ChunkJournal {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self {
            cluster: Arc::clone(cluster),
            record: cluster.prepare(RECORD, StatementKind::Conditional).await?,
            writer: cluster.prepare(WRITER, StatementKind::SerialRead).await?,
            done: cluster.prepare(DONE, StatementKind::SerialRead).await?,
        })
    }

    /// Records a chunk as finished; returns its rows, or an error if another process recorded it.
    pub(super) async fn record(
        &self,
        load_id: i64,
        range: &Range<i64>,
        rows: u64,
    ) -> Result<u64, StorageError> {
        // A random number per call, by which the writer recognises its record after a timeout.
        let writer = RandomState::new().build_hasher().finish().cast_signed();
        let values = (load_id, range.start, range.end, rows.cast_signed(), writer);
        for _ in 0..TRIES {
            let recorded = self.cluster.execute(&self.record, values).await;
            match recorded.and_then(applied) {
                Ok(true) => return Ok(rows),
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                _ => match self.writer_of(load_id, range.start).await? {
                    Some(found) if found == writer => return Ok(rows),
                    Some(_) => return Err(superseded()),
                    None => {}
                },
            }
        }
        Err(StorageError::new(ErrorKind::Timeout, "a finished chunk could not be recorded"))
    }

    async fn writer_of(&self, load_id: i64, first_id: i64) -> Result<Option<i64>, StorageError> {
        let found = self.cluster.execute(&self.writer, (load_id, first_id)).await?;
        Ok(optional_row::<(i64,)>(found)?.map(|(writer,)| writer))
    }

    /// The load that is open in the store.
    pub(super) async fn load(&self, state: &Metadata) -> Result<Load, StorageError> {
        let chunks = self.cluster.execute(&self.done, (state.load_id,)).await?;
        let chunks = rows::<(i64, i64, i64)>(chunks)?;
        let written = chunks.iter().map(|(_, _, rows)| rows.cast_unsigned()).sum();
        let done: Vec<_> = chunks.iter().map(|(first_id, end_id, _)| *first_id..*end_id).collect();
        Ok(state.load(written, &done))
    }
}

pub(super) fn superseded() -> StorageError {
    let text = "another process has continued or ended this load";
    StorageError::new(ErrorKind::Conflict, text)
}
