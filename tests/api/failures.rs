//! What clients see when the store fails or a handler panics.

use std::sync::Arc;

use async_trait::async_trait;
use storefront::db::storage::{
    ActContext, Create, Cursor, ErrorKind, OverviewStore, Page, ReadToken, Remove, StorageError,
    Update,
};
use storefront::overview::model::{Changes, GameId, NewOverview, Overview};

use crate::client::Request;
use crate::helpers::{JSON, Setup, TestStore};
use testkit::games::game;

const SECRET: &str = "SELECT password FROM users failed at 10.0.0.7";

/// A store that fails at everything.
pub(crate) struct Broken(How);

#[derive(Clone, Copy)]
enum How {
    Panic,
    Fail(ErrorKind),
    Hang,
}

impl Broken {
    pub(crate) const fn panicking() -> Self {
        Self(How::Panic)
    }

    async fn break_down<T>(&self) -> Result<T, StorageError> {
        match self.0 {
            How::Panic => panic!("{SECRET}"),
            How::Fail(kind) => Err(StorageError::with_source(kind, SECRET, SECRET)),
            How::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl OverviewStore for Broken {
    async fn find(
        &self,
        _: GameId,
        _: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        self.break_down().await
    }

    async fn page(
        &self,
        _: Option<Cursor>,
        _: u32,
        _: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        self.break_down().await
    }

    async fn create(&self, _: ActContext, _: NewOverview) -> Result<Create, StorageError> {
        self.break_down().await
    }

    async fn update(&self, _: ActContext, _: GameId, _: Changes) -> Result<Update, StorageError> {
        self.break_down().await
    }

    async fn remove(&self, _: ActContext, _: GameId) -> Result<Remove, StorageError> {
        self.break_down().await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.break_down().await
    }
}

async fn broken(how: How) -> TestStore {
    let overviews = Some(Arc::new(Broken(how)) as _);
    TestStore::start_with(Setup { overviews, ..Setup::default() }).await
}

/// One request for each method of the store.
fn requests() -> [Request; 5] {
    [
        Request::new("GET", "/api/overview/1"),
        Request::new("GET", "/api/overview"),
        Request::new("POST", "/api/overview").body(JSON, game("A").to_string()),
        Request::new("PUT", "/api/overview/1").body(JSON, r#"{"developer":"x"}"#),
        Request::new("DELETE", "/api/overview/1"),
    ]
}

#[tokio::test]
async fn an_unavailable_store_is_503_with_retry_after() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Conflict] {
        let store = broken(How::Fail(kind)).await;
        for request in requests() {
            let answer = store.send(request).await;
            assert!(answer.problem(503).contains("repeat"), "{kind:?}");
            let seconds = answer.header("retry-after").expect("when to come back");
            assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{seconds}");
            assert!(!answer.golden().contains("SELECT"), "{}", answer.golden());
        }
    }
}

#[tokio::test]
async fn a_defect_is_500_and_says_nothing_about_itself() {
    for kind in [ErrorKind::Invalid, ErrorKind::Internal] {
        let store = broken(How::Fail(kind)).await;
        for request in requests() {
            let answer = store.send(request).await;
            answer.problem(500);
            assert_eq!(answer.header("retry-after"), None);
            for word in ["SELECT", "password", "10.0.0.7", "nternal {", "src/"] {
                assert!(!answer.text().contains(word), "{}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn a_panic_is_500_and_the_connection_goes_on() {
    let store = broken(How::Panic).await;
    let mut connection = store.connect().await;
    for request in requests() {
        let answer = connection.ask(&request).await;
        answer.problem(500);
        assert!(!answer.text().contains("SELECT"), "{}", answer.text());
    }
    assert_eq!(connection.ask(&Request::new("GET", "/healthz")).await.status, 200);
    assert_eq!(store.metrics.panics.get(), 5);
    assert_eq!(store.metrics.in_flight.get(), 0, "a panic gives its place back");
}

#[tokio::test]
async fn failures_to_the_byte() {
    let away = broken(How::Fail(ErrorKind::Unavailable)).await;
    insta::assert_snapshot!("store_away", away.get("/api/overview/1").await.golden());
    let defect = broken(How::Fail(ErrorKind::Internal)).await;
    insta::assert_snapshot!("defect", defect.get("/api/overview/1").await.golden());
}

#[tokio::test]
async fn a_store_that_fails_is_not_ready() {
    for how in [How::Fail(ErrorKind::Unavailable), How::Fail(ErrorKind::Timeout), How::Hang] {
        let store = broken(how).await;
        let answer = store.get("/readyz").await;
        answer.problem(503);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(store.get("/healthz").await.status, 200, "the program itself is well");
    }
}

#[tokio::test]
async fn routes_that_need_no_store_work_without_it() {
    let store = broken(How::Fail(ErrorKind::Unavailable)).await;
    for target in ["/", "/1", "/dist/bundle.js", "/api/reviews/1", "/openapi.json", "/metrics"] {
        assert_eq!(store.get(target).await.status, 200, "{target}");
    }
    assert!(store.post_json("{}").await.text().starts_with("Malformed request"));
}
