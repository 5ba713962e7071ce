//! `/api/activities`: sending messages, following them, and reading the tables.

mod messages;
mod paging;
mod rejections;
mod send;
mod tables;

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::gate::{Gate, Refused};
use super::validate::SCHEMA;
use crate::web::body::BodyLimits;
use crate::web::etag;
use crate::web::problem::Problem;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Activities {
    /// Accepts messages.
    pub gate: Arc<Gate>,
    /// Limits of request bodies.
    pub body: BodyLimits,
}

/// The routes.
pub fn router(state: Activities) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(messages::list, send::send))
        .routes(routes!(schema))
        .routes(routes!(status))
        .routes(routes!(rejections::list))
        .routes(routes!(rejections::retry))
        .routes(routes!(tables::list, tables::drop_table))
        .routes(routes!(tables::rows))
        .routes(routes!(messages::find, messages::discard))
        .routes(routes!(messages::payload))
        .routes(routes!(send::retry))
        .with_state(state)
}

/// Show the JSON Schema of messages
#[utoipa::path(get, operation_id = "message_schema", path = "/api/activities/schema", tag = "activities",
    responses((status = 200, body = serde_json::Value, content_type = "application/schema+json")))]
async fn schema(headers: HeaderMap) -> Response {
    let mut response = etag::content(&headers, etag::JSON, SCHEMA);
    if response.status() == StatusCode::OK {
        let schema_json = http::HeaderValue::from_static("application/schema+json");
        response.headers_mut().insert(CONTENT_TYPE, schema_json);
    }
    response
}

/// Counts since the start of this server, and the queue of the store.
#[derive(Serialize, ToSchema)]
struct StatusBody {
    /// Messages that this server has queued: retries and drops of tables too, repeats of a key not.
    accepted: u64,
    /// Invalid ones.
    invalid: u64,
    /// Messages that this server's worker has applied.
    applied: u64,
    /// Messages that it has rejected.
    rejected: u64,
    queued: QueuedBody,
    /// `active` if any server's worker is, else `none`.
    worker: &'static str,
}

#[derive(Serialize, ToSchema)]
struct QueuedBody {
    messages: u64,
    bytes: u64,
    /// Null if nothing is queued.
    oldest_age_seconds: Option<f64>,
}

/// Show counters and the queue
#[utoipa::path(get, operation_id = "activities_status", path = "/api/activities/status", tag = "activities",
    responses((status = 200, body = StatusBody)))]
async fn status(State(gate): State<Arc<Gate>>) -> Response {
    let (metrics, queue) = (gate.metrics(), gate.monitor().status());
    let body = StatusBody {
        accepted: metrics.accepted.get(),
        invalid: metrics.invalid.get(),
        applied: metrics.applied.get(),
        rejected: metrics.count_rejected(),
        queued: QueuedBody {
            messages: queue.messages,
            bytes: queue.bytes,
            oldest_age_seconds: queue.oldest.map(|oldest| oldest.as_secs_f64()),
        },
        worker: if gate.monitor().has_worker() { "active" } else { "none" },
    };
    Json(body).into_response()
}

/// A refusal as a problem; an invalid message has an answer of its own where the earlier gatekeeper had.
impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(invalid) => Self::new(StatusCode::BAD_REQUEST, invalid.to_string()),
            Refused::TooLong(most) => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "The message is longer than the {most} bytes that can be queued and applied at once."
                ),
            ),
            Refused::Full(full) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("The queue is full ({}); nothing was accepted.", full.limit),
            )
            .with_retry_after(full.retry_after),
            Refused::KeyReused => Self::key_reused(),
            Refused::Store(error) => error.into(),
        }
    }
}
