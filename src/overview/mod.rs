//! The game pages.
//!
//! In this room: what an overview is ([`model`]), its routes ([`routes`]) and where they
//! read from ([`read_routing`]), the forms a body may
//! have ([`input`]), and the two services whose answers the page shows beside it ([`sisters`], [`stand_in`]).
//! How overviews are stored is promised in [`crate::db::storage`].

pub(crate) mod id;
pub mod input;
pub mod model;
pub mod routes;
