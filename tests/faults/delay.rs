//! A database that is far away.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::requests::{ANSWER_TIMEOUT, ProxiedServer, answer};
use testkit::games::game;
use testkit::proxy::Mode;

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_correct_with_a_slow_database() {
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::open().await;
    for delay in [20, 150].map(Duration::from_millis) {
        proxy.set(Mode::Delay(delay));
        let creates = (0..40).map(|n| {
            let create = (Method::POST, "/api/overview", Some(game(&format!("game_{n}"))));
            async move { (n, answer(server, ANSWER_TIMEOUT, create).await) }
        });
        for (n, created) in join_all(creates).await {
            assert_eq!(created.status(), 201, "{}", server.log());
            let path = created.headers()["location"].to_str().unwrap();
            assert!(server.get(path).await.contains(&format!("\"game_name\":\"game_{n}\"")));
        }
        let change = Some(json!({"developer": delay.as_millis().to_string()}));
        let changed =
            answer(server, ANSWER_TIMEOUT, (Method::PUT, "/api/overview/1", change)).await;
        assert_eq!(changed.status(), 200);
        let developer = format!("\"developer\":\"{}\"", delay.as_millis());
        let reads = (0..40).map(|_| server.get("/api/overview/1"));
        for found in join_all(reads).await {
            assert!(found.contains(&developer), "a read that began after a write sees it");
        }
    }
    let removes =
        (0..8).map(|_| answer(server, ANSWER_TIMEOUT, (Method::DELETE, "/api/overview/1", None)));
    let removed: Vec<_> = join_all(removes).await.iter().map(|a| a.status().as_u16()).collect();
    assert_eq!(removed.iter().filter(|status| **status == 200).count(), 1, "{removed:?}");
    assert_eq!(server.status("/api/overview/1").await, 404);
}
