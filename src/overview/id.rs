//! The game's number in a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::model::GameId;
use crate::web::problem::Refusal;

/// The one path parameter as a [`GameId`]. Any text but a 32-bit integer is 404, as in the earlier
/// service, because no game can have it.
pub(crate) struct Id(pub(crate) GameId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Refusal::NotFound)?;
        GameId::parse(&text).map(Self).ok_or(Refusal::NotFound)
    }
}
