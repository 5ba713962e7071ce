//! Refuses requests that pages of other origins send: a page that somebody happens to visit must not start
//! a load, or lease a database.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode};

use crate::web::problem::Problem;

/// Whether the lab listens on this machine only. Then no name of the internet is its own: one that resolves to
/// the loopback address belongs to a page that wants to be taken for the lab's (DNS rebinding).
#[derive(Debug, Clone, Copy)]
pub struct LocalOnly(pub bool);

/// 403 for what changes anything and comes from a page of another origin.
pub(super) async fn refuse_others(
    State(LocalOnly(local_only)): State<LocalOnly>,
    request: Request,
    next: Next,
) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_of_another_origin(request.headers(), local_only) {
        let detail = "A page of another origin may not do this: open the lab's own page.";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Browsers name the origin of every request that changes anything; other clients name none.
fn is_of_another_origin(headers: &HeaderMap, local_only: bool) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let own = text(origin).split_once("://").is_some_and(|(_, origin)| origin == host);
    !own || (local_only && !is_loopback(&host))
}

fn is_loopback(host: &str) -> bool {
    // An IPv6 address is in brackets, with or without a port behind them.
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
        for local_only in [true, false] {
            assert!(!is_of_another_origin(&headers(None, own), local_only));
            let page = headers(Some("http://127.0.0.1:4000"), own);
            assert!(!is_of_another_origin(&page, local_only));
        }
        for own in ["localhost:4000", "[::1]:4000", "[::1]", "localhost"] {
            let origin: &'static str = format!("http://{own}").leak();
            assert!(!is_of_another_origin(&headers(Some(origin), own), true), "{own}");
        }
        let named = headers(Some("http://lab.example:4000"), "lab.example:4000");
        assert!(is_of_another_origin(&named, true) && !is_of_another_origin(&named, false));
        for other in [
            "http://127.0.0.1:4001",
            "https://evil.example",
            "null",
            "http://127.0.0.1:4000.evil.example",
            "",
        ] {
            assert!(is_of_another_origin(&headers(Some(other), own), false), "{other}");
        }
    }
}
