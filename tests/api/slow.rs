//! Many clients that send a byte now and then, and one that wants to be served.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::client::TIMEOUT;
use crate::helpers::{Setup, TestStore};
use testkit::games::game;
use testkit::wait::eventually;

const SLOW: usize = 1_000;
const BETWEEN_BYTES: Duration = Duration::from_millis(100);
const HEAD: &str = "GET /api/overview/1 HTTP/1.1\r\nhost: store\r\nx-slow: ";

/// Sends a head that never ends, a byte at a time, until the server closes.
async fn dribble(mut stream: TcpStream) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let send = async {
        let mut tick = interval(BETWEEN_BYTES);
        for byte in HEAD.bytes().chain(std::iter::repeat(b'x')) {
            tick.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = send => {}
        _ = reader.read_to_end(&mut answer) => {}
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_clients_do_not_delay_another_and_are_cut() {
    let needed = 2 * SLOW as u64 + 500;
    let limit = rlimit::increase_nofile_limit(u64::MAX).expect("a limit of open files");
    assert!(limit >= needed, "this test needs {needed} open files, the limit is {limit}");
    let mut setup = Setup::default();
    setup.limits.header_timeout = Duration::from_secs(8);
    let store = TestStore::start_with(setup).await;
    store.create(&game("Stardew_Valley")).await;

    let sockets = join_all((0..SLOW).map(|_| TcpStream::connect(store.address))).await;
    let slow: Vec<_> =
        sockets.into_iter().map(|socket| tokio::spawn(dribble(socket.unwrap()))).collect();
    eventually("the server has them all", async || store.metrics.connections.get() >= SLOW as i64)
        .await;

    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(store.get("/api/overview/1").await.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        store.put_json(1, r#"{"developer":"x"}"#).await.is_text(200, "OK");
    }
    assert!(store.metrics.connections.get() >= SLOW as i64, "they were there all the time");

    for answer in timeout(TIMEOUT, join_all(slow)).await.expect("all are cut") {
        let answer = answer.expect("no panic");
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    }
    eventually("their places are free", async || store.metrics.connections.get() == 0).await;
    assert_eq!(store.get("/healthz").await.status, 200);
}
