//! `storefront`, the back end of a game store on any database.
//!
//! The modules, in the direction of imports: each may use those below it, never those above.
//!
//! | module | contents |
//! |---|---|
//! | [`cmd`] | one file for each subcommand: its arguments and `run` |
//! | [`server`] | the router, the layer around every request, the page's files, listening, shutdown |
//! | [`overview`] | the game pages: model, body parsing, routes |
//! | [`cart`] | orders, stock and payment: model, rules, routes |
//! | [`lab`] | loading several databases side by side: model, leases, driver, windows, routes |
//! | [`upstreams`] | the image and review services, and placeholders for them |
//! | [`web`] | what all routes share: problem answers, request bodies, entity tags, read tokens |
//! | [`db`] | the storage traits, the algorithms that backends share, one module per backend |
//! | [`config`] | every setting, declared once: its sources, default and allowed values |
//! | [`telemetry`] | the registry of metrics and the log; each module makes its own metrics |
//!
//! A domain module never names a backend and a backend never names axum; `scripts/check` tests
//! that.

// These macros panic where the stream's reader is gone.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

pub mod activities;
pub mod cart;
pub mod cmd;
pub mod config;
pub mod db;
pub mod lab;
pub mod overview;
pub mod server;
pub mod telemetry;
pub mod upstreams;
pub mod web;
