//! What a run loads: the transactions that the driver sends, and how they can fail.
//!
//! In this module: the trait and [`open`]. The stores of a database are loaded by [`store`], and nothing at
//! all by [`dry`]. Which file of a stand-in holds which row is in [`partition`].

pub mod dry;
pub mod partition;
pub mod store;

use std::sync::Arc;

use async_trait::async_trait;

use self::store::StoreTarget;
use super::model::Target;
use crate::config::database::Database;
use crate::db::storage::{ErrorKind, StorageError};
use crate::db::{self, MigrationPolicy, Stores};
use crate::telemetry::Registry;

/// Transactions against a database. Each ends within its time, or its future is dropped; a write that
/// has begun then goes on, as the storage traits promise.
#[async_trait]
pub trait LoadTarget: Send + Sync + 'static {
    /// Reads the game of that key. A game that is not there is [`FailureKind::Missing`].
    async fn read_overview(&self, key: u32) -> Result<(), FailureKind>;

    /// Reads the prepared order of that number.
    async fn read_order(&self, number: u32) -> Result<(), FailureKind>;

    /// Changes the game of that key.
    async fn update(&self, key: u32) -> Result<(), FailureKind>;

    /// Creates a game, and returns its key.
    async fn create(&self) -> Result<u32, FailureKind>;

    /// Checks the prepared order of that number out.
    async fn checkout(&self, number: u32) -> Result<(), FailureKind>;
}

/// Why a transaction failed. The names are stable: they are in stored windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It had not ended after its time, or the store gave up waiting.
    Timeout,
    /// The store could not be reached, or was overloaded.
    Unavailable,
    /// Concurrent changes, and retries did not succeed.
    Conflict,
    /// The row was not there. From a replica this is its lag too.
    Missing,
    /// Too little of the item was in stock.
    SoldOut,
    /// The store refused it for another reason, such as too little credit.
    Refused,
    /// The store refuses what the program asks of it, such as a table that is gone.
    Invalid,
    /// A defect.
    Internal,
}

impl FailureKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Unavailable,
        Self::Conflict,
        Self::Missing,
        Self::SoldOut,
        Self::Refused,
        Self::Invalid,
        Self::Internal,
    ];

    /// As in windows: `timeout`, `sold_out`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Conflict => "conflict",
            Self::Missing => "missing",
            Self::SoldOut => "sold_out",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Internal => "internal",
        }
    }
}

impl From<StorageError> for FailureKind {
    fn from(error: StorageError) -> Self {
        match error.kind() {
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// Opens the database of a lease, which must have this program's schema, to load it.
///
/// Overviews are read from the replica, where there is one, without a read token: the lab measures the
/// replica as it is, and a new row that has not arrived there yet is [`FailureKind::Missing`]. Orders are
/// always read where they are written. The registry should be one of its own, because the names of the
/// metrics are the same for each database.
///
/// # Errors
/// One sentence for the operator: see [`db::connect`].
pub async fn open(
    target: &Target,
    registry: &Registry,
) -> Result<Arc<dyn LoadTarget>, StorageError> {
    Ok(Arc::new(StoreTarget::open(target, registry).await?))
}

/// Opens the stores of one URL. `part` distinguishes the metrics of several in one process.
pub(super) async fn connect(
    url: &str,
    replica_url: Option<&str>,
    policy: MigrationPolicy,
    registry: &Registry,
    part: &'static str,
) -> Result<Stores, StorageError> {
    let database =
        Database::of(url, replica_url).map_err(|why| StorageError::new(ErrorKind::Invalid, why))?;
    db::connect(&database, policy, &registry.with_prefix(part)).await
}
