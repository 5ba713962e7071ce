//! What an operator sees of a running program: [`metrics`] for Prometheus, [`logs`] for people and
//! log stores.

pub mod logs;
pub mod metrics;
