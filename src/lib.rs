//! `storefront`, the back end of a game store on any database.
//!
//! The map, in the direction of imports: each room may use those below it, never those above.
//!
//! | room | what is in it |
//! |---|---|
//! | [`cmd`] | one file for each subcommand: its arguments and `run` |
//! | [`http`] | the router on one screen, the layers around it, the page, listener and shutdown |
//! | [`overview`] | the game pages: model, routes, the services beside them |
//! | [`cart`] | orders, stock and payment: model, routes |
//! | [`wire`] | what all routes share: problem answers, request bodies, entity tags |
//! | [`db`] | the storage traits, and one room for each backend that keeps them |
//! | [`config`] | every setting, where it comes from and what it may be |
//! | [`telemetry`] | metrics and logs |
//!
//! A domain room never names a backend and a backend room never names axum; `scripts/check`
//! holds that.

pub mod cart;
pub mod cmd;
pub mod config;
pub mod db;
pub mod http;
pub mod overview;
pub mod telemetry;
pub mod wire;
