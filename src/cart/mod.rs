//! The cart: orders, stock and payment.
//!
//! In this module: ids, amounts and orders ([`model`]), the rules of an order's lines ([`rules`]),
//! the routes of the three services ([`routes`]), and the fixtures that `batch_init` makes
//! ([`fixtures`]). Not here: what each write promises and the invariant that all of them keep
//! ([`crate::db::storage`]), and how a checkout runs, which is in the backends ([`crate::db`]).

pub mod fixtures;
pub mod model;
pub mod routes;
pub mod rules;
