//! The game pages.
//!
//! In this room: what an overview is ([`model`]), its routes ([`routes`]) and where they
//! read from ([`copies`]), the forms a body may
//! have ([`form`]), and the two services whose answers the page shows beside it ([`sisters`], [`stand_in`]).
//! How overviews are stored is promised in [`crate::db::storage`].

pub mod copies;
pub mod form;
mod id;
pub mod model;
pub mod routes;
pub mod sisters;
pub mod stand_in;
