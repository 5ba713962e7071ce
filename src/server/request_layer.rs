//! Everything around every request, in one layer: the concurrency limit, a request id, CORS, panics,
//! compression, headers, a metric and a log line.
//!
//! One layer of our own instead of a library's for each: docs/decisions/0026 has the reasons and the
//! cost that was measured.

use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::Either;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tower::{Layer, Service};

use super::compress::compress;
use super::metrics::{RequestLabels, Route, ServerMetrics};
use crate::db::storage::Permit;
use crate::telemetry::logs::LogRateLimiter;
use crate::web::body::BodyLimits;
use crate::web::etag::hex;
use crate::web::idempotency_key;
use crate::web::problem::{Cause, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;
const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag,idempotency-replayed,location,retry-after,storefront-position,x-request-id",
);
const VARY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// What a request may take.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// Reads answered at once, and as many writes besides; further requests get 503.
    pub in_flight: usize,
    /// Limits of a body.
    pub body: BodyLimits,
    /// How long an `Idempotency-Key` is stored at least.
    pub key_kept_for: Duration,
}

/// Shared by all requests.
#[derive(Clone)]
pub(super) struct RequestLayer(Arc<Shared>);

struct Shared {
    metrics: ServerMetrics,
    /// Reads and writes have a limit each: writes that wait for a lock of the database must not keep
    /// reads and health checks out.
    reads: AtomicUsize,
    writes: AtomicUsize,
    limits: RequestLimits,
    /// Random for each start of the server; the rest of an id is a running number.
    id_prefix: [u8; 16],
    requests: AtomicU64,
    no_route: Arc<str>,
    log_rate: LogRateLimiter,
}

impl RequestLayer {
    pub(super) fn new(metrics: ServerMetrics, limits: RequestLimits) -> Self {
        Self(Arc::new(Shared {
            metrics,
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            limits,
            id_prefix: hex(std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0)),
            requests: AtomicU64::new(0),
            no_route: "none".into(),
            log_rate: LogRateLimiter::default(),
        }))
    }

    /// One more request in flight, or `None` at the concurrency limit of its kind.
    fn acquire(&self, method: &Method) -> Option<InFlight> {
        // Made before the test, so that its drop takes the count back at the limit. Relaxed, because
        // the counter orders no other memory.
        let in_flight = InFlight { shared: Arc::clone(&self.0), is_read: is_read(method) };
        self.0.metrics.in_flight.inc();
        (in_flight.counter().fetch_add(1, Ordering::Relaxed) < self.0.limits.in_flight)
            .then_some(in_flight)
    }
}

impl Shared {
    /// The client's own id if it is safe to log, so that its log and ours can be joined.
    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(given) = headers.get(REQUEST_ID)
            && (1..=MAX_REQUEST_ID).contains(&given.len())
            && given.as_bytes().iter().all(u8::is_ascii_graphic)
        {
            return given.clone();
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut id = [b'-'; 33];
        id[..16].copy_from_slice(&self.id_prefix);
        id[17..].copy_from_slice(&hex(number));
        HeaderValue::from_bytes(&id).unwrap_or(ANY)
    }
}

/// One request that is counted as in flight, until its answer is made and its write has ended.
struct InFlight {
    shared: Arc<Shared>,
    is_read: bool,
}

impl InFlight {
    fn counter(&self) -> &AtomicUsize {
        if self.is_read { &self.shared.reads } else { &self.shared.writes }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
        self.shared.metrics.in_flight.dec();
    }
}

/// Whether a request changes nothing: a preflight does neither.
fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Keeps a request counted as in flight until its answer is made. A write may outlive its answer, so
/// the count is shared with its context; a read needs no allocation for that.
enum Holder {
    Read(InFlight),
    Write(Arc<InFlight>),
}

impl Holder {
    /// The context of a write finds its share, the permit, in the extensions of the request.
    fn new(in_flight: InFlight, request: &mut Request) -> Self {
        if in_flight.is_read {
            return Self::Read(in_flight);
        }
        let in_flight = Arc::new(in_flight);
        request.extensions_mut().insert(Permit::new(in_flight.clone()));
        Self::Write(in_flight)
    }

    fn layer(&self) -> &Shared {
        match self {
            Self::Read(in_flight) => &in_flight.shared,
            Self::Write(in_flight) => &in_flight.shared,
        }
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { layer: self.clone(), inner }
    }
}

/// A route inside the layer.
#[derive(Clone)]
pub(super) struct RequestService<S> {
    layer: RequestLayer,
    inner: S,
}

