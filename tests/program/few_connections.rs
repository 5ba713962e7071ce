//! PostgreSQL with few connections to give, and with a user who may only change rows.

use std::sync::Arc;

use reqwest::{Method, Url};
use serde_json::json;

use crate::visits::Servers;
use testkit::games::{game, game_with};
use testkit::postgres_database::PostgresDatabase;
use testkit::process::{Server, output, stderr, stdout, storefront};
use testkit::wait::eventually;

/// The program on that database, with as few connections as it can do with.
fn serve(folder: &std::path::Path, url: &Url) -> Server {
    let mut command = storefront(folder);
    command.args(["serve", "--postgres-connections", "8", "--database-url", url.as_str()]);
    command.env("STOREFRONT_LOG", "storefront=debug");
    Server::spawn(&mut command, folder)
}

/// Connections of the database's owner besides the one that asks.
async fn connections(database: &PostgresDatabase) -> usize {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user \
                 AND pid <> pg_backend_pid()";
    database.column(count).await[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_connections_wait_for_a_slow_statement() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(serve(folder.path(), &database.url()));
    for _ in 0..2 {
        let created = server.send(Method::POST, "/api/overview", Some(&game("a"))).await.unwrap();
        assert_eq!(created.status(), 201);
    }
    let url = database.url();
    let (client, connection) =
        tokio_postgres::connect(url.as_str(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE overviews IN SHARE MODE").await.unwrap();
    let requests: Vec<_> = (0..40)
        .map(|n| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let path = format!("/api/overview/{}", 1 + n % 2);
                let change = json!({"developer": n.to_string()});
                server.send(Method::PUT, &path, Some(&change)).await.unwrap().status().as_u16()
            })
        })
        .collect();
    eventually("a change waits for the table", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        database.column(waiting).await != ["0"]
    })
    .await;
    // The worker of the activities has four, and the one that holds the lock is the test's own.
    assert!(connections(&database).await <= 8 + 4 + 1);
    client.batch_execute("COMMIT").await.unwrap();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200, "{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_has_no_connection_to_give_requests_wait_for_one() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(serve(folder.path(), &database.url()));
    let created = server.send(Method::POST, "/api/overview", Some(&game("a"))).await.unwrap();
    assert_eq!(created.status(), 201);
    // The batches lose their connections, and neither they nor the pools get new ones.
    let limit =
        |connections: &str| format!("ALTER ROLE {} CONNECTION LIMIT {connections}", database.name);
    database.administer(&limit("0")).await;
    database.disconnect_all().await;
    // Of the batches only: the pools, and the worker of the activities, say it in other words.
    let refused =
        || server.log().matches("PostgreSQL has no connection to give, requests wait").count();
    // Six batches, which do not take turns.
    eventually("all batches have tried to connect", async || refused() >= 24).await;
    let requests = [
        (Method::GET, "/api/overview/1", None),
        (Method::GET, "/api/overview?limit=3", None),
        (Method::POST, "/api/overview", Some(game("b"))),
        (Method::PUT, "/api/overview/1", Some(json!({"developer": "b"}))),
        (Method::POST, "/payment/create_user", None),
    ];
    let requests = requests.map(|(method, path, body)| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let answer = server.send(method, path, body.as_ref()).await.unwrap();
            (path, answer.status().as_u16())
        })
    });
    let before = refused();
    eventually("they wait and are tried again", async || refused() > before + 8).await;
    database.administer(&limit("-1")).await;
    for request in requests {
        let (path, status) = request.await.unwrap();
        assert!(matches!(status, 200 | 201), "{path}: {status}\n{}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_change_rows_can_serve() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let url = database.url_of_user_with_rights_on_rows().await;
    let said = refusal(folder.path(), &url);
    let cure = "may not migrate it: run `storefront migrate` as the owner of the tables";
    assert!(said.contains("version 0") && said.contains(cure), "{said}");

    let mut migrate = storefront(folder.path());
    migrate.args(["migrate", "--database-url", database.url().as_str()]);
    assert!(output(&mut migrate).status.success());
    database.grant_rights_on_rows().await;
    // Without the right to create anything, temporary tables included.
    database.execute(&format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", database.name)).await;
    let servers = Servers::new(vec![serve(folder.path(), &url)]);
    servers.many_at_once(4, 2).await;
    servers.fixtures().await;
    a_run_of_taken_ids_is_skipped(&servers, &database).await;
}

/// The sequence of ids cannot be locked by a user who does not own it.
async fn a_run_of_taken_ids_is_skipped(servers: &Servers, database: &PostgresDatabase) {
    let fill = "INSERT INTO overviews SELECT last_value + n, 'a', 'b', 'c', 'd', 'e', '{}' \
                FROM overviews_game_id_seq, generate_series(1, 25000) AS n";
    database.execute(fill).await;
    let highest = database.column("SELECT max(game_id) FROM overviews").await;
    let path = servers.ask(0, 201, Method::POST, "/api/overview", Some(&game("new"))).await;
    let expected: i64 = highest[0].parse::<i64>().unwrap() + 1;
    assert_eq!(path, format!("/api/overview/{expected}"));
    let given = game_with(json!({"game_id": expected}));
    servers.ask(0, 409, Method::POST, "/api/overview", Some(&given)).await;
}

/// The one sentence of a server that does not start.
fn refusal(folder: &std::path::Path, url: &Url) -> String {
    let mut command = storefront(folder);
    command.env("STOREFRONT_LISTEN", "127.0.0.1:0");
    let refused = output(command.args(["serve", "--database-url", url.as_str()]));
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    stderr(&refused)
}
