//! The two services beside the overview: banners and reviews.
//!
//! With their URLs configured, requests go through to them within a time limit; without, the
//! answers are made here by [`placeholders`], so that the page is whole from the first
//! minute.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, Url};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::placeholders::{self, Review};
use crate::overview::id::Id;
use crate::web::etag;
use crate::web::problem::{Problem, ProblemBody, Refusal};

const TIME_LIMIT: Duration = Duration::from_secs(2);
const MAX_BYTES: usize = 4 << 20;
const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");

/// Where the upstream services are.
#[derive(Debug, Clone)]
pub struct Upstreams {
    client: Client,
    images: Option<Url>,
    reviews: Option<Url>,
}

impl Upstreams {
    /// Upstreams at these URLs; `None` serves a placeholder.
    ///
    /// # Errors
    /// If the TLS library cannot be set up.
    pub fn new(images: Option<Url>, reviews: Option<Url>) -> reqwest::Result<Self> {
        // The HTTP client takes the process's default provider; a second call finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().timeout(TIME_LIMIT).no_proxy().build()?;
        Ok(Self { client, images, reviews })
    }
}

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
    get, path = "/api/overviewImage/{game_id}", tag = "upstream services",
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
        Some(base) => upstreams.forward(base, &format!("/api/overviewImage/{id}"), &headers).await,
        None => Ok(etag::json(&headers, &format!("/api/overviewImage/{id}/banner.svg"))?),
    }
}

/// Draw a banner
///
/// The built-in stand-in for the images service: a picture made from the number alone.
#[utoipa::path(
    get, path = "/api/overviewImage/{game_id}/banner.svg", tag = "upstream services",
    params(("game_id" = i32, Path, description = "Number of the game")),
    responses(
        (status = 200, body = String, content_type = "image/svg+xml"),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`"),
    ),
)]
async fn banner(Id(id): Id, headers: HeaderMap) -> Response {
    ([(CACHE_CONTROL, A_DAY)], etag::content(&headers, SVG, placeholders::banner(id)))
        .into_response()
}

/// List a game's reviews
#[utoipa::path(
    get, path = "/api/reviews/{id}", tag = "upstream services",
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
        Some(base) => upstreams.forward(base, &format!("/api/reviews/{id}"), &headers).await,
        None => Ok(etag::json(&headers, &placeholders::reviews(id, jiff::Timestamp::now()))?),
    }
}

impl Upstreams {
    /// The upstream's own answer to the same path: its body if it succeeded, 404 if it said so, 502
    /// for all else.
    async fn forward(
        &self,
        base: &Url,
        path: &str,
        request: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        let answer = self.client.get(url).send().await.map_err(|e| away(&e.without_url()))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(Refusal::NotFound);
        }
        if !answer.status().is_success() {
            return Err(away(&format!("it answered {}", answer.status())));
        }
        let content_type = answer
            .headers()
            .get(CONTENT_TYPE)
            .cloned()
            .unwrap_or(HeaderValue::from_static("application/json; charset=utf-8"));
        let body = http::Response::from(answer).into_body();
        let body = Limited::new(body, MAX_BYTES).collect().await.map_err(|e| away(&e))?;
        Ok(etag::content(request, content_type, body.to_bytes()))
    }
}

fn away(cause: &dyn std::fmt::Display) -> Refusal {
    let detail = "The service that has this did not answer as it should.";
    Problem::new(StatusCode::BAD_GATEWAY, detail)
        .because(format!("a upstream service failed: {cause}"))
        .into()
}
