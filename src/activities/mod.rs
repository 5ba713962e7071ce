//! Activities: schema-validated messages, each applied once, all or none of it, to tables that grow with
//! the data.
//!
//! In this module: what a message is ([`model`]), how its text is read ([`json`], [`input`]) and checked
//! ([`validate`]), and what it does to the tables ([`catalogue`]: one set of rules for every backend).
//! The [`gate`] accepts a message once it is durably queued; the [`worker`] applies it later;
//! [`service`] starts both, and [`routes`] is their HTTP.
//! Not here: storing and applying messages, which is each backend's (`db/*/activities`).

pub mod catalogue;
pub mod gate;
mod input;
mod json;
pub mod metrics;
pub mod model;
mod outcomes;
pub mod plan;
pub mod pushgateway;
pub mod queue_monitor;
pub mod routes;
pub mod service;
pub mod validate;
mod worker;

pub use self::json::Invalid;
