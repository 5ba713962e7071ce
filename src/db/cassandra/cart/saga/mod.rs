//! The decisions of a checkout, all of them pure: no clock, no network, no statement.
//!
//! In this module: what one operation makes of a balance ([`balance`]) and many of them in one batch
//! ([`account_batch`]), what a transition makes of an order ([`order_state`]), and which step of an
//! attempt comes next ([`saga_state`]). `model_check` runs balance, order and saga
//! through every order in which the steps of several servers can meet; batches have unit tests.
//!
//! Not here: the statements (`accounts_table`, `orders_table`) and the code that carries the steps
//! out (`runner`).

pub(in crate::db) mod account_batch;
pub(in crate::db) mod balance;
#[cfg(test)]
mod model_check;
pub(in crate::db) mod order_state;
pub(in crate::db) mod saga_state;
