//! A table is altered beside a running server.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::requests::{ANSWER_TIMEOUT, Request, answer};
use testkit::database::OwnDatabase;
use testkit::games::game;
use testkit::process::Server;

/// Requests of each kind at once: more than a pool has connections.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_column_was_altered_every_request_works() {
    for backend in ["postgres", "postgres15"] {
        let database = OwnDatabase::on(backend).await;
        let server = Server::on(&database);
        all_succeed(&server).await;
        for alter in [
            "ALTER TABLE overviews ALTER game_name TYPE varchar(80)",
            "ALTER TABLE overviews ALTER game_name TYPE varchar(90), ALTER tags TYPE varchar(90)[]",
            "ALTER TABLE overviews ADD shelf text",
            "ALTER TABLE overviews ALTER game_name TYPE text",
        ] {
            database.execute(alter).await;
            all_succeed(&server).await;
        }
    }
}

async fn all_succeed(server: &Server) {
    let requests: [Request<'_>; 5] = [
        (Method::POST, "/api/overview", Some(game("any"))),
        (Method::GET, "/api/overview/1", None),
        (Method::GET, "/api/overview?limit=3", None),
        (Method::PUT, "/api/overview/1", Some(json!({"developer": "any"}))),
        (Method::GET, "/readyz", None),
    ];
    for request in requests {
        let asked = (0..AT_ONCE).map(|_| answer(server, ANSWER_TIMEOUT, request.clone()));
        for answer in join_all(asked).await {
            let status = answer.status();
            assert!(status.is_success(), "{status} {request:?}\n{}", server.log());
        }
    }
}
