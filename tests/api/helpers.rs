//! A store of one's own, and what its users do with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use storefront::activities::queue_monitor::QueueLimits;
use storefront::activities::service::{Service, ServiceSettings};
use storefront::activities::validate::MessageLimits;
use storefront::config::serve::Limits;
use storefront::config::services::Services;
use storefront::db::storage::{CartAudit, OverviewStore};
use storefront::db::{self, MigrationPolicy};
use storefront::server::assets::Assets;
use storefront::server::listener::{Server, ShutdownOutcome};
use storefront::server::metrics::ServerMetrics;
use storefront::server::operations::Readiness;
use storefront::server::request_layer::RequestLimits;
use storefront::server::router::{App, router};
use storefront::telemetry::Registry;
use storefront::upstreams::Upstreams;
use storefront::web::body::BodyLimits;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::client::{Connection, Request, Response, TIMEOUT};
use testkit::database::OwnDatabase;
use testkit::games::game;

pub(crate) const JSON: &str = "application/json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The usual settings of activities, with a worker.
pub(crate) const ACTIVITIES: ServiceSettings = ServiceSettings {
    message: MessageLimits { depth: 16, activities: 1_000, columns: 1_000 },
    queue: QueueLimits { messages: 1_000_000, bytes: 1 << 30, age: Duration::from_secs(86_400) },
    keep: Duration::from_secs(86_400),
    worker: true,
};

/// What a test wants other than the defaults.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) services: Services,
    pub(crate) images: Option<Url>,
    pub(crate) reviews: Option<Url>,
    /// In place of the page in the program.
    pub(crate) assets: Option<Assets>,
    /// In place of the backend's.
    pub(crate) overviews: Option<Arc<dyn OverviewStore>>,
    /// In place of the usual settings of activities.
    pub(crate) activities: Option<ServiceSettings>,
    /// Another store's database, to share it.
    pub(crate) database: Option<Arc<OwnDatabase>>,
}

/// A server with its own database, gone when dropped.
pub(crate) struct TestStore {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: ServerMetrics,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
    pub(crate) database: Arc<OwnDatabase>,
    /// What its cart is kept in.
    pub(crate) cart_audit: Arc<dyn CartAudit>,
    activities: Option<Service>,
    stop: Arc<Notify>,
    now: Arc<Notify>,
    server: JoinHandle<ShutdownOutcome>,
}

impl TestStore {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// One more server on that database.
    pub(crate) async fn start_on(database: &Arc<OwnDatabase>) -> Self {
        let database = Some(Arc::clone(database));
        Self::start_with(Setup { database, ..Setup::default() }).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let Setup { limits, services, images, reviews, assets, overviews, activities, database } =
            setup;
        let database = match database {
            Some(shared) => shared,
            None => Arc::new(OwnDatabase::of_this_run().await),
        };
        let registry = Registry::default();
        let metrics = ServerMetrics::register(&registry);
        let connected =
            db::connect(&database.settings(), MigrationPolicy::Migrate, &registry).await;
        let mut stores = connected.expect("the store opens");
        stores.overviews = overviews.unwrap_or(stores.overviews);
        let store = stores.activities.clone().filter(|_| services.activities);
        let settings = activities.unwrap_or(ACTIVITIES);
        let activities = store.map(|store| Service::start(store, settings, &registry));
        let readiness = Readiness::default();
        let cart_audit = stores.audit.clone();
        let app = router(App {
            stores,
            services,
            activities: activities.as_ref().map(Service::gate),
            upstreams: Upstreams::new(images, reviews).expect("a client for the upstreams"),
            assets: assets.unwrap_or_else(Assets::embedded),
            metrics: metrics.clone(),
            registry: registry.clone(),
            readiness: readiness.clone(),
            limits: RequestLimits {
                in_flight: limits.max_in_flight,
                body: BodyLimits { bytes: limits.max_body, time: limits.body_timeout },
                key_kept_for: Duration::from_secs(86_400),
            },
        });
        let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(free_port, app, &limits, metrics.clone()).expect("a free port");
        let address = server.address().expect("an address");
        let (stop, now) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = tokio::spawn({
            let (stop, now) = (Arc::clone(&stop), Arc::clone(&now));
            async move { server.run(stop.notified(), now.notified()).await }
        });
        Self {
            address,
            metrics,
            readiness,
            registry,
            database,
            cart_audit,
            activities,
            stop,
            now,
            server,
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await.expect("the server accepts")
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, request: Request) -> Response {
        self.connect().await.ask(&request).await
    }

    /// Sends these bytes and gives all bytes of the answer, until the server closes.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut connection = self.connect().await;
        let _refused = connection.send(bytes.as_ref()).await;
        connection.rest().await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.send(Request::new("GET", target)).await
    }

