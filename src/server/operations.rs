//! Routes for operators and load balancers: health, readiness and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::db::storage::OverviewStore;
use crate::telemetry::Registry;
use crate::web::problem::{Problem, ProblemBody, text};

/// Below the timeouts that load balancers have for a check.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether load balancers should send requests; clones share it. On until turned off.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    off: Arc<AtomicBool>,
}

impl Readiness {
    /// Makes `/readyz` 503, because the server is about to stop.
    pub fn turn_off(&self) {
        // Relaxed, because the flag orders no other memory.
        self.off.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, FromRef)]
struct Operations {
    store: Arc<dyn OverviewStore>,
    registry: Registry,
    readiness: Readiness,
}

/// The routes.
pub(super) fn router(
    store: Arc<dyn OverviewStore>,
    registry: Registry,
    readiness: Readiness,
) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .with_state(Operations { store, registry, readiness })
}

/// The routes of a program whose requests need no store of games: health and metrics.
pub(super) fn without_readiness(registry: Registry) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(metrics)).with_state(registry)
}

/// Check that the program runs
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain", description = "`ok`")))]
async fn healthz() -> Response {
    text(StatusCode::OK, "ok")
}

/// Check that requests can be answered
///
/// Reads from the store. 503 also while the server shuts down, and while a task of it is down.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`ready`"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
async fn readyz(
    State(store): State<Arc<dyn OverviewStore>>,
    State(registry): State<Registry>,
    State(readiness): State<Readiness>,
) -> Result<Response, Problem> {
    let not_ready = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    if readiness.off.load(Ordering::Relaxed) {
        return Err(not_ready("The server is shutting down."));
    }
    if let Some(tasks) = registry.supervisor().tasks_down() {
        return Err(not_ready(&format!("Restarting after a panic: {tasks}.")));
    }
    match tokio::time::timeout(PING_TIMEOUT, store.ping()).await {
        Ok(answer) => answer.map(|()| text(StatusCode::OK, "ready")).map_err(Problem::from),
        Err(_) => Err(not_ready("The store does not answer.")),
    }
}

/// Show metrics
///
/// In the OpenMetrics text format, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(registry): State<Registry>) -> Response {
    ([(CONTENT_TYPE, OPENMETRICS)], registry.render()).into_response()
}
