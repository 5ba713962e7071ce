//! The answers to writes of the three services, and the writes of fixtures.

use std::ops::Range;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cart::fixtures;
use crate::db::storage::{ActContext, CartRefusal, CartResult, FixtureStore};
use crate::web::problem::Problem;

/// What happened.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplyBody {
    pub(super) msg: &'static str,
}

/// The status of each refusal: missing 404, out of range 400, the key of another request 422, all
/// else 409.
impl From<CartRefusal> for Problem {
    fn from(refused: CartRefusal) -> Self {
        let status = match refused {
            CartRefusal::NoOrder | CartRefusal::NoItem(_) | CartRefusal::NoUser(_) => {
                StatusCode::NOT_FOUND
            }
            CartRefusal::AmountOverflow | CartRefusal::TooManyLines => StatusCode::BAD_REQUEST,
            CartRefusal::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
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

/// Puts `count` fixtures in chunks, unless that was done before under the request's key.
pub(super) async fn put_in_chunks<F>(
    store: &dyn FixtureStore,
    request: &ActContext,
    count: u64,
    mut put: impl FnMut(ActContext, Range<u64>) -> F,
) -> Result<(), Problem>
where
    F: Future<Output = CartResult>,
{
    for numbers in fixtures::chunks(count) {
        // Before each chunk: another request under the key may have ended meanwhile.
        if let Some(before) = store.find_outcome(request).await? {
            return Ok(before?);
        }
        // Until the last chunk is stored a repeat must put all of them again.
        let key = request.key().filter(|_| numbers.end == count).cloned();
        put(fixtures::context(request).with_key(key), numbers).await??;
    }
    Ok(())
}
