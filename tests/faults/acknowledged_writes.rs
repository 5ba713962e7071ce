//! Clients that write all the time, games as well as carts, while the database fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::requests::{
    ANSWER_TIMEOUT, CART_ANSWER_TIMEOUT, RECOVERY, answer, everything_works_again,
};
use testkit::process::Server;
use testkit::workload::{self, Acknowledged, Outcome, Progress, Sender, outcome};

const CLIENTS: u64 = 8;

/// Clients at work.
pub struct Writers {
    progress: Arc<Progress>,
    clients: Vec<JoinHandle<Acknowledged>>,
}

/// Sends to a server that must answer each request in time and truthfully.
struct InTime {
    server: Arc<Server>,
    within: Duration,
}

impl Sender for InTime {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Outcome {
        outcome(answer(&self.server, self.within, (method, path, body)).await).await
    }
}

impl Writers {
    /// Half of them write games, the others have a cart each.
    pub fn start(server: &Arc<Server>) -> Self {
        Self::of(server, CART_ANSWER_TIMEOUT, 0..CLIENTS)
    }

    /// Clients that all write games: the sums of a cart differ while it is audited and used.
    pub fn of_games(server: &Arc<Server>) -> Self {
        Self::of(server, ANSWER_TIMEOUT, (0..CLIENTS).map(|number| 2 * number))
    }

    fn of(server: &Arc<Server>, within: Duration, numbers: impl Iterator<Item = u64>) -> Self {
        let (progress, seed) = (Arc::new(Progress::default()), testkit::random::seed());
        let client = |number| {
            let (sender, progress) =
                (InTime { server: Arc::clone(server), within }, Arc::clone(&progress));
            tokio::spawn(async move { workload::client(&sender, &progress, number, seed).await })
        };
        Self { clients: numbers.map(client).collect(), progress }
    }

    /// Waits until that many more writes are acknowledged.
    pub async fn acknowledged(&self, more: u64) {
        let enough = self.progress.acknowledged() + more;
        self.eventually("writes are done", || self.progress.acknowledged() >= enough).await;
    }

    /// Waits until that many more writes are refused.
    pub async fn refused(&self, more: u64) {
        let enough = self.progress.unknown() + more;
        self.eventually("writes are refused", || self.progress.unknown() >= enough).await;
    }

    /// Waits until writes are no longer refused, then expects none to be refused any more.
    pub async fn undisturbed(&self, more: u64) {
        let begun = Instant::now();
        loop {
            let before = self.progress.unknown();
            self.acknowledged(more).await;
            if self.progress.unknown() == before {
                break;
            }
            assert!(begun.elapsed() < RECOVERY, "writes go on being refused");
        }
        let before = self.progress.unknown();
        self.acknowledged(5 * more).await;
        assert_eq!(self.progress.unknown(), before, "writes are refused now and then");
    }

    async fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let failed = || self.clients.iter().any(JoinHandle::is_finished);
        testkit::wait::eventually(what, async || failed() || condition()).await;
        assert!(!failed(), "a client got a wrong answer");
    }

    /// Waits until every kind of write was acknowledged, and stops the clients.
    pub async fn verify(self, server: &Server) {
        self.eventually("every kind of write is done", || self.progress.missing().is_empty()).await;
        let acknowledged = self.stop().await;
        // Connections that only reads use may not have noticed yet what happened.
        everything_works_again(server).await;
        acknowledged.verify(server).await;
    }

    /// Stops the clients; what was acknowledged to them.
    pub async fn stop(self) -> Acknowledged {
        self.progress.stop();
        let mut acknowledged = Acknowledged::default();
        for client in self.clients {
            acknowledged.add(client.await.expect("a client got only correct answers"));
        }
        acknowledged
    }
}
