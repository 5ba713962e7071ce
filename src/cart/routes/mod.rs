//! The routes of the three services, one file each. They may run in one program or in three, over
//! the same store.

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

/// Refusals become answers here: what is missing is 404, a sum out of range 400, all else 409.
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

/// The sentence for an act that was done.
fn done(
    outcome: Result<Result<(), CartRefusal>, StorageError>,
    sentence: &'static str,
) -> Result<Response, Problem> {
    outcome??;
    Ok(sentence.into_response())
}
