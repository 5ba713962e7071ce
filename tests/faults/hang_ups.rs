//! Clients that hang up while the database says nothing: the writes that they leave behind stay within
//! the limit of requests in flight, and so does the memory.

use std::sync::Arc;

use futures::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use testkit::database::OwnDatabase;
use testkit::process::{Server, storefront};
use testkit::proxy::{Mode, Proxy};
use testkit::wait::eventually;

const IN_FLIGHT: u32 = 64;
/// Fewer than may be in flight: if a client that is gone gave back its place at once, none would be
/// refused.
const CLIENTS: u32 = 32;
const WARM_UP: u32 = 3_000;
const REQUESTS: u32 = 12_000;
/// What an allocator keeps, and more. Without a limit each write in vain takes some kilobytes.
const GROWTH: u64 = 30 << 20;

async fn made(server: &Server, path: &str, key: &str) -> String {
    let answer = server.send(Method::POST, path, None).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    body[key].as_str().unwrap().to_owned()
}

async fn done(server: &Server, path: &str) {
    assert_eq!(server.send(Method::POST, path, None).await.unwrap().status(), 200, "{path}");
}

/// An order that can be checked out.
async fn order(server: &Server) -> String {
    let user = made(server, "/payment/create_user", "user_id").await;
    let item = made(server, "/stock/item/create/1", "item_id").await;
    let order = made(server, &format!("/orders/create/{user}"), "order_id").await;
    done(server, &format!("/payment/add_funds/{user}/1")).await;
    done(server, &format!("/stock/add/{item}/1")).await;
    done(server, &format!("/orders/addItem/{order}/{item}/1")).await;
    order
}

/// Asks for checkouts and hangs up each time without waiting for the answer. The greatest number of
/// requests in flight meanwhile.
async fn hang_up(server: &Arc<Server>, order: &str, requests: u32) -> f64 {
    let clients = (0..CLIENTS).map(|_| {
        let address = server.base.trim_start_matches("http://").to_owned();
        let request = format!("POST /orders/checkout/{order} HTTP/1.1\r\nhost: a\r\n\r\n");
        tokio::spawn(async move {
            for _ in 0..requests / CLIENTS {
                let mut connection = TcpStream::connect(&address).await.unwrap();
                connection.write_all(request.as_bytes()).await.unwrap();
            }
        })
    });
    let clients = tokio::spawn(join_all(clients));
    let mut most = 0.0_f64;
    while !clients.is_finished() {
        most = most.max(server.metric("storefront_http_in_flight").await);
    }
    clients.await.unwrap().into_iter().for_each(Result::unwrap);
    most
}

async fn memory_stays_flat(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let (url, proxy) = Proxy::before(database.url()).await;
    let mut command = storefront(database.folder());
    command.args(["serve", "--database-url", &url, "--max-in-flight", &IN_FLIGHT.to_string()]);
    let server = Arc::new(Server::spawn(&mut command, database.folder()));
    let order = order(&server).await;

    proxy.set(Mode::Freeze);
    // A server that finds the request and the end of its connection together may drop it unbegun. So
    // this is repeated until enough were begun.
    eventually("writes keep the places of their clients", async || {
        hang_up(&server, &order, WARM_UP).await;
        server.metric("storefront_http_shed_total").await > 0.0
    })
    .await;
    let before = server.resident_bytes();
    let most = hang_up(&server, &order, REQUESTS).await;
    // A request is counted before it is refused.
    assert!(most <= f64::from(IN_FLIGHT + CLIENTS + 1), "{most} in flight");
    let growth = server.resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH, "{} MB more after {REQUESTS} hang-ups", growth >> 20);

    proxy.restore();
    eventually("checkouts work again", async || {
        let path = format!("/orders/checkout/{order}");
        server.send(Method::POST, &path, None).await.unwrap().status() == 200
    })
    .await;
    let idle = async || server.metric("storefront_http_in_flight").await <= 1.0;
    eventually("nothing else is in flight", idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_while_postgres_is_silent() {
    memory_stays_flat("postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_while_cassandra_is_silent() {
    memory_stays_flat("cassandra").await;
}
