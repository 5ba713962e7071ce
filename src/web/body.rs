//! Request bodies: bounded in size and in time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::problem::Problem;

/// Limits of every body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes; more is 413.
    pub bytes: usize,
    /// Time that the whole body may take to arrive; longer is 408.
    pub time: Duration,
}

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`, or another type that ends in `+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// A whole body and its format.
#[derive(Debug)]
pub struct Payload {
    /// From `Content-Type`.
    pub encoding: Encoding,
    /// The bytes as they were sent.
    pub bytes: Bytes,
}

impl<S: Sync> FromRequest<S> for Payload
where
    BodyLimits: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let encoding = encoding(request.headers());
        let is_named = request.headers().contains_key(CONTENT_TYPE);
        if is_named && encoding.is_none() {
            return Err(unsupported());
        }
        let bytes = read(request.into_body(), BodyLimits::from_ref(state)).await?;
        // An empty body needs no type: the answer names the fields that are missing.
        match encoding.or_else(|| bytes.is_empty().then_some(Encoding::Json)) {
            Some(encoding) => Ok(Self { encoding, bytes }),
            None => Err(unsupported()),
        }
    }
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the body in UTF-8 with Content-Type application/json or \
         application/x-www-form-urlencoded.",
    )
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    let encoding = match essence.as_str() {
        "application/json" => Some(Encoding::Json),
        "application/x-www-form-urlencoded" => Some(Encoding::Form),
        other if other.ends_with("+json") => Some(Encoding::Json),
        _ => None,
    };
    encoding.filter(|_| charset.is_none_or(|c| matches!(c.as_str(), "utf-8" | "utf8")))
}

/// Reads a whole body, within its limits.
pub(super) async fn read(body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(limits.time, Limited::new(body, limits.bytes).collect());
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The body is longer than {} bytes.", limits.bytes),
        )),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "The body could not be read.")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("The body took longer than {} s.", limits.time.as_secs_f64()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_picks_the_encoding() {
        for (value, expected) in [
            ("application/json", Some(Encoding::Json)),
            ("Application/JSON; Charset=UTF-8", Some(Encoding::Json)),
            ("application/vnd.game+json", Some(Encoding::Json)),
            ("application/x-www-form-urlencoded;charset=\"utf-8\"", Some(Encoding::Form)),
            ("application/json; charset=latin1", None),
            ("text/plain", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(encoding(&headers), expected, "{value}");
        }
    }
}
