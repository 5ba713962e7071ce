//! The promises about loading and checking whole tables.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use xxhash_rust::xxh3::xxh3_128;

use super::StorageError;
use crate::overview::model::Overview;

/// Loading many games at once, and looking at all of them.
///
/// A load reserves its ids before its first row, so that games created meanwhile get others. It is
/// recorded in the store itself: whoever finds it open can go on where it stopped, and the result
/// is the same, row for row, as if it had never been interrupted. One load at a time.
#[async_trait]
pub trait BulkStore: Send + Sync {
    /// How this backend wants to be fed.
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

    /// Reads every row. Games written meanwhile may be in it or not.
    async fn digest(&self) -> Result<Digest, StorageError>;

    /// Bytes that the data takes up, as far as the backend can tell.
    async fn bytes(&self) -> Result<u64, StorageError>;
}

/// How a backend wants to be fed.
#[derive(Debug, Clone, Copy)]
pub struct LoadParams {
    /// Games in one chunk.
    pub chunk: usize,
    /// Chunks that may be under way at once; with 1 they must come in order.
    pub in_flight: usize,
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

/// Outcome of [`BulkStore::begin`].
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

/// A checksum of a set of games: equal for equal sets, in whatever order they were read and on
/// whatever backend they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// Number of games.
    pub rows: u64,
    /// Sum, modulo 2^128, of the 128-bit XXH3 of each game.
    pub sum: u128,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

/// Adds games to a [`Digest`]; keeps its buffer between them.
#[derive(Debug, Default)]
pub struct Digester {
    digest: Digest,
    buffer: Vec<u8>,
}

impl Digester {
    /// Adds one game.
    pub fn add(&mut self, game: &Overview) {
        self.buffer.clear();
        self.buffer.extend(game.game_id.0.to_le_bytes());
        let texts = [
            &game.game_name,
            &game.description,
            &game.release_date,
            &game.developer,
            &game.publisher,
        ];
        for text in texts.into_iter().chain(&game.tags) {
            self.buffer.extend((text.len() as u64).to_le_bytes());
            self.buffer.extend(text.as_bytes());
        }
        self.digest.sum = self.digest.sum.wrapping_add(xxh3_128(&self.buffer));
        self.digest.rows += 1;
    }

    /// The digest of all games added.
    #[must_use]
    pub fn finish(self) -> Digest {
        self.digest
    }
}
