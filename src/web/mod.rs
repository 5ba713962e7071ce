//! What the routes of all rooms share: refusals ([`problem`]), request bodies ([`body`]),
//! entity tags ([`etag`]) and positions in the store's history ([`read_token`]). The routes themselves are with their domains; the layers around them
//! are in [`crate::http`].

pub mod body;
pub mod etag;
pub mod problem;
pub mod read_token;
