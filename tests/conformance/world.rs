//! A database for one case.

use std::sync::Arc;
use std::time::Duration;

use storefront::db::Stores;
use storefront::db::storage::ActContext;
use storefront::overview::model::{GameId, NewOverview, Overview};
use testkit::database::OwnDatabase;
use testkit::nats::NatsServer;

/// A fresh database, removed with the value.
pub struct World {
    /// The first server's stores.
    pub stores: Stores,
    database: OwnDatabase,
}

impl World {
    /// A fresh database on the backend of that name.
    pub async fn on(backend: &str) -> Self {
        let database = OwnDatabase::on(backend).await;
        Self { stores: database.open().await, database }
    }

    /// The NATS server in which activities are queued.
    pub fn nats(&self) -> &Arc<NatsServer> {
        self.database.queue().expect("a backend with a queue in NATS")
    }

    /// As `--database-url` takes it.
    pub fn url(&self) -> &str {
        self.database.url()
    }

    /// One more server on the same database.
    pub async fn another_server(&self) -> Stores {
        self.database.open().await
    }
}

/// A game with texts that betray wrong handling: other alphabets, quotes, nothing at all.
pub fn game(game_id: Option<i32>) -> NewOverview {
    NewOverview {
        game_id: game_id.map(GameId),
        game_name: "Звёзды_'n'_\"Quotes\"".to_owned(),
        description: "line one\nline two\t😀 \\ % _ $1".to_owned(),
        release_date: "2016-02-26T00:00:00.000Z".to_owned(),
        developer: String::new(),
        publisher: "x".repeat(5_000),
        tags: ["", "a,b", "ü{}[]"].map(str::to_owned).to_vec(),
    }
}

/// What is found after `game` was stored under the id.
pub fn stored(game: NewOverview, id: GameId) -> Overview {
    let NewOverview { game_name, description, release_date, developer, publisher, tags, .. } = game;
    Overview { game_id: id, game_name, description, release_date, developer, publisher, tags }
}

/// Runs `tasks` at once and gives their results in order.
pub async fn at_once<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    futures::future::try_join_all(tasks).await.expect("a task panicked")
}

/// Shares the stores with tasks.
pub fn shared(stores: &Stores) -> Arc<dyn storefront::db::storage::OverviewStore> {
    Arc::clone(&stores.overviews)
}

/// The context of a write that has all the time it needs.
pub fn act() -> ActContext {
    ActContext::new().with_timeout(Duration::from_secs(60))
}
