//! Algorithms that more than one backend needs, each of them once.
//!
//! In this module: batching ([`batcher`]), backoff and retry ([`retry`]), locks by key
//! ([`keyed_lock`]), leases judged by observation ([`lease`]), the search for a free id
//! ([`id_search`]), what a load may do and what is left of it ([`load_plan`]), cutting a page
//! ([`page`]) and the version of a schema ([`schema_version`]).
//! Not here: statements and drivers; each backend supplies its own.

pub(super) mod batcher;
pub(super) mod id_search;
pub(super) mod keyed_lock;
pub(super) mod lease;
pub(super) mod load_plan;
pub(super) mod page;
pub(super) mod retry;
pub(super) mod schema_version;
