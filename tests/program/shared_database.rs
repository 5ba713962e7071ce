//! Several programs on one file.

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::Method;

use crate::process::{Server, errors, game, output, printed, storefront};

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_share_a_file_assign_different_ids_and_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let servers = [0, 1, 2].map(|_| Arc::new(Server::start(folder.path())));
    let clients: Vec<_> = (0..12)
        .map(|n| {
            let server = Arc::clone(&servers[n % 3]);
            tokio::spawn(async move {
                let mut paths = Vec::new();
                for _ in 0..40 {
                    let sent = server.send(Method::POST, "/api/overview", Some(&game("a"))).await;
                    let answer = sent.unwrap();
                    assert_eq!(answer.status(), 201);
                    paths.push(answer.headers()["location"].to_str().unwrap().to_owned());
                }
                paths
            })
        })
        .collect();
    let mut paths = HashSet::new();
    for client in clients {
        paths.extend(client.await.unwrap());
    }
    assert_eq!(paths.len(), 12 * 40);
    for path in &paths {
        for server in &servers {
            assert_eq!(server.status(path).await, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_beside_a_serving_program_loses_no_write() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut seed = storefront(folder.path());
    seed.args(["seed", "--rows", "60000", "--database-url", "embedded:games.db"]);
    let load = tokio::task::spawn_blocking(move || output(&mut seed));
    let mut paths = Vec::new();
    while !load.is_finished() {
        let answer = server.send(Method::POST, "/api/overview", Some(&game("mine"))).await.unwrap();
        assert_eq!(answer.status(), 201);
        paths.push(answer.headers()["location"].to_str().unwrap().to_owned());
    }
    let load = load.await.unwrap();
    // Whoever was first: either the load began in an empty store, or it was refused.
    if load.status.success() {
        assert!(printed(&load).contains("60000 games in"), "{}", printed(&load));
        assert!(server.get("/api/overview/60000").await.contains("60000"));
    } else {
        assert!(errors(&load).contains("the store has games already"), "{}", errors(&load));
    }
    for path in paths {
        assert!(server.get(&path).await.contains("mine"), "{path}");
    }
}
