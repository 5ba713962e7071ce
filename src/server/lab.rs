//! The lab's router.

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::assets::{self, Assets};
use super::metrics::ServerMetrics;
use super::operations;
use super::request_layer::{RequestLayer, RequestLimits};
use super::router::{Document, document_failures, finish};
use crate::lab::routes::workers::{self, WorkerRoutes};
use crate::lab::routes::{self, Lab};
use crate::telemetry::Registry;

/// Everything that the lab's routes need.
pub struct LabApp {
    /// The lab.
    pub lab: Lab,
    /// What workers in other processes ask and tell, if there can be any.
    pub workers: Option<WorkerRoutes>,
    /// The page.
    pub assets: Assets,
    /// Metrics of requests, shared with the listener.
    pub metrics: ServerMetrics,
    /// All metrics, for the route that shows them.
    pub registry: Registry,
    /// What a request may take.
    pub limits: RequestLimits,
}

/// Every route, inside the request layer.
pub fn router(app: LabApp) -> Router {
    let routes = OpenApiRouter::with_openapi(Document::openapi())
        .merge(routes::router(app.lab))
        .merge(operations::without_readiness(app.registry));
    let (api, mut document) = routes.split_for_parts();
    document_failures(&mut document);
    let layer = RequestLayer::new(app.metrics, app.limits);
    let workers = app.workers.map(workers::router).unwrap_or_default();
    finish(api.merge(workers).merge(assets::lab(app.assets)), document, layer)
}
