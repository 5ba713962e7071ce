//! What happens around every request, once and in one place: a bound on how many are answered at
//! once, an id, a panic's answer, the headers that every answer has, a metric and a log line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::telemetry::logs::Throttle;
use crate::telemetry::metrics::{self, Metrics};
use crate::wire::problem::{Cause, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;
const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static("etag,location,retry-after,x-request-id");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Shared by all requests.
#[derive(Clone)]
pub(super) struct Gate(Arc<Shared>);

struct Shared {
    metrics: Arc<Metrics>,
    in_flight: AtomicUsize,
    most: usize,
    /// Ids are the start's random part and a running number.
    start: u64,
    requests: AtomicU64,
    no_route: Arc<str>,
    throttle: Throttle,
}

impl Gate {
    pub(super) fn new(metrics: Arc<Metrics>, most: usize) -> Self {
        Self(Arc::new(Shared {
            metrics,
            in_flight: AtomicUsize::new(0),
            most,
            start: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0),
            requests: AtomicU64::new(0),
            no_route: "none".into(),
            throttle: Throttle::default(),
        }))
    }

    /// A place among the requests being answered, or `None` if all are taken.
    fn enter(&self) -> Option<Place<'_>> {
        let place = Place(&self.0);
        self.0.metrics.in_flight.inc();
        (self.0.in_flight.fetch_add(1, Ordering::Relaxed) < self.0.most).then_some(place)
    }

    /// The client's own id if it is a sane one, so that its log and ours can be joined.
    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(given) = headers.get(REQUEST_ID)
            && (1..=MAX_REQUEST_ID).contains(&given.len())
            && given.as_bytes().iter().all(u8::is_ascii_graphic)
        {
            return given.clone();
        }
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:016x}-{number:x}", self.0.start)).unwrap_or(ANY)
    }
}

struct Place<'a>(&'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.in_flight.dec();
    }
}

/// The outermost layer.
pub(super) async fn envelope(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| Arc::clone(&gate.0.no_route), |path| Arc::from(path.as_str()));
    let id = gate.request_id(request.headers());

    let mut response = answer(&gate, request, next).await;

    let (status, elapsed) = (response.status(), begun.elapsed());
    log(&gate, &id, &method, &route, elapsed, &mut response);
    common_headers(response.headers_mut(), id);
    let labels = metrics::Request {
        method: known(&method),
        route: metrics::Route(route),
        status: status.as_u16(),
    };
    gate.0.metrics.requests.get_or_create(&labels).observe(elapsed.as_secs_f64());
    response
}

/// One line for what went wrong on our side, and at debug one for every request. Of failures that
/// come in masses, such as those of a full disk, a few a second are enough.
fn log(
    gate: &Gate,
    id: &HeaderValue,
    method: &Method,
    route: &str,
    elapsed: Duration,
    response: &mut Response,
) {
    let (status, duration_ms) = (response.status().as_u16(), elapsed.as_secs_f64() * 1e3);
    let id = id.to_str().unwrap_or_default();
    match response.extensions_mut().remove::<Cause>() {
        Some(Cause(cause)) => {
            let Some(suppressed) = gate.0.throttle.line() else { return };
            tracing::error!(id, %method, route, status, duration_ms, cause, suppressed, "request failed");
        }
        None => tracing::debug!(id, %method, route, status, duration_ms, "request answered"),
    }
}

async fn answer(gate: &Gate, request: Request, next: Next) -> Response {
    let Some(_place) = gate.enter() else {
        gate.0.metrics.shed.inc();
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The server is overloaded.")
            .into_response();
    };
    if is_preflight(&request) {
        return preflight(request.headers());
    }
    // The panic itself has been shown, with its place, by the panic hook.
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        gate.0.metrics.panics.inc();
        Problem::defect("a handler panicked").into_response()
    })
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Any page of any origin may call every method with whatever headers it asks for.
fn preflight(request: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
    }
    response
}

fn common_headers(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if !headers.get_all(VARY).iter().any(|vary| vary == ACCEPT_ENCODING) {
        headers.append(VARY, ACCEPT_ENCODING);
    }
    headers.insert(REQUEST_ID, id);
}

/// The method as a label; a client may invent any number of others.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
