//! What every backend promises.
//!
//! One object-safe trait for each concern; a method is one whole business operation, and its doc
//! comment is the contract that `tests/conformance` holds against each backend. No transaction, row
//! or driver type crosses this seam. Business outcomes are values; [`StorageError`] is only for what
//! went wrong. Every write takes an [`ActContext`], and once it has begun it runs to its end even if
//! its future is dropped.
//!
//! Not here: statements and drivers, which are in the backends' own modules beside this one.

mod activities;
mod audit;
mod cart;
mod context;
mod error;
mod idempotency;
mod inspection;
mod lab;
mod loads;
mod overview;
mod recorded;
mod replica;
mod replica_check;

pub use activities::{
    Accept, ActivityStore, Applied, Discard, Message, MessageState, NewMessage, QueueStatus,
    QueuedMessage, RejectionGroup, Retry, Rows, TableStatus, TransferTarget, TransferredMessage,
    WorkerLease, WorkerRecord,
};
pub use audit::{Audit, CartAudit, Difference};
pub use cart::{CartRefusal, CartResult, FixtureStore, OrderStore, PaymentStore, StockStore};
pub use context::{ActContext, Permit};
pub use error::{ErrorKind, StorageError};
pub use idempotency::{IdempotencyKey, Precondition};
pub use inspection::{Digest, Digester, Inspection};
pub use lab::{
    BusyReason, CreateGeneration, DatabaseState, DropGeneration, GenerationStore, JobEvent,
    JobEventKind, LabStore, Lease, LeaseOutcome, LeasedDatabase, NewDatabase, Register,
    RegisteredDatabase, Reset, ServerFacts, StoredWindow,
};
pub use loads::{Begin, Chunk, Contents, Load, LoadMode, LoadParams, LoadStore, NewLoad};
pub use overview::{Create, Cursor, OverviewStore, Page, Remove, Update, WriteRefusal};
pub(in crate::db) use recorded::{Made, Recorded};
pub use replica::{InvalidReadToken, ReadToken, Replica};
pub use replica_check::{ReplicaCheck, ReplicaReport};

/// What opening a store does with a schema that is not the program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Bring an empty or older one up to date, under a lock.
    Migrate,
    /// Refuse anything but the present version.
    Require,
}
