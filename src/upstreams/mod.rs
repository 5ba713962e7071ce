//! The HTTP services whose data the page shows beside a game: images and reviews.
//!
//! In this module: their clients ([`client`]), the routes ([`routes`]), and what they answer where no
//! service is configured ([`placeholders`]). Not here: the page itself ([`crate::server::assets`])
//! and the overviews ([`crate::overview`]).

mod client;
mod placeholders;
mod routes;

pub use self::client::Upstreams;
pub use self::routes::router;
