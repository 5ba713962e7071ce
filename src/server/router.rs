//! The router on one screen.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use utoipa::OpenApi;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::assets::{self, Assets};
use super::metrics::ServerMetrics;
use super::operations::{self, Readiness};
use super::request_layer::{RequestLayer, RequestLimits};
use crate::activities;
use crate::activities::gate::Gate;
use crate::activities::routes::Activities;
use crate::cart;
use crate::config::services::Services;
use crate::db::Stores;
use crate::overview;
use crate::overview::routes::Overviews;
use crate::telemetry::Registry;
use crate::upstreams::{self, Upstreams};
use crate::web::etag;
use crate::web::problem::Problem;

/// Everything that the routes need.
pub struct App {
    /// The open database.
    pub stores: Stores,
    /// Which routes there are besides those of operations.
    pub services: Services,
    /// The gate of activities, if they are served.
    pub activities: Option<Arc<Gate>>,
    /// The image and review services.
    pub upstreams: Upstreams,
    /// The page.
    pub assets: Assets,
    /// Metrics of requests, shared with the listener.
    pub metrics: ServerMetrics,
    /// All metrics, for the route that shows them.
    pub registry: Registry,
    /// Turned off when the server begins to shut down.
    pub readiness: Readiness,
    /// What a request may take.
    pub limits: RequestLimits,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "storefront",
    description = "The back end of a game store on any database.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
pub(super) struct Document;

/// Every route, inside the request layer.
pub fn router(app: App) -> Router {
    let App { stores, services, upstreams, assets, .. } = app;
    let overviews = Overviews { store: Arc::clone(&stores.overviews), body: app.limits.body };
    let mut routes = OpenApiRouter::with_openapi(Document::openapi());
    let mut page = assets::reference(assets.clone());
    if services.overview {
        routes = routes.merge(overview::routes::router(overviews));
        routes = routes.merge(upstreams::router(upstreams));
        page = page.merge(assets::page(assets));
    }
    routes = routes.merge(cart_routes(services, &stores));
    if let Some(gate) = app.activities {
        let state = Activities { gate, body: app.limits.body };
        routes = routes.merge(activities::routes::router(state));
    }
    let operations = operations::router(stores.overviews, app.registry, app.readiness);
    let (api, mut document) = routes.merge(operations).split_for_parts();
    document_keys(&mut document);
    document_failures(&mut document);
    finish(api.merge(page), document, RequestLayer::new(app.metrics, app.limits))
}

/// The routes with their description, the answers where there is no route, and the request layer.
pub(super) fn finish(
    routes: Router,
    document: utoipa::openapi::OpenApi,
    layer: RequestLayer,
) -> Router {
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let document =
        |request: HeaderMap| async move { etag::content(&request, etag::JSON, document) };
    routes
        .route("/openapi.json", get(document))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "There is nothing here.") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "The route does not know this method; `Allow` names those it knows.",
            )
        })
        .layer(layer)
}

/// The routes of those services of the cart that are served.
fn cart_routes(services: Services, stores: &Stores) -> OpenApiRouter {
    let mut routes = OpenApiRouter::new();
    if services.orders {
        routes = routes.merge(cart::routes::orders(stores.orders.clone(), stores.fixtures.clone()));
    }
    if services.stock {
        routes = routes.merge(cart::routes::stock(stores.stock.clone(), stores.fixtures.clone()));
    }
    if services.payment {
        routes =
            routes.merge(cart::routes::payment(stores.payments.clone(), stores.fixtures.clone()));
    }
    routes
}

/// Adds the idempotency key to every operation that changes the store, and its failures.
fn document_keys(document: &mut utoipa::openapi::OpenApi) {
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "1 to 255 visible ASCII characters, new for each request: a repeat of the request under \
             it gets the same answer, with `Idempotency-Replayed: true`, and changes nothing",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
    let reused = ResponseBuilder::new()
        .description("The `Idempotency-Key` belongs to another request; nothing changed")
        .content("application/problem+json", problem.clone())
        .build();
    let malformed =
        ResponseBuilder::new().description("The `Idempotency-Key` is malformed").build();
    for (path, item) in &mut document.paths.paths {
        // The earlier cart answered a read to POST too.
        if path.starts_with("/payment/status") {
            continue;
        }
        let writes = [&mut item.post, &mut item.put, &mut item.delete];
        for operation in writes.into_iter().flatten() {
            operation.parameters.get_or_insert_default().push(key.clone().into());
            let responses = &mut operation.responses.responses;
            responses.insert("422".to_owned(), reused.clone().into());
            // Beside what the operation itself answers to a malformed request.
            let bad = responses.entry("400".to_owned()).or_insert_with(|| malformed.clone().into());
            if let RefOr::T(bad) = bad {
                bad.content.insert("application/problem+json".to_owned(), problem.clone().into());
            }
        }
    }
}

/// Adds to every operation the failures that any route may answer with.
pub(super) fn document_failures(document: &mut utoipa::openapi::OpenApi) {
    let failure = ResponseBuilder::new()
        .description("Any other failure, such as 405, 408, 413, 415, 500 or 503")
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build(),
        )
        .build();
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten();
        for operation in operations {
            operation.responses.responses.insert("default".to_owned(), failure.clone().into());
        }
    }
}
