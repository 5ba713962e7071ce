//! The promises about game pages.

use async_trait::async_trait;

use super::{ActContext, ReadToken, StorageError};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

/// The game pages of a store.
///
/// Every write is durable when its method returns: a crash of the program or of the machine does
/// not undo it (Cassandra: as far as its commit log is set to). A read that begins after a write
/// returned, on any server, sees it.
///
/// A write whose context has an [`IdempotencyKey`](super::IdempotencyKey) takes effect once, however
/// often it is repeated.
#[async_trait]
pub trait OverviewStore: Send + Sync {
    /// The game of that id, or `None`. With a token the answer is not older than what the token's
    /// holder has seen; without one it may come from a replica that lags.
    async fn find(
        &self,
        id: GameId,
        seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError>;

    /// The first `limit` games after the cursor (from the start without one), each existing game
    /// once however many are created meanwhile. Ascending by id, or in another fixed order that
    /// the backend documents. A limit of zero is an empty page that continues where it began.
    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        seen: Option<ReadToken>,
    ) -> Result<Page, StorageError>;

    /// Stores a new game, all of it or nothing.
    ///
    /// With an id: that id, or [`Create::Taken`] and nothing changed; the counter does not move.
    /// Without: the next id of the counter that is free. Ids are assigned ascending (with several
    /// servers: in blocks), never twice, not even after a delete.
    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError>;

    /// Changes the fields that are given and no other, all or none of them, if the context's
    /// precondition holds for the game. No changes at all only tells whether the game exists.
    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError>;

    /// Removes the game, if the context's precondition holds for it. The second of two is
    /// [`Remove::Missing`].
    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError>;

    /// Whether reads may come from a replica, so that they need the token of their client.
    fn has_replica(&self) -> bool {
        false
    }

    /// A token for the client of a write that has returned; `None` where no read comes from a
    /// replica, so that none is needed.
    async fn read_token(&self) -> Option<ReadToken> {
        None
    }

    /// Succeeds when a read can be answered now.
    async fn ping(&self) -> Result<(), StorageError>;
}

/// Outcome of [`OverviewStore::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Create {
    /// Stored under this id.
    Created(GameId),
    /// The id that was asked for has a game already.
    Taken,
    /// The counter has passed the largest id.
    Exhausted,
    /// The game was refused; nothing changed.
    Refused(WriteRefusal),
}

/// Outcome of [`OverviewStore::update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// The game has the new values.
    Updated,
    /// There is no such game.
    Missing,
    /// The precondition does not hold for the game; nothing changed.
    PreconditionFailed,
    /// The new values were refused; nothing changed.
    Refused(WriteRefusal),
}

/// Outcome of [`OverviewStore::remove`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remove {
    /// The game is gone.
    Removed,
    /// There was no such game.
    Missing,
    /// The precondition does not hold for the game; nothing changed.
    PreconditionFailed,
    /// The removal was refused; nothing changed.
    Refused(WriteRefusal),
}

/// Why a write was refused that this program takes to be valid: an existing table may have narrower
/// columns, constraints or triggers of its own. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteRefusal {
    /// A value does not fit its column, which is named where the database tells.
    Malformed(Option<String>),
    /// A constraint, trigger or policy forbids it; named where the database tells.
    Forbidden(Option<String>),
    /// The context's key is stored with another request.
    KeyReused,
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
