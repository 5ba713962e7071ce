//! Measuring databases without a browser: `storefront bench`.
//!
//! In this module: which databases, and their generations ([`database`]); one run and its numbers ([`run`],
//! [`summary`]); the three questions that a bench answers: how do they do under each load ([`matrix`]), which
//! rate holds within an objective ([`knee`], [`objective`]), and is one faster than another ([`compare`],
//! [`statistics`]). Not here: arguments, progress and printing, which are the command's, and leases: a bench
//! has no lab's store and no server.

pub mod compare;
pub mod database;
pub mod knee;
pub mod matrix;
pub mod objective;
pub mod run;
pub mod statistics;
pub mod summary;
