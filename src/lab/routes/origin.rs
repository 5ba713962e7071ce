//! Refuses requests that pages of other origins send: a page that somebody happens to visit must not start
//! a load, or lease a database.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode};

use crate::web::problem::Problem;

/// 403 for what changes anything and comes from a page of another origin.
pub(super) async fn refuse_others(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_of_another_origin(request.headers()) {
        let detail = "A page of another origin may not do this: open the lab's own page.";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Browsers name the origin of every request that changes anything; other clients name none.
fn is_of_another_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let own =
        origin.as_bytes().splitn(2, |b| *b == b'/').nth(1).and_then(|rest| rest.strip_prefix(b"/"));
    own != Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&'static str>, host: &'static str) -> HeaderMap {
        let origin = origin.map(|origin| (ORIGIN, origin));
        let all = origin.into_iter().chain([(HOST, host)]);
        all.map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn only_the_own_page_and_programs_are_let_through() {
        let own = "127.0.0.1:4000";
        assert!(!is_of_another_origin(&headers(None, own)));
        assert!(!is_of_another_origin(&headers(Some("http://127.0.0.1:4000"), own)));
        for other in [
            "http://127.0.0.1:4001",
            "https://evil.example",
            "null",
            "http://127.0.0.1:4000.evil.example",
            "",
        ] {
            assert!(is_of_another_origin(&headers(Some(other), own)), "{other}");
        }
    }
}
