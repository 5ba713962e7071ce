//! Activities: schema-validated messages, each applied once, all or none of it, to tables that grow with
//! the data.
//!
//! In this module: what a message is ([`model`]), how its text is read ([`json`],
//! [`input`]), what it does to the tables ([`catalogue`]: one set of rules for every backend). A
//! message is accepted when it is durably queued; a worker applies it later.
//! Not here: storing and applying messages, which is each backend's (`db/*/activities`).

pub mod catalogue;
mod input;
mod json;
pub mod model;

pub use self::json::Invalid;