impl<S> Service<Request> for RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let layer = &*self.layer.0;
        let context = RequestContext::of(layer, &request);
        // First, so that a request beyond the limit costs no work of a route.
        let Some(in_flight) = self.layer.acquire(request.method()) else {
            layer.metrics.shed.inc();
            let overloaded =
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The server is overloaded.");
            return Box::pin(ready(Ok(context.finish(layer, overloaded.into_response()))));
        };
        if is_preflight(&request) {
            return Box::pin(ready(Ok(context.finish(layer, preflight(request.headers())))));
        }
        let holder = Holder::new(in_flight, &mut request);
        let answer = self.answer(request);
        Box::pin(async move {
            let layer = holder.layer();
            // The panic hook has logged the panic and its location.
            let response = match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(Ok(response)) => response,
                Err(_) => {
                    layer.metrics.panics.inc();
                    Problem::defect("a handler panicked").into_response()
                }
            };
            let response = compress(context.encodings.as_ref(), response).await;
            Ok(context.finish(layer, response))
        })
    }
}

impl<S> RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    /// The route's answer. A request without an idempotency key goes to its route as it is.
    fn answer(
        &mut self,
        request: Request,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<S> {
        if is_read(request.method()) || !idempotency_key::is_given(request.headers()) {
            return Either::Left(self.inner.call(request));
        }
        let limits = self.layer.0.limits;
        // The service that was polled until it was ready goes along; a clone of it stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Either::Right(async move {
            let identified = idempotency_key::identify(request, limits.body, limits.key_kept_for);
            Ok(match identified.await {
                Ok((request, key)) => {
                    let Ok(response) = inner.call(request).await;
                    idempotency_key::mark(response, &key)
                }
                Err(problem) => problem.into_response(),
            })
        })
    }
}

/// What is kept of a request until its answer is complete.
struct RequestContext {
    begun: Instant,
    method: Method,
    route: Arc<str>,
    id: HeaderValue,
    encodings: Option<HeaderValue>,
}

impl RequestContext {
    fn of(layer: &Shared, request: &Request) -> Self {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or_else(|| Arc::clone(&layer.no_route), |path| Arc::from(path.as_str()));
        Self {
            begun: Instant::now(),
            method: request.method().clone(),
            route,
            id: layer.request_id(request.headers()),
            encodings: encodings(request.headers()),
        }
    }

    /// The answer with its headers, logged and counted.
    fn finish(self, layer: &Shared, mut response: Response) -> Response {
        let (status, elapsed) = (response.status().as_u16(), self.begun.elapsed());
        self.log(layer, elapsed, &mut response);
        let Self { method, route, id, .. } = self;
        common_headers(response.headers_mut(), id);
        let labels = RequestLabels { method: method_label(&method), route: Route(route), status };
        layer.metrics.requests.get_or_create(&labels).observe(elapsed.as_secs_f64());
        response
    }

    /// One line for a failure of the server, and at debug one for every other request. Failures are
    /// limited to a few lines a second, because those of a full disk come in masses.
    fn log(&self, layer: &Shared, elapsed: Duration, response: &mut Response) {
        let (status, duration_ms) = (response.status().as_u16(), elapsed.as_secs_f64() * 1e3);
        let Self { method, route, .. } = self;
        let id = self.id.to_str().unwrap_or_default();
        let Some(Cause(cause)) = response.extensions_mut().remove() else {
            tracing::debug!(id, %method, route = &**route, status, duration_ms, "request answered");
            return;
        };
        if let Some(suppressed) = layer.log_rate.line() {
            tracing::error!(id, %method, route = &**route, status, duration_ms, cause, suppressed, "request failed");
        }
    }
}

/// The encodings that the client accepts, joined if they are spread over several headers.
fn encodings(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all(ACCEPT_ENCODING).iter();
    let first = all.next()?;
    let Some(second) = all.next() else { return Some(first.clone()) };
    let list: Vec<&[u8]> =
        [first, second].into_iter().chain(all).map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&list.join(&b", "[..])).ok()
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.uri().path() != "*"
}

/// Pages of any origin may call every method with any headers. Every OPTIONS is answered so, with 204
/// and on every path, as by the earlier service.
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
    if !headers.get_all(VARY).iter().any(|vary| vary == VARY_ENCODING) {
        headers.append(VARY, VARY_ENCODING);
    }
    headers.insert(REQUEST_ID, id);
}

/// The method as a label; a client may invent any number of methods.
fn method_label(method: &Method) -> &'static str {
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
