//! Clients that create games all the time, and a record of what was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::requests::{ANSWER_TIMEOUT, RECOVERY, answer, everything_works_again, is_unavailable};
use testkit::games::game;
use testkit::process::Server;

const CLIENTS: u64 = 8;
/// Far above what the counter reaches.
const EXPLICIT: u64 = 1_000_000;

/// What was acknowledged: the place of each game and its name.
#[derive(Default)]
struct Acknowledged {
    games: Mutex<BTreeMap<String, String>>,
    refused: AtomicU64,
    enough: AtomicBool,
}

/// Clients at work.
pub struct Writers {
    told: Arc<Acknowledged>,
    clients: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Half of them name the ids of their games, the others have them assigned.
    pub fn start(server: &Arc<Server>) -> Self {
        let told = Arc::new(Acknowledged::default());
        let client = |n| tokio::spawn(create_all(Arc::clone(server), Arc::clone(&told), n));
        Self { clients: (0..CLIENTS).map(client).collect(), told }
    }

    /// Waits until that many more games are acknowledged.
    pub async fn acknowledged(&self, more: usize) {
        let enough = self.told.games.lock().unwrap().len() + more;
        self.eventually("games are created", || self.told.games.lock().unwrap().len() >= enough)
            .await;
    }

    /// Waits until that many more creates are refused.
    pub async fn refused(&self, more: u64) {
        let enough = self.told.refused.load(Ordering::Relaxed) + more;
        self.eventually("creates are refused", || {
            self.told.refused.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    /// Waits until creates are no longer refused, then expects none to be refused any more.
    pub async fn undisturbed(&self, more: usize) {
        let refusals = || self.told.refused.load(Ordering::Relaxed);
        let begun = Instant::now();
        loop {
            let before = refusals();
            self.acknowledged(more).await;
            if refusals() == before {
                break;
            }
            assert!(begun.elapsed() < RECOVERY, "creates go on being refused");
        }
        let before = refusals();
        self.acknowledged(5 * more).await;
        assert_eq!(refusals(), before, "creates are refused now and then");
    }

    async fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let failed = || self.clients.iter().any(JoinHandle::is_finished);
        testkit::wait::eventually(what, async || failed() || condition()).await;
        assert!(!failed(), "a client got a wrong answer");
    }

    /// Stops them. Every game that was acknowledged must be there, as it was created.
    pub async fn verify(self, server: &Server) {
        self.told.enough.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("a client got only correct answers");
        }
        // Connections that only reads use may not have noticed yet what happened.
        everything_works_again(server).await;
        let games = self.told.games.lock().unwrap().clone();
        for (path, name) in &games {
            let found = server.get(path).await;
            assert!(found.contains(&format!("\"game_name\":\"{name}\"")), "{path}: {found}");
        }
        println!("{} games acknowledged and there", games.len());
    }
}

async fn create_all(server: Arc<Server>, told: Arc<Acknowledged>, client: u64) {
    for n in 0.. {
        if told.enough.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("client_{client}_{n}");
        let id = client.is_multiple_of(2).then_some(EXPLICIT * (client + 1) + n);
        if let Some(path) = create(&server, &told, &name, id).await {
            let before = told.games.lock().unwrap().insert(path.clone(), name);
            assert_eq!(before, None, "{path} was given twice");
        }
    }
}

/// Creates a game; its place if that was acknowledged. One that names its id is repeated until the
/// store has it, as clients are told to do; that it is there already is then as good.
async fn create(
    server: &Server,
    told: &Acknowledged,
    name: &str,
    id: Option<u64>,
) -> Option<String> {
    let mut game = game(name);
    if let Some(id) = id {
        game["game_id"] = id.into();
    }
    let mut tries = 0;
    loop {
        let answer =
            answer(server, ANSWER_TIMEOUT, (Method::POST, "/api/overview", Some(game.clone())))
                .await;
        match answer.status().as_u16() {
            201 => return Some(answer.headers()["location"].to_str().unwrap().to_owned()),
            409 if tries > 0 => return id.map(|id| format!("/api/overview/{id}")),
            _ => is_unavailable(&answer),
        }
        told.refused.fetch_add(1, Ordering::Relaxed);
        if id.is_none() || told.enough.load(Ordering::Relaxed) {
            return None;
        }
        tries += 1;
        // A short pause, so that retries during a fault do not fill the test's time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
