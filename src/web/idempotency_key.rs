//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): what the header must be, and the
//! fingerprint that tells a repeat from another request under the same key.
//!
//! Here: from the request to the key in its extensions, where the context of a write finds it. Not here:
//! keys and outcomes as they are stored, which is each backend's.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use xxhash_rust::xxh3::Xxh3;

use super::body::{self, BodyLimits};
use super::problem::Problem;
use crate::db::storage::IdempotencyKey;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_BYTES: usize = 255;

/// Whether a request has the header.
#[must_use]
pub fn is_given(headers: &HeaderMap) -> bool {
    headers.contains_key(HEADER)
}

/// Reads the whole request, and gives it back with its key, which is in its extensions too.
///
/// # Errors
/// 400 for a header that is no key; 400, 408 and 413 for a body that cannot be read.
pub async fn identify(
    request: Request,
    limits: BodyLimits,
    kept_for: Duration,
) -> Result<(Request, IdempotencyKey), Problem> {
    let (mut parts, body) = request.into_parts();
    let text = parse(&parts.headers)?;
    let body = body::read(body, limits).await?;
    let key = IdempotencyKey::new(text, fingerprint(&parts, &body), kept_for);
    parts.extensions.insert(key.clone());
    Ok((Request::from_parts(parts, Body::from(body)), key))
}

/// The answer to a request, marked if it is that of an earlier one.
#[must_use]
pub fn mark(mut response: Response, key: &IdempotencyKey) -> Response {
    if response.status().is_success() && key.is_replayed() {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn parse(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let (first, second) = (values.next().map(HeaderValue::as_bytes), values.next());
    first
        .filter(|text| second.is_none() && (1..=MAX_BYTES).contains(&text.len()))
        .filter(|text| text.iter().all(u8::is_ascii_graphic))
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .ok_or_else(|| {
            let detail = "`Idempotency-Key` must be given once and have 1 to 255 visible ASCII \
                          characters.";
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
}

/// A hash of what makes two requests the same. Each part is preceded by its length, so that no two
/// requests have the same parts joined together.
fn fingerprint(parts: &Parts, body: &[u8]) -> u128 {
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let mut hash = Xxh3::new();
    for part in [
        parts.method.as_str().as_bytes(),
        parts.uri.path().as_bytes(),
        parts.uri.query().unwrap_or_default().as_bytes(),
        content_type.unwrap_or_default(),
        body,
    ] {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &'static str, headers: &[(HeaderName, &str)]) -> Request {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.body(Body::from("{}")).unwrap()
    }

    async fn identified(request: Request) -> Result<IdempotencyKey, Problem> {
        let limits = BodyLimits { bytes: 1_000, time: Duration::from_secs(1) };
        identify(request, limits, Duration::from_secs(1)).await.map(|(_, key)| key)
    }

    #[tokio::test]
    async fn a_key_is_1_to_255_visible_characters_and_given_once() {
        let longest = "k".repeat(MAX_BYTES);
        for text in ["k", "\"quoted\"", "!~", &longest] {
            let key = identified(request("/", &[(HEADER, text)])).await.unwrap();
            assert_eq!(key.text(), text);
        }
        let too_long = "k".repeat(MAX_BYTES + 1);
        for text in ["", "two words", "tab\tulator", "ü", &too_long] {
            let problem = identified(request("/", &[(HEADER, text)])).await.unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST, "{text}");
        }
        let twice = request("/", &[(HEADER, "k"), (HEADER, "k")]);
        assert_eq!(identified(twice).await.unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn the_fingerprint_tells_requests_apart() {
        let key = (HEADER, "k");
        let json = (CONTENT_TYPE, "application/json");
        let first = identified(request("/a/b?c", std::slice::from_ref(&key))).await.unwrap();
        let same = identified(request("/a/b?c", std::slice::from_ref(&key))).await.unwrap();
        assert_eq!(first.fingerprint(), same.fingerprint());
        for (path, headers) in [
            ("/a/b?d", vec![key.clone()]),
            ("/a/b", vec![key.clone()]),
            ("/a/bc", vec![key.clone()]),
            ("/a/b?c", vec![key.clone(), json]),
        ] {
            let other = identified(request(path, &headers)).await.unwrap();
            assert_ne!(first.fingerprint(), other.fingerprint(), "{path}");
        }
        let mut put = request("/a/b?c", &[key]);
        *put.method_mut() = http::Method::PUT;
        assert_ne!(first.fingerprint(), identified(put).await.unwrap().fingerprint());
    }
}
