//! The promises about looking at whole tables.

use std::fmt;

use async_trait::async_trait;
use xxhash_rust::xxh3::xxh3_128;

use super::StorageError;
use crate::overview::model::Overview;

/// What can be told of all games together.
#[async_trait]
pub trait Inspection: Send + Sync {
    /// Reads every game. Games written meanwhile may be in it or not.
    async fn digest(&self) -> Result<Digest, StorageError>;

    /// Bytes that the data takes up, as far as the backend can tell.
    async fn bytes(&self) -> Result<u64, StorageError>;
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
