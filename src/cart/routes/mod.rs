//! The routes of the three services, one file each. One program may serve all three, or three
//! programs one each over the same store.
//!
//! In this module: how a refusal becomes an answer. Path parameters are parsed in [`params`].

mod orders;
mod params;
mod payment;
mod stock;

pub use self::orders::router as orders;
pub use self::payment::router as payment;
pub use self::stock::router as stock;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::db::storage::{CartRefusal, StorageError};
use crate::web::problem::Problem;

/// The status of each refusal: missing 404, out of range 400, all else 409.
impl From<CartRefusal> for Problem {
    fn from(refused: CartRefusal) -> Self {
        let status = match refused {
            CartRefusal::NoOrder | CartRefusal::NoItem(_) | CartRefusal::NoUser(_) => {
                StatusCode::NOT_FOUND
            }
            CartRefusal::AmountOverflow => StatusCode::BAD_REQUEST,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, refused.to_string())
    }
}

/// The sentence that answers a write, unless it failed or was refused.
fn done(
    outcome: Result<Result<(), CartRefusal>, StorageError>,
    sentence: &'static str,
) -> Result<Response, Problem> {
    outcome??;
    Ok(sentence.into_response())
}
