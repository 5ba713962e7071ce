//! What every backend promises.
//!
//! One object-safe trait for each domain; a method is one whole business act, and its comment is
//! the contract that `tests/conformance` holds against each backend. No transaction, row or driver
//! type crosses this seam. Business outcomes are values; [`StorageError`] is only for what went
//! wrong. An act that has begun runs to its end even if its future is dropped.

mod bulk;
mod cart;
mod copies;
mod error;
mod overview;
mod replica;

pub use bulk::{
    Begin, BulkStore, Chunk, Contents, Digest, Digester, Load, LoadMode, LoadShape, NewLoad,
};
pub use cart::{Audit, CartStore, Difference, Done, Refused};
pub use copies::{Compared, Copies};
pub use error::{Kind, StorageError};
pub use overview::{Create, Cursor, OverviewStore, Page, Remove, Update};
pub use replica::{NoPosition, Position, Replica};
