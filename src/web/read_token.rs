//! Read tokens: a client reads its own writes although replicas answer reads.
//!
//! The answer to a write carries the token as a header and as a cookie. Browsers send the cookie
//! back by themselves, other clients may send the header. Reads take the token to the store, which
//! routes them.

use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::db::storage::{OverviewStore, ReadToken};

const HEADER: HeaderName = HeaderName::from_static("storefront-position");

/// The latest token of the request, if replicas may answer the store's reads. Elsewhere no read
/// needs one, and none is looked for.
#[must_use]
pub fn from_request(store: &dyn OverviewStore, request: &HeaderMap) -> Option<ReadToken> {
    if store.has_replica() { latest(request) } else { None }
}

/// One that cannot be parsed counts as the latest of all, so that the read goes to the primary rather
/// than back in time.
fn latest(request: &HeaderMap) -> Option<ReadToken> {
    let header = request.get_all(&HEADER).iter().map(HeaderValue::to_str);
    let cookies = request.get_all(COOKIE).iter().flat_map(|cookies| {
        let pairs = cookies.to_str().unwrap_or_default().split(';');
        pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| HEADER == *name)
    });
    header
        .map(Result::unwrap_or_default)
        .chain(cookies.map(|(_, value)| value))
        .map(|text| text.parse().unwrap_or(ReadToken::LAST))
        .max()
}

/// The answer to a write, with a token if replicas may answer the store's reads.
pub async fn attach(store: &dyn OverviewStore, mut answer: Response) -> Response {
    if let Some(token) = store.read_token().await {
        set_headers(&mut answer, token);
    }
    answer
}

fn set_headers(response: &mut Response, token: ReadToken) {
    let headers = response.headers_mut();
    // Hexadecimal digits and a slash are valid in a header and in a cookie.
    if let Ok(value) = HeaderValue::try_from(token.to_string()) {
        headers.insert(HEADER, value);
    }
    let cookie = format!("{HEADER}={token}; Path=/; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(headers: &[(&'static str, &'static str)]) -> Option<ReadToken> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        latest(&headers.collect())
    }

    #[test]
    fn the_latest_token_counts() {
        assert_eq!(token_of(&[]), None);
        assert_eq!(token_of(&[("storefront-position", "0/10")]), Some(ReadToken(16)));
        assert_eq!(token_of(&[("cookie", "a=b; storefront-position=0/11")]), Some(ReadToken(17)));
        let both = [("storefront-position", "0/10"), ("cookie", "storefront-position=0/11; c=d")];
        assert_eq!(token_of(&both), Some(ReadToken(17)));
    }

    #[test]
    fn an_unreadable_token_counts_as_the_latest() {
        assert_eq!(token_of(&[("storefront-position", "yesterday")]), Some(ReadToken::LAST));
        assert_eq!(token_of(&[("cookie", "storefront-position=")]), Some(ReadToken::LAST));
    }

    #[test]
    fn an_answer_has_the_token_as_header_and_cookie() {
        let mut response = Response::default();
        set_headers(&mut response, ReadToken(17));
        assert_eq!(response.headers()[HEADER], "0/11");
        let cookie = "storefront-position=0/11; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(response.headers()[SET_COOKIE], cookie);
    }
}
