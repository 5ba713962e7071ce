//! Compression of answers.
//!
//! Most answers are too short for it. They bypass the library's layer, which would wrap the body of
//! each.

use std::convert::Infallible;
use std::future::ready;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use tower::{ServiceExt, service_fn};
use tower_http::compression::Compression;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// Shorter bodies are not compressed.
const MIN_BYTES: u64 = 1024;

/// The answer, compressed by an encoding that the client accepts if the answer is long enough.
pub(super) async fn compress(encodings: Option<&HeaderValue>, response: Response) -> Response {
    let is_short = response.body().size_hint().exact().is_some_and(|n| n <= MIN_BYTES);
    let Some(encodings) = encodings.filter(|_| !is_short) else { return response };
    let mut request = Request::new(Body::empty());
    request.headers_mut().insert(ACCEPT_ENCODING, encodings.clone());
    let mut response = Some(response);
    let answered =
        service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let layer = Compression::new(answered).compress_when(
        SizeAbove::new(MIN_BYTES)
            .and(NotForContentType::SSE)
            .and(NotForContentType::const_new("image/png"))
            .and(NotForContentType::const_new("image/jpeg")),
    );
    match layer.oneshot(request).await {
        Ok(response) => response.map(Body::new),
    }
}
