//! HTTP/1.1 itself: connections that stay open, pipelines, and requests that are none.

use crate::client::Request;
use crate::helpers::{JSON, TestStore, created};
use testkit::games::game;

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let store = TestStore::start().await;
    let mut connection = store.connect().await;
    let post = Request::new("POST", "/api/overview").body(JSON, game("A").to_string());
    for id in 1..=3 {
        assert_eq!(created(&connection.ask(&post).await), id);
        let get = Request::new("GET", &format!("/api/overview/{id}"));
        assert_eq!(connection.ask(&get).await.status, 200);
    }
    assert_eq!(connection.ask(&Request::new("GET", "/no/such/route")).await.status, 404);
    assert_eq!(connection.ask(&Request::new("HEAD", "/")).await.status, 200);
    assert_eq!(connection.ask(&Request::new("DELETE", "/api/overview/1")).await.status, 200);
    assert_eq!(store.metrics.connections.get(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let store = TestStore::start().await;
    let requests = [
        Request::new("POST", "/api/overview").body(JSON, game("A").to_string()),
        Request::new("GET", "/api/overview/1"),
        Request::new("PUT", "/api/overview/1").body(JSON, r#"{"developer":"x"}"#),
        Request::new("HEAD", "/api/overview/1"),
        Request::new("DELETE", "/api/overview/1"),
        Request::new("GET", "/api/overview/1"),
    ];
    let mut connection = store.connect().await;
    connection.send(&requests.each_ref().map(Request::bytes).concat()).await.unwrap();
    for (request, status) in requests.iter().zip([201, 200, 200, 200, 200, 404]) {
        assert_eq!(connection.answer_to(request.method()).await.status, status, "{request:?}");
    }
}

#[tokio::test]
async fn the_server_closes_when_the_client_asks_for_it() {
    let store = TestStore::start().await;
    for request in [
        "GET /healthz HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
    ] {
        let bytes = store.raw(request).await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.") && text.contains(" 200 OK\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nok"), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_expects_100_continue_is_asked_for_its_body() {
    let store = TestStore::start().await;
    let mut upload = store.begin_upload().await;
    assert_eq!(created(&upload.finish().await), 1);
    let again = upload.connection.ask(&Request::new("GET", "/api/overview/1")).await;
    assert_eq!(again.status, 200);
}

#[tokio::test]
async fn no_body_is_asked_for_that_would_be_refused_anyway() {
    let store = TestStore::start().await;
    let mut connection = store.connect().await;
    let request = Request::new("PUT", "/no/such/route")
        .header("expect", "100-continue")
        .body(JSON, game("A").to_string());
    connection.send(&request.head()).await.unwrap();
    assert_eq!(connection.answer_to("PUT").await.status, 404);
}

#[tokio::test]
async fn a_request_in_small_pieces_is_a_request() {
    let store = TestStore::start().await;
    let request = Request::new("POST", "/api/overview").body(JSON, game("A").to_string());
    let mut connection = store.connect().await;
    for piece in request.bytes().chunks(7) {
        connection.send(piece).await.unwrap();
    }
    assert_eq!(created(&connection.answer_to("POST").await), 1);
}

#[tokio::test]
async fn bytes_that_are_not_http_get_a_bare_400() {
    let store = TestStore::start().await;
    for bytes in [
        &b"hello\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nname with space: x\r\n\r\n",
        b"POST /api/overview HTTP/1.1\r\nhost: s\r\ncontent-length: many\r\n\r\n",
        b"POST /api/overview HTTP/1.1\r\nhost: s\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"GET /a b HTTP/1.1\r\nhost: s\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        let answer = String::from_utf8(store.raw(bytes).await).unwrap();
        let asked = String::from_utf8_lossy(bytes);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{asked}: {answer:?}");
        assert!(answer.ends_with("\r\n\r\n"), "no body: {asked}: {answer:?}");
    }
    assert_eq!(store.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_bodys_length_given_in_two_ways_smuggles_no_request() {
    let store = TestStore::start().await;
    let smuggled = "DELETE /api/overview/1 HTTP/1.1\r\nhost: s\r\n\r\n";
    store.create(&game("A")).await;
    let bytes = format!(
        "POST /api/overview HTTP/1.1\r\nhost: s\r\ncontent-type: application/json\r\n\
         content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
    );
    let answer = String::from_utf8(store.raw(bytes).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer and closed: {answer}");
    assert!(store.find(1).await.is_some());
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let store = TestStore::start().await;
    let many = "x: y\r\n".repeat(1_000);
    let long = format!("x: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, long] {
        let bytes = format!("GET / HTTP/1.1\r\nhost: s\r\n{headers}\r\n");
        let answer = String::from_utf8(store.raw(bytes).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    }
    let path = "a".repeat(1 << 17);
    let answer = store.raw(format!("GET /{path} HTTP/1.1\r\nhost: s\r\n\r\n")).await;
    assert!(answer.starts_with(b"HTTP/1.1 414 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn strange_targets_are_answered() {
    let store = TestStore::start().await;
    store.create(&game("A")).await;
    for (line, status) in [
        ("GET http://other.example/api/overview/1", 200),
        ("GET //api//overview/1", 404),
        ("GET /api/overview/1?x=%zz&y", 200),
        ("GET /?", 200),
        ("OPTIONS *", 404),
        ("CONNECT store:80", 404),
        ("BREW /api/overview", 405),
    ] {
        let bytes = format!("{line} HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n");
        let answer = String::from_utf8(store.raw(bytes).await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
    assert_eq!(store.metrics.panics.get(), 0);
}

#[tokio::test]
async fn a_refused_upload_reads_its_answer() {
    let store = TestStore::start().await;
    let body = vec![b'x'; 8 << 20];
    for (target, status) in [("/no/route", 404), ("/api/overview/1", 405), ("/api/overview", 413)] {
        let upload = Request::new("POST", target).body(JSON, body.clone());
        let mut connection = store.connect().await;
        connection.send(&upload.bytes()).await.expect("no reset while it is sent");
        assert_eq!(connection.answer_to("POST").await.status, status, "{target}");
    }
}
