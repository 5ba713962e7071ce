//! What the routes of all rooms share: refusals ([`problem`]), request bodies ([`body`]) and
//! entity tags ([`etag`]). The routes themselves are with their domains; the layers around them
//! are in [`crate::http`].

pub mod body;
pub mod etag;
pub mod problem;
