//! The promises about game pages.

use async_trait::async_trait;

use super::StorageError;
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

/// The game pages of a store.
///
/// Every write is durable when its method returns: a crash of the program or of the machine does
/// not undo it (Cassandra: as far as its commit log is set to). A read that begins after a write
/// returned, on any server, sees it.
#[async_trait]
pub trait OverviewStore: Send + Sync {
    /// The game of that id, or `None`.
    async fn find(&self, id: GameId) -> Result<Option<Overview>, StorageError>;

    /// The first `limit` games after the cursor (from the start without one), each existing game
    /// once however many are created meanwhile. Ascending by id, or in another fixed order that
    /// the backend documents. A limit of zero is an empty page that continues where it began.
    async fn page(&self, after: Option<Cursor>, limit: u32) -> Result<Page, StorageError>;

    /// Stores a new game, all of it or nothing.
    ///
    /// With an id: that id, or [`Create::Taken`] and nothing changed; the counter does not move.
    /// Without: the next id of the counter that is free. Ids are assigned ascending (with several
    /// servers: in blocks), never twice, not even after a delete.
    async fn create(&self, game: NewOverview) -> Result<Create, StorageError>;

    /// Changes the fields that are given and no other, all or none of them. No changes at all
    /// only tells whether the game exists.
    async fn update(&self, id: GameId, changes: Changes) -> Result<Update, StorageError>;

    /// Removes the game. The second of two is [`Remove::Missing`].
    async fn remove(&self, id: GameId) -> Result<Remove, StorageError>;

    /// Succeeds when a read can be answered now.
    async fn ping(&self) -> Result<(), StorageError>;
}

/// Outcome of [`OverviewStore::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Stored under this id.
    Created(GameId),
    /// The id that was asked for has a game already.
    Taken,
    /// The counter has passed the largest id.
    Exhausted,
}

/// Outcome of [`OverviewStore::update`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// The game has the new values.
    Updated,
    /// There is no such game.
    Missing,
}

/// Outcome of [`OverviewStore::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remove {
    /// The game is gone.
    Removed,
    /// There was no such game.
    Missing,
}

/// A place between two games in the store's order: behind the game of this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub GameId);

/// A run of games.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The games, in the store's order.
    pub games: Vec<Overview>,
    /// Where the next page begins; `None` when there was no further game.
    pub next: Option<Cursor>,
}
