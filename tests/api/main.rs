//! The program as its clients see it: over sockets, byte for byte.
//!
//! Every test starts a whole server of its own (router, listener, embedded database in a folder of
//! its own, a free port) by [`helpers::TestStore`] and talks to it through [`client`], which hides
//! nothing of HTTP/1.1. A file for each topic; the tests' names are the contract.
//!
//! Answers that clients depend on to the byte are kept under `snapshots/`. A difference is a
//! failure. Run with `INSTA_UPDATE=always` to write them anew, then read what changed.

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
mod identity;
mod limits;
mod malformed;
mod operations;
mod overload;
mod page;
mod properties;
mod restart;
mod shutdown;
mod sister;
mod sisters;
mod slow;
mod tags;
