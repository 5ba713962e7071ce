//! The promises about loading many games at once.

use std::ops::Range;

use async_trait::async_trait;

use super::StorageError;
use crate::overview::model::Overview;

/// Loading many games at once.
///
/// A load reserves its ids before its first row, so that games created meanwhile get others. It is
/// recorded in the store itself: any process that finds it open can continue it, and the result is
/// the same, row for row, as if it had never been interrupted. One load at a time.
#[async_trait]
pub trait LoadStore: Send + Sync {
    /// The chunk size and concurrency that load this backend fastest.
    fn load_params(&self) -> LoadParams;

    /// What the store holds now.
    async fn contents(&self) -> Result<Contents, StorageError>;

    /// Opens a load. Under [`LoadMode::Fresh`] a store that holds anything but pure demo data
    /// refuses, and so does any mode but [`LoadMode::Reset`] while another load is open.
    /// `Fresh` (over demo data) and `Reset` empty the store, its counter included: at once, or, where
    /// a backend builds the new table beside the old one, the games at the end of the load. Games
    /// that others create during a `Fresh` or `Append` load stay. While it is open an explicit id
    /// of its range may count as taken. Any outcome but [`Begin::Started`] has changed nothing.
    async fn begin(&self, load: NewLoad) -> Result<Begin, StorageError>;

    /// Stores the games of one chunk and records it as done, both or neither. (Where a backend has
    /// no transaction over rows, an unrecorded chunk may be stored in part; writing it again stores
    /// the same rows.) A game whose id is taken is left out. Returns the number of rows stored.
    /// Chunks of one load may be written at the same time if the shape allows it, else they come in
    /// order.
    async fn write(&self, load: &Load, chunk: Chunk) -> Result<u64, StorageError>;

    /// Reserves `rows` further ids for an open load, in place of those that were taken.
    async fn extend(&self, load: &Load, rows: u64) -> Result<Range<i64>, StorageError>;

    /// Closes the load: it is complete, and durable as any other write.
    async fn finish(&self, load: &Load) -> Result<(), StorageError>;

    /// Puts demo games with ascending ids into a store that is empty, all of them or none; the ids
    /// must be those that the counter would assign next. As long as the store holds these games as
    /// they are and no other it counts as [`Contents::Demo`], which [`LoadMode::Fresh`] may replace
    /// (a backend may end that with the first write, even one that is taken back). `false`: it
    /// was not empty or the ids were used before, and nothing changed.
    async fn install_demo(&self, games: Vec<Overview>) -> Result<bool, StorageError>;
}

/// How games are handed to a backend.
#[derive(Debug, Clone, Copy)]
pub struct LoadParams {
    /// Games in one chunk.
    pub chunk: usize,
    /// Chunks that may be under way at once; with 1 they must come in order.
    pub in_flight: usize,
    /// Whether [`LoadStore::finish`] may take long, and has changed nothing if its future is dropped
    /// before it ends.
    pub finish_may_be_dropped: bool,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Not one game.
    Empty,
    /// The demo games, untouched.
    Demo,
    /// Games.
    Games,
    /// A load that did not end, and perhaps other games.
    Interrupted(Load),
}

/// How a load treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// Only into an empty store, or one of pure demo data.
    Fresh,
    /// Beside what is there.
    Append,
    /// In place of everything there.
    Reset,
}

/// A load to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLoad {
    /// Seed of the generator.
    pub seed: u64,
    /// Games to add.
    pub rows: u64,
    /// What to do with those there.
    pub mode: LoadMode,
}

/// Outcome of [`LoadStore::begin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// The load is open.
    Started(Load),
    /// Nothing changed: the store has games.
    NotEmpty,
    /// Nothing changed: this load is still open.
    Interrupted(Load),
    /// Nothing changed: fewer ids than rows are left.
    Exhausted,
}

/// An open load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its number in the store.
    pub id: i64,
    /// Seed of the generator.
    pub seed: u64,
    /// Games it will have added when it ends.
    pub rows: u64,
    /// Games it has added.
    pub written: u64,
    /// Ids still to be written, ascending, ends exclusive.
    pub pending: Vec<Range<i64>>,
}

/// Consecutive games of a load.
#[derive(Debug)]
pub struct Chunk {
    /// Their ids, end exclusive; begins where a pending range begins.
    pub range: Range<i64>,
    /// The games, ascending.
    pub games: Vec<Overview>,
}

impl From<storefront_seed::Batch> for Chunk {
    fn from(batch: storefront_seed::Batch) -> Self {
        Self { range: batch.range, games: batch.games.into_iter().map(Overview::from).collect() }
    }
}
