//! The answers to writes of the three services.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::storage::{CartRefusal, CartResult};
use crate::web::problem::Problem;

/// What happened.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageBody {
    pub(super) msg: &'static str,
}

/// The status of each refusal: missing 404, out of range 400, all else 409.
impl From<CartRefusal> for Problem {
    fn from(refused: CartRefusal) -> Self {
        let status = match refused {
            CartRefusal::NoOrder | CartRefusal::NoItem(_) | CartRefusal::NoUser(_) => {
                StatusCode::NOT_FOUND
            }
            CartRefusal::AmountOverflow | CartRefusal::TooManyLines => StatusCode::BAD_REQUEST,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, refused.to_string())
    }
}

/// The sentence that answers a write, unless it failed or was refused.
pub(super) fn done(outcome: CartResult, sentence: &'static str) -> Result<Response, Problem> {
    outcome??;
    Ok(sentence.into_response())
}
