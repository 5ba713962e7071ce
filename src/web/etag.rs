//! Answers with a weak entity tag, 304 for a client that has the same content, and changes of the
//! content that a client has.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::problem::Problem;

/// The type of every JSON answer except problems.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Headers of a complete answer. Reserving them at once saves the table from growing.
const HEADERS: usize = 8;
/// Most answers are shorter. Reserving this at once saves their buffer from growing.
const USUAL_BYTES: usize = 1024;

/// The value as JSON with its tag; 304 if the request's `If-None-Match` has it.
///
/// # Errors
/// 500 if the value cannot be JSON, which is a defect.
pub fn json(request: &HeaderMap, value: &impl Serialize) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut body, value)
        .map_err(|e| Problem::defect(format!("an answer cannot be JSON: {e}")))?;
    Ok(content(request, JSON, body))
}

/// Content of any type with its tag; 304 if the request's `If-None-Match` has it.
pub fn content(request: &HeaderMap, content_type: HeaderValue, body: impl Into<Bytes>) -> Response {
    let body = body.into();
    let tag = tag(xxh3_64(&body));
    if matches(request, &tag) {
        return answer(StatusCode::NOT_MODIFIED, tag, Body::empty());
    }
    let mut response = answer(StatusCode::OK, tag, Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn answer(status: StatusCode, tag: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS);
    response.headers_mut().insert(ETAG, tag);
    response
}

/// The tag of a content's hash. Weak, because the same content is sent in several encodings.
#[must_use]
pub fn tag(hash: u64) -> HeaderValue {
    let mut tag = *b"W/\"0123456789abcdef\"";
    tag[3..19].copy_from_slice(&hex(hash));
    HeaderValue::from_bytes(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Sixteen lower-case digits, without `format!`, which costs more than the rest of a tag.
#[must_use]
pub fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15])
}

/// The tags of a request's `If-Match`, of which what is to be changed must have one.
#[derive(Debug)]
pub struct IfMatch(HeaderMap);

impl IfMatch {
    /// Those of a request; `None`: it may change anything.
    #[must_use]
    pub fn of(request: &HeaderMap) -> Option<Self> {
        let mut tags = HeaderMap::new();
        for value in request.get_all(IF_MATCH) {
            tags.append(IF_MATCH, value.clone());
        }
        (!tags.is_empty()).then_some(Self(tags))
    }

    /// Whether one of them is that of an answer of [`json`] with this value.
    pub fn has_tag_of(&self, value: &impl Serialize) -> bool {
        let content = serde_json::to_vec(value).unwrap_or_default();
        names(&self.0, IF_MATCH, &tag(xxh3_64(&content)))
    }
}

/// Whether `If-None-Match` has the tag.
#[must_use]
pub fn matches(request: &HeaderMap, tag: &HeaderValue) -> bool {
    names(request, IF_NONE_MATCH, tag)
}

/// Whether a header has the tag in its list, compared weakly (RFC 9110, 8.8.3.2), or is `*`.
fn names(request: &HeaderMap, header: HeaderName, tag: &HeaderValue) -> bool {
    if !request.contains_key(&header) {
        return false;
    }
    let opaque = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else { return false };
    request
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|candidate| candidate.trim() == "*" || opaque(candidate) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let tag = tag(7);
        let text = tag.to_str().unwrap();
        assert_eq!(text, "W/\"0000000000000007\"");
        let strong = text.trim_start_matches("W/").to_owned();
        for value in [text, &strong, "*", &format!("\"x\", {text}"), &format!("\"x\",{strong}")] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            assert!(matches(&headers, &tag), "{value}");
        }
        for value in ["\"0000000000000008\"", "", "0000000000000007"] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            assert!(!matches(&headers, &tag), "{value}");
        }
        assert!(!matches(&HeaderMap::new(), &tag));
    }

    #[test]
    fn a_condition_holds_for_the_content_whose_tag_it_names() {
        let answer = json(&HeaderMap::new(), &[1, 2]).unwrap();
        let tag = answer.headers()[ETAG].clone();
        let headers = HeaderMap::from_iter([(IF_MATCH, tag)]);
        let condition = IfMatch::of(&headers).unwrap();
        assert!(condition.has_tag_of(&[1, 2]));
        assert!(!condition.has_tag_of(&[1, 3]));
        let headers = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static("*"))]);
        assert!(IfMatch::of(&headers).unwrap().has_tag_of(&[1, 3]));
        assert!(IfMatch::of(&HeaderMap::new()).is_none());
    }
}
