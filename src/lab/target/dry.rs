//! A target without a database, to measure what the driver itself can do and costs.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::{FailureKind, LoadTarget};

/// Each transaction ends at once.
#[derive(Debug)]
pub struct DryTarget {
    newest: AtomicU32,
}

impl DryTarget {
    /// A target that has so many games at the start.
    #[must_use]
    pub const fn new(games: u32) -> Self {
        Self { newest: AtomicU32::new(games) }
    }
}

#[async_trait]
impl LoadTarget for DryTarget {
    async fn read_overview(&self, _key: u32) -> Result<(), FailureKind> {
        Ok(())
    }

    async fn read_order(&self, _number: u32) -> Result<(), FailureKind> {
        Ok(())
    }

    async fn update(&self, _key: u32) -> Result<(), FailureKind> {
        Ok(())
    }

    async fn create(&self) -> Result<u32, FailureKind> {
        Ok(self.newest.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn checkout(&self, _number: u32) -> Result<(), FailureKind> {
        Ok(())
    }
}
