//! Several programs on one database.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use reqwest::{Method, Response};
use serde_json::Value;

use crate::seeding::seed;
use testkit::database::OwnDatabase;
use testkit::games::game;
use testkit::process::{Server, output, signal, stderr, stdout, wait};
use testkit::wait::TIMEOUT;

/// The place of a game that was created, which must succeed.
async fn created(server: &Server, game: &Value) -> String {
    let answer = server.send(Method::POST, "/api/overview", Some(game)).await.unwrap();
    assert_eq!(answer.status(), 201);
    place(&answer)
}

fn place(answer: &Response) -> String {
    answer.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_share_a_file_assign_different_ids_and_see_each_other() {
    different_ids("embedded", 3, 480).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_share_a_postgres_database_assign_different_ids_and_see_each_other() {
    different_ids("postgres", 4, 20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_share_a_cassandra_keyspace_assign_different_ids_and_see_each_other() {
    different_ids("cassandra", 4, 20_000).await;
}

/// Clients at all servers create games, every tenth under an id of its own that the counter is
/// about to reach: each game has an id of its own, and is there.
async fn different_ids(backend: &str, servers: usize, games: usize) {
    const CLIENTS: usize = 48;
    let database = OwnDatabase::on(backend).await;
    let servers: Vec<_> = (0..servers).map(|_| Arc::new(Server::on(&database))).collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let server = Arc::clone(&servers[client % servers.len()]);
            let wanted = (0..games).skip(client).step_by(CLIENTS);
            tokio::spawn(async move { create_all(&server, wanted).await })
        })
        .collect();
    let mut paths = HashSet::new();
    for client in clients {
        for path in client.await.unwrap() {
            assert!(paths.insert(path.clone()), "{path} was given twice");
        }
    }
    assert!(paths.len() > games * 9 / 10 && paths.len() <= games);
    for (n, path) in paths.iter().enumerate().take(2_000) {
        for server in [&servers[n % servers.len()], &servers[(n + 1) % servers.len()]] {
            assert_eq!(server.status(path).await, 200, "{path}");
        }
    }
    drop(servers);
    let counted = output(&mut seed(&database, &["--append", "--rows", "1", "--checksum"]));
    let expected = format!("of {} games", paths.len() + 1);
    assert!(stdout(&counted).contains(&expected), "{expected}: {}", stdout(&counted));
}

/// Creates games; gives the places of those whose ids were not taken.
async fn create_all(server: &Server, wanted: impl Iterator<Item = usize>) -> Vec<String> {
    let mut paths = Vec::new();
    for n in wanted {
        let mut game = game("a");
        if n % 10 == 0 {
            game["game_id"] = (n + 40).into();
        }
        let answer = server.send(Method::POST, "/api/overview", Some(&game)).await.unwrap();
        match answer.status().as_u16() {
            201 => paths.push(place(&answer)),
            409 => assert!(n % 10 == 0, "an assigned id is never taken"),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_beside_a_serving_program_loses_no_write_of_a_file() {
    a_load_loses_no_write("embedded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_beside_a_serving_program_loses_no_write_of_a_postgres_database() {
    a_load_loses_no_write("postgres").await;
}

async fn a_load_loses_no_write(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let server = Server::on(&database);
    let mut seed = seed(&database, &["--rows", "60000"]);
    let load = tokio::task::spawn_blocking(move || output(&mut seed));
    let mut paths = Vec::new();
    while !load.is_finished() {
        paths.push(created(&server, &game("mine")).await);
    }
    let load = load.await.unwrap();
    // Depending on which was first, either the load began in an empty store, or it was refused.
    if load.status.success() {
        assert!(stdout(&load).contains("60000 games in"), "{}", stdout(&load));
        assert!(server.get("/api/overview/60000").await.contains("60000"));
    } else {
        assert!(stderr(&load).contains("the store has games already"), "{}", stderr(&load));
    }
    for path in paths {
        assert!(server.get(&path).await.contains("mine"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_postgres_reset_load_the_old_games_are_served() {
    let database = OwnDatabase::on("postgres").await;
    let server = Server::on(&database);
    for _ in 0..50 {
        created(&server, &game("old")).await;
    }
    let mut load = UnderWay::begin(&database, &["--reset", "--rows", "100000"]);
    for id in 1..=50 {
        let body = server.get(&format!("/api/overview/{id}")).await;
        assert!(body.contains(r#""game_name":"old""#), "{body}");
    }
    assert_eq!(server.status("/api/overview/51").await, 404, "nothing of the load is seen");
    load.finish();
    assert!(!server.get("/api/overview/1").await.contains(r#""game_name":"old""#));
    assert_eq!(server.status("/api/overview/100000").await, 200);
    assert_eq!(created(&server, &game("new")).await, "/api/overview/100001");
}

#[tokio::test(flavor = "multi_thread")]
async fn games_created_during_a_fresh_postgres_load_are_visible_during_and_after_it() {
    let database = OwnDatabase::on("postgres").await;
    let server = Server::on(&database);
    let mut load = UnderWay::begin(&database, &["--rows", "100000"]);
    let mut paths = Vec::new();
    for id in [None, Some(-7), Some(2_000_000), None] {
        let mut mine = game("mine");
        if let Some(id) = id {
            mine["game_id"] = id.into();
        }
        paths.push(created(&server, &mine).await);
        assert!(server.get(paths.last().unwrap()).await.contains("mine"));
    }
    let change = serde_json::json!({"developer": "changed"});
    server.send(Method::PUT, &paths[0], Some(&change)).await.unwrap();
    server.send(Method::DELETE, &paths[1], None).await.unwrap();
    load.finish();
    assert!(server.get(&paths[0]).await.contains(r#""developer":"changed""#));
    assert_eq!(server.status(&paths[1]).await, 404, "what was removed stays removed");
    for path in &paths[2..] {
        assert!(server.get(path).await.contains("mine"), "{path}");
    }
    assert_eq!(server.status("/api/overview/100000").await, 200);
}

/// A load that stands still in the middle of its work.
struct UnderWay {
    child: std::process::Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl UnderWay {
    fn begin(database: &OwnDatabase, arguments: &[&str]) -> Self {
        let mut command = seed(database, arguments);
        command.env("STOREFRONT_LOG", "storefront=debug");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("chunk stored") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "the load ended early");
        }
        signal(child.id(), "STOP");
        Self { child, errors }
    }

    fn finish(&mut self) {
        signal(self.child.id(), "CONT");
        // Without a reader the full pipe would block it.
        std::io::copy(&mut self.errors, &mut std::io::sink()).unwrap();
        assert!(wait(&mut self.child).success(), "within {TIMEOUT:?}");
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
