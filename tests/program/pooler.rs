//! A database behind a pooler, which gives server connections to one client after another.

use std::process::Command;

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::visits::Servers;
use testkit::pgbouncer::Pgbouncer;
use testkit::postgres_database::PostgresDatabase;
use testkit::process::{Server, output, stderr, stdout, storefront};
use testkit::wait::eventually;

/// Connections of pgbouncer to PostgreSQL in transaction mode: far fewer than its clients have.
const SHARED: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_behind_pgbouncer_in_transaction_mode_answer_as_without_it() {
    let database = PostgresDatabase::create().await;
    let pgbouncer = Pgbouncer::before(&database, "transaction", SHARED).await;
    everything_works(&pgbouncer.url()).await;
    nothing_stays_behind(&pgbouncer.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_behind_pgbouncer_in_session_mode_answer_as_without_it() {
    let database = PostgresDatabase::create().await;
    let pgbouncer = Pgbouncer::before(&database, "session", 40).await;
    everything_works(&pgbouncer.url()).await;
}

/// Migrates, loads, serves and audits by way of that URL, with as many clients as on a direct one.
async fn everything_works(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = storefront(folder.path());
        succeeds(command.args(arguments).args(["--database-url", url]))
    };
    run(&["migrate"]);
    let loaded = run(&["seed", "--rows", "25000", "--checksum"]);
    assert!(loaded.contains("of 25000 games"), "{loaded}");
    let start = || {
        let mut command = storefront(folder.path());
        Server::spawn(command.args(["serve", "--database-url", url]), folder.path())
    };
    let (first, second) = (start(), start());
    an_activity_is_applied(&first).await;
    let servers = Servers::new(vec![first, second]);
    let load = {
        let mut command = storefront(folder.path());
        command.args(["seed", "--append", "--rows", "25000", "--database-url", url]);
        tokio::task::spawn_blocking(move || succeeds(&mut command))
    };
    servers.many_at_once(24, 4).await;
    servers.fixtures().await;
    load.await.expect("the load ends well");
    run(&["seed", "--reset", "--rows", "25000"]);
    servers.many_at_once(8, 2).await;
    let audit = run(&["audit"]);
    assert!(audit.contains("agree"), "{audit}");
}

/// By the worker, which nothing notifies here.
async fn an_activity_is_applied(server: &Server) {
    let message = json!({"activities": [{"operation": "insert", "table": "t", "col_names": ["a"],
                                         "col_types": ["INTEGER"], "col_values": [1]}]});
    let accepted = server.send(Method::POST, "/api/activities", Some(&message)).await.unwrap();
    assert_eq!(accepted.status(), 200);
    let id = body(accepted).await["id"].as_str().unwrap().to_owned();
    eventually("the message is applied", async || {
        let found = server.send(Method::GET, &format!("/api/activities/{id}"), None).await.unwrap();
        body(found).await["state"] == "applied"
    })
    .await;
}

async fn body(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn succeeds(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    stdout(&output)
}

/// In none of the shared sessions there is a statement, a setting or a lock of ours.
async fn nothing_stays_behind(url: &str) {
    let sql = "BEGIN; SELECT concat_ws(' ', pg_backend_pid(), \
               (SELECT count(*) FROM pg_prepared_statements), \
               current_setting('statement_timeout'), current_setting('enable_seqscan'), \
               current_setting('client_min_messages'))";
    // Each holds a session until all have looked.
    let look = || async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let messages = client.simple_query(sql).await.unwrap();
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        (client, row.expect("a row"))
    };
    let looked = join_all((0..SHARED).map(|_| look())).await;
    let mut sessions = std::collections::HashSet::new();
    for (_, row) in &looked {
        let (process, left) = row.split_once(' ').unwrap();
        assert_eq!(left, "0 0 on notice", "in session {process}");
        sessions.insert(process);
    }
    assert_eq!(sessions.len(), SHARED, "all sessions were looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_connection_is_known_as_one_and_keeps_its_prepared_statements() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    for mode in ["disable", "prefer", "require"] {
        let mut url = database.url();
        url.query_pairs_mut().append_pair("sslmode", mode).append_pair("application_name", mode);
        let mut command = storefront(folder.path());
        command.args(["serve", "--database-url", url.as_str()]);
        let servers = Servers::new(vec![Server::spawn(&mut command, folder.path())]);
        servers.many_at_once(1, 1).await;
        let last = "SELECT DISTINCT query FROM pg_stat_activity WHERE application_name =";
        let last = database.column(&format!("{last} '{mode}'")).await;
        assert!(last.iter().any(|query| query.contains("ANY($1)")), "{mode}: {last:?}");
        // Through a pooler it is the last word of each statement.
        assert!(!last.iter().any(|query| query == "COMMIT"), "{mode}: {last:?}");
    }
}
