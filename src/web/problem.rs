//! Error answers.
//!
//! The only place that maps a failure of the store to a status. Clients get a short stable text; the
//! whole chain of causes goes to the log, once, with the request's id.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::storage::{CartRefusal, ErrorKind, StorageError};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Seconds after which a client should repeat a request that was answered by 503, if nothing is known.
const RETRY_SECONDS: u32 = 1;

/// A problem of RFC 9457. `type` is always `about:blank`, so `title` is the status in words.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The answer's status.
    pub status: StatusCode,
    /// What is wrong with this request and what to change, for a person.
    pub detail: String,
    /// What failed in the server, for the log.
    pub cause: Option<Cause>,
    /// Of a 503: seconds after which a client should repeat the request.
    pub retry_after: u32,
}

/// What an operator must see and a client must not. An extension of the answer until the request layer
/// logs it.
#[derive(Debug, Clone)]
pub struct Cause(pub String);

/// The body of a [`Problem`].
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody<'a> {
    /// Always `about:blank`.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status.
    status: u16,
    /// What is wrong with this request.
    detail: &'a str,
}

impl Problem {
    /// A problem of that status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), cause: None, retry_after: RETRY_SECONDS }
    }

    /// 500, for a defect.
    pub fn defect(cause: impl Into<String>) -> Self {
        let detail = "The server could not answer the request.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail).with_cause(cause)
    }

    /// 422, for the idempotency key of another request.
    pub fn key_reused() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, CartRefusal::KeyReused.to_string())
    }

    /// The same with its cause for the log.
    #[must_use]
    pub fn with_cause(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(Cause(cause.into())), ..self }
    }

    /// The same with another time after which to repeat the request.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after: seconds, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(self.retry_after));
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let cause = error.with_causes();
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Conflict => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The store could not answer. A write may have happened or not: repeat the request if it \
                 has an `Idempotency-Key`, or reads, checks out, changes or removes a game; else look \
                 first.",
            )
            .with_cause(cause),
            ErrorKind::Invalid | ErrorKind::Internal => Self::defect(cause),
        }
    }
}

/// A refusal on a route of the earlier service: a text that its clients know, or else a problem.
#[derive(Debug)]
pub enum Refusal {
    /// 404 `Not Found`.
    NotFound,
    /// 400 `Malformed request: ` and what is wrong.
    Malformed(String),
    /// Any other refusal.
    Problem(Problem),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => text(StatusCode::NOT_FOUND, "Not Found"),
            Self::Malformed(why) => {
                text(StatusCode::BAD_REQUEST, format!("Malformed request: {why}"))
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Problem(error.into())
    }
}

/// A plain text answer.
pub fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, TEXT)], body.into()).into_response()
}
