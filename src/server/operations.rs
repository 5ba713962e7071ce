//! For the operator and the load balancer: health, readiness, metrics.

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
use crate::telemetry::metrics::Metrics;
use crate::web::problem::{Problem, ProblemBody, text};

const PING_TIMEOUT: Duration = Duration::from_secs(2);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the server wants new requests; shared, on until turned off.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// On.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// The server is about to stop.
    pub fn turn_off(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, FromRef)]
struct Operations {
    store: Arc<dyn OverviewStore>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

/// The routes.
pub(super) fn router(
    store: Arc<dyn OverviewStore>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(render_metrics))
        .with_state(Operations { store, metrics, readiness })
}

/// Tell whether the program runs
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain", description = "`ok`")))]
async fn healthz() -> Response {
    text(StatusCode::OK, "ok")
}

/// Tell whether requests can be answered
///
/// Asks the store; 503 also while the server shuts down.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`ready`"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
async fn readyz(
    State(store): State<Arc<dyn OverviewStore>>,
    State(readiness): State<Readiness>,
) -> Result<Response, Problem> {
    let not_ready = |detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    if !readiness.is_on() {
        return Err(not_ready("The server is shutting down."));
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
async fn render_metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(CONTENT_TYPE, OPENMETRICS)], metrics.render()).into_response()
}
