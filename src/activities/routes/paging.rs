//! The parameters of pages, and ids in paths.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::activities::model::MessageId;
use crate::web::page;
use crate::web::problem::Problem;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Entries on the page, 1 to 100; default 20.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub(super) limit: Option<String>,
    /// The `next` of the previous page.
    pub(super) after: Option<String>,
}

/// The first `limit` of entries of which one more was read, and whether there are further ones.
pub(super) fn first<T>(mut entries: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    (entries, has_more)
}

/// A cursor that is a text.
pub(super) fn text_cursor(text: &str) -> Result<String, Problem> {
    String::from_utf8(page::decode(text)?).map_err(|_| page::bad_cursor())
}

/// 400.
pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Query parameters; 400 if they cannot be read.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(parameters) = query.map_err(|e: QueryRejection| bad(e.body_text()))?;
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(bad("A parameter has U+0000."));
        }
        Ok(Self(parameters))
    }
}

/// The id of a message in the path; 404 for what is none.
pub(super) struct IdInPath(pub(super) MessageId);

impl<S: Send + Sync> FromRequestParts<S> for IdInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|e: PathRejection| bad(e.body_text()))?;
        MessageId::parse(&text).map(Self).ok_or_else(missing)
    }
}

/// 404 for a message.
pub(super) fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such message.")
}
