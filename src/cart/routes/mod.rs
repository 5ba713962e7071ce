//! The routes of the three services, one file each. One program may serve all three, or three
//! programs one each over the same store.
//!
//! In this module: a file for each service, and what they share: path parameters ([`params`]) and
//! the answers to writes ([`answers`]).

mod answers;
mod orders;
mod params;
mod payment;
mod stock;

pub use self::orders::router as orders;
pub use self::payment::router as payment;
pub use self::stock::router as stock;
