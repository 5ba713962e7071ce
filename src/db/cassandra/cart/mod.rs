//! Orders, stock and payment in Cassandra.

mod ledger;
mod order;
mod saga;
#[cfg(test)]
mod saga_model;
