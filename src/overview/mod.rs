//! The game pages.
//!
//! In this module: what an overview is ([`model`]), its routes ([`routes`]), and reading bodies
//! ([`input`]) and path parameters ([`id`]). Not here: how overviews are stored and which server a
//! read is routed to ([`crate::db`]), and the image and review services ([`crate::upstreams`]).

pub(crate) mod id;
pub mod input;
pub mod model;
pub mod routes;
