//! `/api/overviewImage` and `/api/reviews`: passed on to the services that have them, or else
//! answered by [`placeholders`], so that the page is complete without them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::Upstreams;
use super::placeholders::{self, Review};
use crate::overview::id::Id;
use crate::web::etag;
use crate::web::problem::{ProblemBody, Refusal};

const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
const ONE_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");

/// The routes.
pub fn router(upstreams: Upstreams) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(image))
        .routes(routes!(banner))
        .routes(routes!(reviews))
        .with_state(upstreams)
}

/// Find a game's banner
///
/// The URL of an image.
#[utoipa::path(
    get, operation_id = "game_image", path = "/api/overviewImage/{game_id}", tag = "upstream services",
    params(("game_id" = i32, Path, description = "Number of the game")),
    responses(
        (status = 200, body = String, content_type = "application/json", description = "A URL, as a JSON string"),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`"),
        (status = 502, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The images service did not answer within 2 s"),
    ),
)]
async fn image(
    State(upstreams): State<Upstreams>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    match &upstreams.images {
        Some(service) => service.get(&format!("/api/overviewImage/{id}"), &headers).await,
        None => Ok(etag::json(&headers, &format!("/api/overviewImage/{id}/banner.svg"))?),
    }
}

/// Draw a banner
///
/// The placeholder for the images service: an image made from the game's number.
#[utoipa::path(
    get, operation_id = "game_banner", path = "/api/overviewImage/{game_id}/banner.svg", tag = "upstream services",
    params(("game_id" = i32, Path, description = "Number of the game")),
    responses(
        (status = 200, body = String, content_type = "image/svg+xml"),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`"),
    ),
)]
async fn banner(Id(id): Id, headers: HeaderMap) -> Response {
    ([(CACHE_CONTROL, ONE_DAY)], etag::content(&headers, SVG, placeholders::banner(id)))
        .into_response()
}

/// List a game's reviews
#[utoipa::path(
    get, operation_id = "game_reviews", path = "/api/reviews/{id}", tag = "upstream services",
    params(("id" = i32, Path, description = "Number of the game")),
    responses(
        (status = 200, body = [Review]),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`"),
        (status = 502, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The reviews service did not answer within 2 s"),
    ),
)]
async fn reviews(
    State(upstreams): State<Upstreams>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    match &upstreams.reviews {
        Some(service) => service.get(&format!("/api/reviews/{id}"), &headers).await,
        None => Ok(etag::json(&headers, &placeholders::reviews(id, jiff::Timestamp::now()))?),
    }
}
