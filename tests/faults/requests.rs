//! The program with a database that may fail, and what its users do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use testkit::database::OwnDatabase;
use testkit::games::game;
use testkit::postgres::column;
use testkit::process::{Server, storefront};
use testkit::proxy::Proxy;

/// How soon everything must work again after a fault has ended.
pub const RECOVERY: Duration = Duration::from_secs(10);
/// The store's own timeout is five seconds; no answer may take much longer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// A write may be several statements; its deadline is ten seconds.
pub const CART_ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
/// Long enough for a busy machine, and far below the store's timeout.
pub const AT_ONCE: Duration = Duration::from_secs(3);

/// A program, and the way to its database.
pub struct ProxiedServer {
    pub server: Arc<Server>,
    pub proxy: Proxy,
    database: OwnDatabase,
}

impl ProxiedServer {
    /// A program whose empty PostgreSQL database is behind a proxy.
    pub async fn open() -> Self {
        Self::on("postgres").await
    }

    /// The same on the backend of that name.
    pub async fn on(backend: &str) -> Self {
        Self::started(backend, serve).await
    }

    /// The same with the program started in a way of one's own: in that folder, on that database.
    pub async fn started(backend: &str, start: impl FnOnce(&Path, &str) -> Server) -> Self {
        let database = OwnDatabase::on(backend).await;
        database.migrate();
        let (url, proxy) = Proxy::before(database.url()).await;
        let server = Arc::new(start(database.folder(), &url));
        Self { server, proxy, database }
    }

    /// The first column of a query's rows, as text, asked for without the proxy.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        column(self.database.url(), sql).await
    }
}

/// Starts the program on that database.
pub fn serve(folder: &std::path::Path, url: &str) -> Server {
    let mut command = storefront(folder);
    Server::spawn(command.args(["serve", "--database-url", url]), folder)
}

/// A request: method, path, body.
pub type Request<'a> = (Method, &'a str, Option<Value>);

/// The same of a route that the program documents.
pub type RouteRequest = (Method, String, Option<Value>);

/// Some requests of each kind; all but the first two change something.
pub fn every_request() -> [Request<'static>; 7] {
    [
        (Method::GET, "/api/overview/1", None),
        (Method::GET, "/api/overview?limit=3", None),
        (Method::POST, "/api/overview", Some(game("any"))),
        (Method::PUT, "/api/overview/1", Some(json!({"developer": "any"}))),
        (Method::DELETE, "/api/overview/987654", None),
        (Method::POST, "/payment/create_user", None),
        (Method::POST, "/orders/checkout/none", None),
    ]
}

/// The answer, which must come within that time.
pub async fn answer(
    server: &Server,
    within: Duration,
    (method, path, body): Request<'_>,
) -> Response {
    let what = format!("{method} {path}");
    let sent = timeout(within, server.send(method, path, body.as_ref())).await;
    sent.unwrap_or_else(|_| panic!("{what}: no answer within {within:?}")).expect("an answer")
}

/// Fails unless it says that the store is away and when to come back.
#[track_caller]
pub fn is_unavailable(answer: &Response) {
    assert_eq!(answer.status(), 503, "{}", answer.url());
    let again = answer.headers()["retry-after"].to_str().unwrap();
    assert!(again.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{again}");
}

/// Sends a request of every route, all at the same time; each must be refused within that time, by a
/// problem that says when to come back.
pub async fn are_unavailable(server: &Server, routes: &[RouteRequest], within: Duration) {
    let asked = routes.iter().map(async |(method, path, body)| {
        let answer = answer(server, within, (method.clone(), path, body.clone())).await;
        is_unavailable(&answer);
        let kind = answer.headers()["content-type"].clone();
        assert_eq!(kind, "application/problem+json", "{}", answer.url());
        let what = answer.url().to_string();
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["status"], 503, "{what}: {problem}");
    });
    futures::future::join_all(asked).await;
}

/// Waits until the request succeeds, then expects that it goes on to.
pub async fn works_again(server: &Server, request: &Request<'_>) {
    let begun = Instant::now();
    while !succeeds(server, request).await {
        assert!(begun.elapsed() < RECOVERY, "never again: {request:?}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..30 {
        assert!(succeeds(server, request).await, "works only now and then: {request:?}");
    }
}

async fn succeeds(server: &Server, request: &Request<'_>) -> bool {
    let answer = answer(server, ANSWER_TIMEOUT, request.clone()).await;
    match answer.status().as_u16() {
        200 | 201 | 404 => true,
        503 => false,
        other => panic!("{request:?}: {other}\n{}", server.log()),
    }
}

/// Waits until every kind of request works, and the program says that it is ready.
pub async fn everything_works_again(server: &Server) {
    let requests = every_request().into_iter().chain([(Method::GET, "/readyz", None)]);
    let requests: Vec<_> = requests.collect();
    futures::future::join_all(requests.iter().map(|request| works_again(server, request))).await;
}