    pub(crate) async fn get_with(&self, target: &str, header: &str, value: &str) -> Response {
        self.send(Request::new("GET", target).header(header, value)).await
    }

    pub(crate) async fn head(&self, target: &str) -> Response {
        self.send(Request::new("HEAD", target)).await
    }

    pub(crate) async fn post_json(&self, body: impl ToString) -> Response {
        self.send(Request::new("POST", "/api/overview").body(JSON, body.to_string())).await
    }

    pub(crate) async fn post_form(&self, body: &str) -> Response {
        self.send(Request::new("POST", "/api/overview").body(FORM, body)).await
    }

    pub(crate) async fn put_json(&self, id: impl Into<i64>, body: impl ToString) -> Response {
        let target = format!("/api/overview/{}", id.into());
        self.send(Request::new("PUT", &target).body(JSON, body.to_string())).await
    }

    pub(crate) async fn put_form(&self, id: impl Into<i64>, body: &str) -> Response {
        let target = format!("/api/overview/{}", id.into());
        self.send(Request::new("PUT", &target).body(FORM, body)).await
    }

    pub(crate) async fn delete(&self, id: impl Into<i64>) -> Response {
        self.send(Request::new("DELETE", &format!("/api/overview/{}", id.into()))).await
    }

    /// Creates a game, which must succeed, and gives its id.
    pub(crate) async fn create(&self, game: &Value) -> i64 {
        created(&self.post_json(game).await)
    }

    /// The game of that id, or `None` when there is none.
    pub(crate) async fn find(&self, id: impl Into<i64>) -> Option<Value> {
        let answer = self.get(&format!("/api/overview/{}", id.into())).await;
        match answer.status {
            404 => None,
            200 => Some(answer.json()[0].clone()),
            _ => panic!("{}", answer.golden()),
        }
    }

    /// A page of the catalogue: its ids and the next cursor.
    pub(crate) async fn page(&self, query: &str) -> (Vec<i64>, Option<String>) {
        let answer = self.get(&format!("/api/overview{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.golden());
        let body = answer.json();
        let games = body["overviews"].as_array().expect("a list");
        let ids = games.iter().map(|game| game["game_id"].as_i64().expect("a number")).collect();
        (ids, body["next"].as_str().map(str::to_owned))
    }

    /// Begins to send a create and waits until the server asks for its body.
    pub(crate) async fn begin_upload(&self) -> Upload {
        let mut connection = self.connect().await;
        let request = Request::new("POST", "/api/overview")
            .header("expect", "100-continue")
            .body(JSON, game("Slow").to_string());
        connection.send(&request.head()).await.expect("the server reads");
        assert_eq!(connection.answer_to("POST").await.status, 100);
        let head = request.head().len();
        Upload { connection, body: request.bytes()[head..].to_vec() }
    }

    /// Tells the server to stop, as the first signal does.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Tells the server to stop at once, as the second signal does.
    pub(crate) fn stop_now(&self) {
        self.now.notify_one();
    }

    /// How the server ended.
    pub(crate) async fn ended(self) -> ShutdownOutcome {
        let ended = tokio::time::timeout(TIMEOUT, self.server).await;
        if let Some(activities) = self.activities {
            activities.stop().await;
        }
        ended.expect("the server ends").expect("without a panic")
    }
}

/// A create whose head has arrived and whose body has not.
pub(crate) struct Upload {
    pub(crate) connection: Connection,
    body: Vec<u8>,
}

impl Upload {
    pub(crate) async fn finish(&mut self) -> Response {
        self.connection.send(&self.body).await.expect("the server reads");
        self.connection.answer_to("POST").await
    }
}

/// The id in the answer to a create.
#[track_caller]
pub(crate) fn created(answer: &Response) -> i64 {
    assert_eq!(answer.status, 201, "{}", answer.golden());
    let location = answer.header("location").expect("a location");
    let id = location.strip_prefix("/api/overview/").expect("the place of a game");
    id.parse().expect("a number")
}
