//! The HTTP services whose data the page shows beside a game: images and reviews.
//!
//! In this module: the proxy to them ([`routes`]) and what is served where none is configured
//! ([`placeholders`]). Not here: the page itself ([`crate::server::assets`]) and the overviews
//! ([`crate::overview`]).

pub mod placeholders;
pub mod routes;
