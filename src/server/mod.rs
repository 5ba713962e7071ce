//! From the socket to the routes.
//!
//! In this room: the router on one screen ([`router`]), the layers around every route
//! ([`request_layer`], [`compress`]), the page and its files ([`assets`]), health and metrics
//! ([`operations`]), listening and shutting down ([`listener`], [`lingering_close`]). The routes are with their domains.

pub mod assets;
mod compress;
mod lingering_close;
pub mod listener;
pub mod operations;
mod request_layer;
pub mod router;
