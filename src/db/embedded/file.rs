//! Opening one file: the store's, or that of the activities. Each has its own writer, checkpoints,
//! readers and migrations.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::checkpoint::{CheckpointMetrics, Checkpointer};
use super::identity::FileIdentity;
use super::migrate::Schema;
use super::reader::Readers;
use super::writer::{Writer, WriterMetrics};
use super::{connection, migrate};
use crate::db::MigrationPolicy;
use crate::db::storage::StorageError;
use crate::telemetry::{Registry, Supervisor};

/// What kinds of files differ in.
pub(super) struct FileKind {
    pub(super) schema: &'static Schema,
    /// Makes the settings of the writer's connection.
    pub(super) tuned: fn(Connection) -> Result<Connection, StorageError>,
}

/// An open file.
pub(super) struct OpenFile {
    pub(super) writer: Arc<Writer>,
    pub(super) readers: Arc<Readers>,
    pub(super) identity: Arc<FileIdentity>,
}

/// The metrics of one file, and the supervisor of its threads.
pub(super) struct FileMetrics {
    writer: WriterMetrics,
    checkpoint: CheckpointMetrics,
    supervisor: Supervisor,
}

impl FileMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let writer = WriterMetrics::register(registry);
        let checkpoint = CheckpointMetrics::register(registry);
        Self { writer, checkpoint, supervisor: registry.supervisor() }
    }
}

/// Opens a file, creating it under [`MigrationPolicy::Migrate`], and starts its threads. Blocks.
///
/// # Errors
/// One sentence for the operator.
pub(super) fn open(
    path: &Path,
    kind: &FileKind,
    policy: MigrationPolicy,
    metrics: FileMetrics,
) -> Result<OpenFile, StorageError> {
    let FileMetrics { writer, checkpoint, supervisor } = metrics;
    let connection = connection::open(path, policy)?;
    migrate::run(&connection, path, kind.schema, policy)?;
    let mut connection = (kind.tuned)(connection)?;
    connection::prime_wal(&connection);
    let identity = Arc::new(FileIdentity::of(path)?);
    let readers = Arc::new(Readers::new(path.to_owned(), Arc::clone(&identity)));
    readers.with(|_| Ok(()))?;
    let own = connection::open_for_checkpoints(path)?;
    // The path may lead to another file by now.
    identity.check()?;
    let checkpointer =
        Checkpointer::start(&mut connection, own, path, checkpoint, supervisor.clone())?;
    let writer =
        Writer::start(connection, Arc::clone(&identity), checkpointer, writer, supervisor)?;
    Ok(OpenFile { writer: Arc::new(writer), readers, identity })
}
