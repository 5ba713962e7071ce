//! SIGKILL in the middle of writes: whatever was acknowledged is there afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;

use testkit::games::game;
use testkit::process::Server;
use testkit::random;

const CLIENTS: u64 = 16;

/// What a client was told of each game it owns: the name it has now, or that it is gone. A change
/// that was sent but not answered leaves two possibilities.
#[derive(Default)]
struct Acknowledged(BTreeMap<String, Vec<Option<String>>>);

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_by_kill_9() {
    let mut rng = random::rng();
    let folder = tempfile::tempdir().unwrap();
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..random::rounds(5) {
        let server = Arc::new(Server::start(folder.path()));
        check(&server, &known).await;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let rng = StdRng::seed_from_u64(rng.random::<u64>() ^ n);
                tokio::spawn(write(Arc::clone(&server), Arc::clone(&known), rng, round))
            })
            .collect();
        // The kill comes after so many acknowledged writes, not after a time.
        let enough = known.lock().unwrap().0.len() + rng.random_range(50..800);
        while known.lock().unwrap().0.len() < enough {
            tokio::task::yield_now().await;
        }
        testkit::process::signal(server.id(), "KILL");
        for client in clients {
            client.await.unwrap();
        }
    }
    let server = Server::start(folder.path());
    check(&server, &known).await;
    println!("{} games checked", known.lock().unwrap().0.len());
}

/// Writes until the server is gone.
async fn write(
    server: Arc<Server>,
    known: Arc<Mutex<Acknowledged>>,
    mut rng: StdRng,
    round: usize,
) {
    let mut mine = Vec::new();
    for n in 0.. {
        let name = format!("round_{round}_{n}_{}", rng.random::<u64>());
        let act = if mine.is_empty() { 0 } else { rng.random_range(0..10) };
        let done = match act {
            0..7 => create(&server, &known, &name, &mut mine).await,
            7..9 => change(&server, &known, &mine[rng.random_range(0..mine.len())], name).await,
            _ => {
                let path = mine.swap_remove(rng.random_range(0..mine.len()));
                remove(&server, &known, &path).await
            }
        };
        if !done {
            return;
        }
    }
}

async fn create(
    server: &Server,
    known: &Mutex<Acknowledged>,
    name: &str,
    mine: &mut Vec<String>,
) -> bool {
    let Ok(answer) = server.send(Method::POST, "/api/overview", Some(&game(name))).await else {
        return false;
    };
    assert_eq!(answer.status(), 201);
    let path = answer.headers()["location"].to_str().unwrap().to_owned();
    let before = known.lock().unwrap().0.insert(path.clone(), vec![Some(name.to_owned())]);
    assert_eq!(before, None, "{path} was assigned twice");
    mine.push(path);
    true
}

async fn change(server: &Server, known: &Mutex<Acknowledged>, path: &str, name: String) -> bool {
    known.lock().unwrap().0.get_mut(path).unwrap().push(Some(name.clone()));
    let body = serde_json::json!({ "game_name": name });
    let Ok(answer) = server.send(Method::PUT, path, Some(&body)).await else { return false };
    assert_eq!(answer.status(), 200);
    known.lock().unwrap().0.insert(path.to_owned(), vec![Some(name)]);
    true
}

async fn remove(server: &Server, known: &Mutex<Acknowledged>, path: &str) -> bool {
    known.lock().unwrap().0.get_mut(path).unwrap().push(None);
    let Ok(answer) = server.send(Method::DELETE, path, None).await else { return false };
    assert_eq!(answer.status(), 200);
    known.lock().unwrap().0.insert(path.to_owned(), vec![None]);
    true
}

/// Every game is as the last answer about it said.
async fn check(server: &Server, known: &Mutex<Acknowledged>) {
    let expected = known.lock().unwrap().0.clone();
    for (path, possible) in expected {
        let answer = server.send(Method::GET, &path, None).await.unwrap();
        let name = if answer.status() == 404 {
            None
        } else {
            let body: serde_json::Value =
                serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            Some(body[0]["game_name"].as_str().unwrap().to_owned())
        };
        assert!(possible.contains(&name), "{path} is {name:?}, not one of {possible:?}");
        known.lock().unwrap().0.insert(path, vec![name]);
    }
}
