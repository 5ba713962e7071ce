//! Logs and messages that nobody reads, or that cannot be written: the server works and ends all the
//! same.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use reqwest::Method;

use testkit::games::game;
use testkit::process::{Server, client, signal, storefront, wait};
use testkit::wait::{eventually, until};

/// Far below the time for which a write into a full pipe waits: for ever.
const AT_ONCE: Duration = Duration::from_secs(60);
const DROPPED: &str = "storefront_log_lines_dropped_total";

/// A server that logs every request, to there.
fn server_that_logs_to(stderr: impl Into<Stdio>) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    command.args(["serve", "--database-url", "embedded:games.db", "--log", "debug"]);
    let server = Server::spawn_with_stderr(&mut command, stderr);
    (folder, server)
}

async fn answers(server: &Server, requests: usize) {
    let asked = stream::iter(0..requests).map(async |n| {
        let answer = match n % 2 {
            0 => server.send(Method::GET, "/api/overview/1", None).await,
            _ => server.send(Method::POST, "/api/overview", Some(&game("a"))).await,
        };
        assert!(answer.unwrap().status().is_success());
    });
    asked.buffer_unordered(16).collect::<()>().await;
}

async fn works_and_stops(server: Server, requests: usize) {
    let created = server.send(Method::POST, "/api/overview", Some(&game("a"))).await;
    assert_eq!(created.unwrap().status(), 201);
    let answered = tokio::time::timeout(AT_ONCE, answers(&server, requests)).await;
    answered.expect("requests do not wait for the log");
    assert_eq!(server.get("/readyz").await, "ready");
    eventually("lines are dropped", async || server.metric(DROPPED).await > 0.0).await;
    let begun = Instant::now();
    server.signal("TERM");
    assert!(server.end().0.success());
    assert!(begun.elapsed() < AT_ONCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (_folder, server) = server_that_logs_to(writer);
    // More lines than fit into the pipe and the queue.
    works_and_stops(server, 6_000).await;
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_is_gone_stops_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (_folder, server) = server_that_logs_to(writer);
    drop(reader);
    works_and_stops(server, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk_stops_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (_folder, server) = server_that_logs_to(full);
    works_and_stops(server, 100).await;
}

#[tokio::test]
async fn a_server_serves_though_the_line_that_says_so_cannot_be_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let log = folder.path().join("log");
    let mut command = storefront(folder.path());
    command.args(["serve", "--database-url", "embedded:games.db", "--listen", "127.0.0.1:0"]);
    command.stdout(closed).stderr(File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let address = until("its address is logged", async || {
        let log = std::fs::read_to_string(&log).unwrap();
        let (_, address) = log.split_once("could not be printed")?.1.split_once("address=")?;
        address.split_once('\n').map(|(address, _)| address.trim().to_owned())
    })
    .await;
    let asked = client().build().unwrap().get(format!("http://{address}/readyz")).send().await;
    signal(child.id(), "TERM");
    assert!(wait(&mut child).success());
    assert_eq!(asked.unwrap().status(), 200);
}
