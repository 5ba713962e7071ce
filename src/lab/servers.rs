//! Controlling the servers that this project's own script started on this machine: faults and sizes.

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::model::{DatabaseSize, DatabaseType, Fault};
use crate::db::storage::NewDatabase;

/// What can be done to database servers from outside.
#[async_trait]
pub trait ServerControl: Send + Sync {
    /// Whether this fault is possible; the error is a sentence for the client.
    ///
    /// # Errors
    /// Why it is not.
    fn check(&self, fault: &Fault) -> Result<(), String>;

    /// Whether a registered database is at a server that is controlled.
    fn controls(&self, database: &NewDatabase) -> bool;

    /// Lets a fault begin, and returns once it is undone: after its time, or when `cancelled`. It is undone
    /// also if the future is dropped before.
    ///
    /// # Errors
    /// A sentence that says what failed.
    async fn inject(
        &self,
        fault: &Fault,
        duration: Duration,
        cancelled: &CancellationToken,
    ) -> Result<(), String>;

    /// Returns once every fault is undone.
    async fn undone(&self);

    /// Gives the server of that type the settings of a size, if it is one that can be restarted.
    ///
    /// # Errors
    /// A sentence that says what failed.
    async fn set_size(&self, database: DatabaseType, size: DatabaseSize) -> Result<(), String>;
}

/// No server is controlled: all faults are refused.
#[derive(Debug, Clone, Copy)]
pub struct NoControl;

#[async_trait]
impl ServerControl for NoControl {
    fn check(&self, fault: &Fault) -> Result<(), String> {
        Err(format!(
            "`{}` is not a server that scripts/servers started here: start the lab with --local to draw \
             faults into a run.",
            fault.target
        ))
    }

    fn controls(&self, _database: &NewDatabase) -> bool {
        false
    }

    async fn inject(
        &self,
        fault: &Fault,
        _duration: Duration,
        _cancelled: &CancellationToken,
    ) -> Result<(), String> {
        self.check(fault)
    }

    async fn undone(&self) {}

    async fn set_size(&self, _database: DatabaseType, _size: DatabaseSize) -> Result<(), String> {
        Ok(())
    }
}
