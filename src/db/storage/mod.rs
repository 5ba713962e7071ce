//! What every backend promises.
//!
//! One object-safe trait for each domain; a method is one whole business act, and its comment is
//! the contract that `tests/conformance` holds against each backend. No transaction, row or driver
//! type crosses this seam. Business outcomes are values; [`StorageError`] is only for what went
//! wrong. An act that has begun runs to its end even if its future is dropped.

mod bulk;
mod cart;
mod error;
mod overview;
mod replica;
mod replica_check;

pub use bulk::{
    Begin, BulkStore, Chunk, Contents, Digest, Digester, Load, LoadMode, LoadParams, NewLoad,
};
pub use cart::{Audit, CartRefusal, CartResult, CartStore, Difference};
pub use error::{ErrorKind, StorageError};
pub use overview::{Create, Cursor, OverviewStore, Page, Remove, Update};
pub use replica::{InvalidReadToken, ReadToken, Replica};
pub use replica_check::{ReplicaCheck, ReplicaReport};
