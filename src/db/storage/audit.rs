//! The promise about checking the cart's sums.

use async_trait::async_trait;
use serde::Serialize;

use super::StorageError;

/// Checking that stock, credit and orders agree.
#[async_trait]
pub trait CartAudit: Send + Sync {
    /// Recomputes every sum from the orders and compares. Exact when nothing is under way.
    async fn audit(&self) -> Result<Audit, StorageError>;
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    /// Users checked.
    pub users: u64,
    /// Items checked.
    pub items: u64,
    /// Orders checked.
    pub orders: u64,
    /// Orders among them that are paid.
    pub paid_orders: u64,
    /// Parts of paid orders (a user's charge, an item's quantity) that were reset since, and sums of
    /// paid orders that were replaced: reported, but no differences.
    pub reset: u64,
    /// Attempts that had not ended when the audit began, those of a dead server that recovery
    /// will end included.
    pub unfinished: u64,
    /// What does not agree, at most the first [`Audit::SHOWN`].
    pub differences: Vec<Difference>,
    /// How many do not agree.
    pub different: u64,
}

impl Audit {
    /// Differences that are listed.
    pub const SHOWN: usize = 100;

    /// Notes a difference.
    pub fn differs(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < Self::SHOWN {
            self.differences.push(difference);
        }
    }
}

/// A sum that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{what} is {found}, should be {expected}")]
pub struct Difference {
    /// Whose sum, such as `credit of user 5`.
    pub what: String,
    /// What the store has.
    pub found: i128,
    /// What follows from the other sums, or from the orders.
    pub expected: i128,
}
