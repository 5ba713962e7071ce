//! The transactions against the stores of a database, by the same statements as the server's.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use storefront_seed::Generator;

use super::super::model::{Layout, TRANSACTION_TIMEOUT, Target};
use super::partition::Partitions;
use super::{FailureKind, LoadTarget, connect};
use crate::cart::model::OrderId;
use crate::db::storage::{ActContext, CartRefusal, Create, StorageError, Update};
use crate::db::{MigrationPolicy, Stores};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};
use crate::telemetry::Registry;

/// Prefixes of the metrics of the stores that one target opens.
const METRICS: [&str; 3] = ["", "second_", "third_"];
/// Different games that are created and written into others.
const CONTENTS: u32 = 64;
/// Seed of their contents, which is not that of the starting state.
const CONTENT_SEED: u64 = 2;

/// The stores of a database, and how its rows are spread over them.
pub struct StoreTarget {
    partitions: Partitions,
    /// One for each partition.
    stores: Vec<Stores>,
    /// Where reads go instead, under [`Layout::SeparateReads`].
    reads: Option<Stores>,
    contents: Vec<Overview>,
    written: AtomicU32,
}

impl StoreTarget {
    /// Opens the database of a lease: see [`super::open`].
    ///
    /// # Errors
    /// One sentence for the operator: see [`crate::db::connect`].
    pub async fn open(target: &Target, registry: &Registry) -> Result<Self, StorageError> {
        let (url, replica) = (&target.url, target.replica_url.as_deref());
        let open = async |url: &str, part| {
            connect(url, replica, MigrationPolicy::Require, registry, part).await
        };
        let partitions = Partitions::of(target.layout);
        let mut stores = Vec::new();
        for (url, part) in partitions.urls(url).iter().zip(METRICS) {
            stores.push(open(url, part).await?);
        }
        let reads = match target.layout {
            Layout::SeparateReads => Some(open(url, METRICS[1]).await?),
            Layout::One | Layout::Partitioned => None,
        };
        let generator = Generator::new(CONTENT_SEED);
        let contents = (1..=CONTENTS.cast_signed()).map(|id| generator.game(id).into()).collect();
        Ok(Self { partitions, stores, reads, contents, written: AtomicU32::new(0) })
    }

    fn of_key(&self, key: u32) -> &Stores {
        &self.stores[self.partitions.file_of(key) as usize]
    }

    fn reads_of_key(&self, key: u32) -> &Stores {
        self.reads.as_ref().unwrap_or_else(|| self.of_key(key))
    }

    fn id_of(&self, key: u32) -> GameId {
        GameId(self.partitions.id_of(key).cast_signed())
    }

    /// The contents of the next write, and its number.
    fn next_content(&self) -> (&Overview, u32) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        (&self.contents[(number % CONTENTS) as usize], number)
    }
}

/// The store gives a write up when the driver does.
fn context() -> ActContext {
    ActContext::new().with_timeout(TRANSACTION_TIMEOUT)
}

#[async_trait]
impl LoadTarget for StoreTarget {
    async fn read_overview(&self, key: u32) -> Result<(), FailureKind> {
        let found = self.reads_of_key(key).overviews.find(self.id_of(key), None).await?;
        found.map(drop).ok_or(FailureKind::Missing)
    }

    async fn read_order(&self, number: u32) -> Result<(), FailureKind> {
        let order = OrderId::numbered(number.into());
        let found = self.reads_of_key(number).orders.find_order(&order).await?;
        found.map(drop).ok_or(FailureKind::Missing)
    }

    async fn update(&self, key: u32) -> Result<(), FailureKind> {
        let (content, number) = self.next_content();
        // The number makes each value a new one, so that no store leaves the write out.
        let description = format!("{} ({number})", content.description);
        let changes = Changes { description: Some(description), ..Changes::default() };
        match self.of_key(key).overviews.update(context(), self.id_of(key), changes).await? {
            Update::Updated => Ok(()),
            Update::Missing => Err(FailureKind::Missing),
            Update::PreconditionFailed | Update::Refused(_) => Err(FailureKind::Refused),
        }
    }

    async fn create(&self) -> Result<u32, FailureKind> {
        let (content, number) = self.next_content();
        let file = number % self.partitions.count();
        let store = &self.stores[file as usize].overviews;
        match store.create(context(), new_overview(content)).await? {
            Create::Created(GameId(id)) => Ok(self.partitions.key_of(file, id.cast_unsigned())),
            Create::Taken => Err(FailureKind::Conflict),
            Create::Exhausted | Create::Refused(_) => Err(FailureKind::Refused),
        }
    }

    async fn checkout(&self, number: u32) -> Result<(), FailureKind> {
        let order = OrderId::numbered(number.into());
        let done = self.of_key(number).orders.checkout(context(), order).await?;
        done.map_err(|refusal| match refusal {
            CartRefusal::NoOrder | CartRefusal::NoItem(_) | CartRefusal::NoUser(_) => {
                FailureKind::Missing
            }
            CartRefusal::OutOfStock(_) => FailureKind::SoldOut,
            _ => FailureKind::Refused,
        })
    }
}

/// A game of that content whose id the store assigns.
fn new_overview(content: &Overview) -> NewOverview {
    let Overview { game_name, description, release_date, developer, publisher, tags, .. } =
        content.clone();
    NewOverview { game_id: None, game_name, description, release_date, developer, publisher, tags }
}
