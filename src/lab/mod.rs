//! The lab: load several databases side by side, live.
//!
//! In this module: the checked types of a run ([`model`]). Not here: statements and drivers, which are
//! below the traits of [`crate::db::storage`], so that the lab measures a database under this program's
//! own statements.

pub mod model;
