//! The parameters of lists that are read page by page, which are the same on every route.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;

use super::problem::Problem;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// How many entries a page has: 1 to 100, 20 if nothing is given.
///
/// # Errors
/// 400 for anything else.
pub fn limit(text: Option<&str>) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("`limit` must be a whole number from 1 to {MAX_LIMIT}."),
        )
    })
}

/// A cursor as it is shown. It is opaque to clients, so that the order may change without breaking them.
#[must_use]
pub fn encode(cursor: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(cursor)
}

/// The bytes of a cursor that was shown.
///
/// # Errors
/// 400 for what is none.
pub fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| bad_cursor())
}

/// 400 for a cursor that was not shown.
#[must_use]
pub fn bad_cursor() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "`after` must be the `next` of an earlier page.")
}
