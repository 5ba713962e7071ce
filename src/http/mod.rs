//! From the socket to the routes.
//!
//! In this room: the router on one screen ([`app`]), the layers around every route
//! ([`envelope`], [`compress`]), the page and its files ([`assets`]), health and metrics
//! ([`operations`]), listening and shutting down ([`server`], [`linger`]). The routes are with their domains.

pub mod app;
pub mod assets;
mod compress;
mod envelope;
mod linger;
pub mod operations;
pub mod server;
