//! `/workers`: what workers in other processes ask and tell. Only with the token, because a task has the
//! passwords of its database in it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::lab::driver::DriverOutcome;
use crate::lab::input::bad;
use crate::lab::worker_window::WorkerWindow;
use crate::lab::workers::pool::{Gone, WorkerPool};
use crate::lab::workers::{Continue, Readiness, Start};
use crate::web::body::{BodyLimits, Payload};
use crate::web::problem::Problem;

/// How long a worker's question for a task stays open.
const WAIT: Duration = Duration::from_secs(20);

/// What the routes need.
#[derive(Clone, axum::extract::FromRef)]
pub struct WorkerRoutes {
    /// Gives tasks to workers.
    pub pool: Arc<WorkerPool>,
    /// Limits of request bodies.
    pub body: BodyLimits,
}

/// The routes; not in the API's document, because they are between two parts of this program.
pub fn router(state: WorkerRoutes) -> Router {
    Router::new()
        .route("/workers/next", post(next))
        .route("/workers/{id}/ready", post(ready))
        .route("/workers/{id}/windows", post(window))
        .route("/workers/{id}/end", post(end))
        .with_state(state)
}

/// A request that has the token.
struct Known;

impl FromRequestParts<WorkerRoutes> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WorkerRoutes) -> Result<Self, Problem> {
        let given = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if state.pool.knows(token) {
            return Ok(Self);
        }
        let detail = "Workers need the token that the lab printed when it started.";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

/// A body of another part of this program.
struct Body<T>(T);

impl<T: DeserializeOwned> FromRequest<WorkerRoutes> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &WorkerRoutes) -> Result<Self, Problem> {
        let Payload { bytes, .. } = Payload::from_request(request, state).await?;
        let body = serde_json::from_slice(&bytes);
        body.map(Self).map_err(|error| bad(format!("The body cannot be read: {error}.")))
    }
}

impl From<Gone> for Problem {
    fn from(Gone: Gone) -> Self {
        Self::new(StatusCode::GONE, "This task is over.")
    }
}

async fn next(State(pool): State<Arc<WorkerPool>>, _known: Known) -> Response {
    match pool.next(WAIT).await {
        Some(assignment) => Json(assignment).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn ready(
    State(pool): State<Arc<WorkerPool>>,
    _known: Known,
    Path(id): Path<Uuid>,
    Body(readiness): Body<Readiness>,
) -> Result<Json<Start>, Problem> {
    let start_at = pool.ready(id, readiness.error).await?;
    let left = start_at.duration_since(Timestamp::now()).as_millis();
    Ok(Json(Start { starts_in_ms: u64::try_from(left).unwrap_or_default() }))
}

async fn window(
    State(pool): State<Arc<WorkerPool>>,
    _known: Known,
    Path(id): Path<Uuid>,
    Body(window): Body<WorkerWindow>,
) -> Result<Json<Continue>, Problem> {
    let stop = pool.window(id, window).await?;
    Ok(Json(Continue { stop }))
}

async fn end(
    State(pool): State<Arc<WorkerPool>>,
    _known: Known,
    Path(id): Path<Uuid>,
    Body(outcome): Body<DriverOutcome>,
) -> Result<StatusCode, Problem> {
    pool.end(id, outcome)?;
    Ok(StatusCode::NO_CONTENT)
}
