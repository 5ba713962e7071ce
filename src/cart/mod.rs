//! The cart: orders, stock and payment.
//!
//! In this room: ids, amounts and orders ([`model`]), the routes of the three services
//! ([`routes`]), and test beds made at once ([`fixtures`]). What each act promises, and the invariant
//! that all of them keep, is in [`crate::db::storage`].

pub mod fixtures;
pub mod model;
pub mod routes;
