//! HTTP that the routes of all domains share.
//!
//! In this module: error answers ([`problem`]), request bodies ([`body`]), entity tags ([`etag`]), the
//! context of a write ([`act`]), the key that makes it safe to repeat ([`idempotency_key`]), read
//! tokens ([`read_token`]), the parameters of lists ([`page`]), and the client for services beside this one
//! ([`http_client`]). Not here: the routes, which are with their domains, and the layer around every request, which is in [`crate::server`].

pub mod act;
pub mod body;
pub mod etag;
pub mod http_client;
pub mod idempotency_key;
pub mod page;
pub mod problem;
pub mod read_token;
