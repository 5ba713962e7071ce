//! Game data from numbers: game N depends on the seed and N alone.
//!
//! In this room: [`Generator`] makes one game or its [`Offer`], [`Batches`] makes runs of games on all
//! cores, in order. Not here: databases, progress bars, files. Used by `storefront seed`, by the demo data
//! of a new store, by the load lab and by the tests.

mod batches;
mod game;
mod offer;
mod words;

pub use batches::{Batch, Batches};
pub use game::{Game, Generator};
pub use offer::Offer;
