//! Clients of the upstream services.

use std::fmt::Display;
use std::time::Duration;

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, Url};

use crate::web::problem::{Problem, Refusal};
use crate::web::{etag, http_client};

const TIMEOUT: Duration = Duration::from_secs(2);
const MAX_BYTES: usize = 4 << 20;

/// The configured services; one without a URL is `None` and gets placeholders.
#[derive(Debug, Clone)]
pub struct Upstreams {
    pub(super) images: Option<UpstreamClient>,
    pub(super) reviews: Option<UpstreamClient>,
}

impl Upstreams {
    /// Services at these URLs.
    ///
    /// # Errors
    /// If the TLS library cannot be set up.
    pub fn new(images: Option<Url>, reviews: Option<Url>) -> reqwest::Result<Self> {
        let client = |url: Option<Url>| url.map(UpstreamClient::new).transpose();
        Ok(Self { images: client(images)?, reviews: client(reviews)? })
    }
}

/// Passes requests on to one service.
#[derive(Debug, Clone)]
pub(super) struct UpstreamClient {
    http: Client,
    base: Url,
}

impl UpstreamClient {
    fn new(base: Url) -> reqwest::Result<Self> {
        Ok(Self { http: http_client::client(TIMEOUT)?, base })
    }

    /// The service's answer to that path: its body if it succeeded, 404 if it said so, 502 for
    /// everything else.
    pub(super) async fn get(&self, path: &str, request: &HeaderMap) -> Result<Response, Refusal> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let sent = self.http.get(url).send().await;
        // The URL may hold a password, so it is kept out of the log.
        let answer = sent.map_err(|e| bad_gateway(&e.without_url()))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(Refusal::NotFound);
        }
        if !answer.status().is_success() {
            return Err(bad_gateway(&format!("it answered {}", answer.status())));
        }
        let content_type = answer.headers().get(CONTENT_TYPE).cloned().unwrap_or(etag::JSON);
        let body = http::Response::from(answer).into_body();
        let body = Limited::new(body, MAX_BYTES).collect().await.map_err(|e| bad_gateway(&e))?;
        Ok(etag::content(request, content_type, body.to_bytes()))
    }
}

fn bad_gateway(cause: &dyn Display) -> Refusal {
    let detail = "The service that has this did not answer as it should.";
    Problem::new(StatusCode::BAD_GATEWAY, detail)
        .with_cause(format!("an upstream service failed: {cause}"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_https_upstream_has_a_tls_provider() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let hello = tokio::task::spawn_blocking(move || {
            let mut first = [0];
            std::io::Read::read_exact(&mut server.accept().unwrap().0, &mut first).unwrap();
            first[0]
        });
        let url: Url = format!("https://{address}").parse().unwrap();
        UpstreamClient::new(url.clone()).unwrap();
        let client = UpstreamClient::new(url).unwrap();
        assert!(client.get("/", &HeaderMap::new()).await.is_err());
        assert_eq!(hello.await.unwrap(), 22, "the first byte of a TLS handshake");
    }
}
