//! The program as its clients see it: over sockets, byte for byte.
//!
//! Every test starts a whole server of its own (router, listener, a database of its own, a free
//! port) by [`helpers::TestStore`] and talks to it through [`client`], which hides nothing of
//! HTTP/1.1. A file for each topic; the tests' names are the contract.
//!
//! A run is on one backend, `STOREFRONT_TEST_BACKEND` (embedded by default); the contract and the
//! bytes are the same on all of them. What is not so for every backend is in files of its own,
//! [`ascending`] and [`sql`], which a run on such a backend leaves out by name (`--skip sql::`).
//!
//! Answers that clients depend on to the byte are kept under `snapshots/`. A difference is a
//! failure. Run with `INSTA_UPDATE=always` to write them again, then read what changed.

mod activities;
mod ascending;
mod catalogue;
mod change;
mod client;
mod compression;
mod connections;
mod create;
mod cross_origin;
mod failures;
mod find;
mod forms;
mod helpers;
mod idempotency;
mod identity;
mod limits;
mod malformed;
mod operations;
mod orders;
mod overload;
mod page;
mod payment;
mod properties;
mod restart;
mod services;
mod shop;
mod shutdown;
mod slow;
mod sql;
mod stock;
mod tags;
mod upstream_server;
mod upstreams;
