//! From the socket to the routes.
//!
//! In this module: the router on one screen ([`router`]), the layer around every request
//! ([`request_layer`], [`compress`]) and its metrics ([`metrics`]), the page and its files
//! ([`assets`]), health and readiness ([`operations`]), listening and shutting down ([`listener`],
//! [`lingering_close`]). Not here: the routes of games and carts, which are with their domains, and
//! what they share ([`crate::web`]).

pub mod assets;
mod compress;
pub mod lab;
mod lingering_close;
pub mod listener;
pub mod metrics;
pub mod operations;
pub mod request_layer;
pub mod router;
