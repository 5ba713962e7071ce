//! Banners and reviews: made here, or passed on from the services that have them.

use std::time::{Duration, Instant};

use regex_lite::Regex;

use crate::client::Response;
use crate::helpers::{Setup, TestStore};
use crate::upstream_server::{Manner, UpstreamServer, closed_port};

/// The routes that both kinds of upstream answer.
const ROUTES: [&str; 2] = ["/api/overviewImage/7", "/api/reviews/7"];

/// A store whose images and reviews are both at this upstream.
async fn beside(url: &reqwest::Url) -> TestStore {
    let (images, reviews) = (Some(url.clone()), Some(url.clone()));
    TestStore::start_with(Setup { images, reviews, ..Setup::default() }).await
}

#[tokio::test]
async fn a_placeholder_banner_is_the_url_of_a_picture_we_serve() {
    let store = TestStore::start().await;
    let answer = store.get("/api/overviewImage/7").await;
    insta::assert_snapshot!(answer.golden());
    let url = answer.json();
    let picture = store.get(url.as_str().expect("a text")).await;
    assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    assert!(picture.text().starts_with("<svg ") && picture.text().ends_with("</svg>"));
}

#[tokio::test]
async fn placeholders_depend_on_the_id_alone() {
    let (one, other) = (TestStore::start().await, TestStore::start().await);
    for target in ["/api/overviewImage/7/banner.svg", "/api/reviews/7", "/api/reviews/-7"] {
        assert_eq!(one.get(target).await.body, other.get(target).await.body, "{target}");
    }
    for (a, b) in [
        ("/api/overviewImage/7/banner.svg", "/api/overviewImage/8/banner.svg"),
        ("/api/reviews/7", "/api/reviews/8"),
    ] {
        assert_ne!(one.get(a).await.body, one.get(b).await.body);
    }
}

#[tokio::test]
async fn placeholder_reviews_have_a_verdict_and_a_date() {
    let store = TestStore::start().await;
    let iso = Regex::new(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$").unwrap();
    let answer = store.get("/api/reviews/7").await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let reviews = answer.json();
    let reviews = reviews.as_array().unwrap();
    assert!(!reviews.is_empty());
    for review in reviews {
        assert!(review["recommended"].is_boolean(), "{review}");
        assert!(iso.is_match(review["posted"].as_str().unwrap()), "{review}");
    }
}

#[tokio::test]
async fn an_id_that_is_not_an_int32_has_no_upstream() {
    let upstream = UpstreamServer::answering("200 OK", "application/json", b"[]").await;
    for store in [TestStore::start().await, beside(&upstream.url).await] {
        for id in ["abc", "1.5", "2147483648", "%FF", "%00", "..%2fsecret"] {
            for target in [format!("/api/overviewImage/{id}"), format!("/api/reviews/{id}")] {
                store.get(&target).await.is_text(404, "Not Found");
            }
            let banner = format!("/api/overviewImage/{id}/banner.svg");
            store.get(&banner).await.is_text(404, "Not Found");
        }
    }
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn an_upstreams_answer_is_passed_on() {
    let body = r#"[{"recommended":true,"posted":"2020-01-01T00:00:00.000Z","text":"é"}]"#;
    let upstream =
        UpstreamServer::answering("200 OK", "application/json; charset=utf-8", body.as_bytes());
    let upstream = upstream.await;
    let store = beside(&upstream.url).await;
    for target in ROUTES {
        let answer = store.get(target).await;
        assert_eq!((answer.status, answer.text()), (200, body));
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.header("set-cookie"), None, "a upstream's cookies are not ours");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let asked = ROUTES.map(|target| format!("GET {target} HTTP/1.1"));
    assert_eq!(upstream.asked(), asked);
}

#[tokio::test]
async fn a_passed_on_answer_has_a_tag_too() {
    let upstream =
        UpstreamServer::answering("200 OK", "application/json", b"\"https://i.example/7.png\"");
    let upstream = upstream.await;
    let store = beside(&upstream.url).await;
    for target in ROUTES {
        let answer = store.get(target).await;
        let tag = answer.header("etag").expect("a tag");
        assert!(tag.starts_with("W/\""), "{tag}");
        assert_eq!(store.get_with(target, "if-none-match", tag).await.status, 304);
    }
}

#[tokio::test]
async fn an_upstream_may_be_below_a_path() {
    let upstream = UpstreamServer::answering("200 OK", "application/json", b"[]").await;
    for base in ["deep/er", "deep/er/"] {
        let store = beside(&upstream.url.join(base).unwrap()).await;
        assert_eq!(store.get("/api/reviews/-7").await.status, 200);
    }
    assert_eq!(upstream.asked(), ["GET /deep/er/api/reviews/-7 HTTP/1.1"; 2]);
}

#[tokio::test]
async fn only_the_upstream_that_is_named_is_asked() {
    let upstream = UpstreamServer::answering("200 OK", "application/json", b"\"theirs\"").await;
    let images = Some(upstream.url.clone());
    let store = TestStore::start_with(Setup { images, ..Setup::default() }).await;
    assert_eq!(store.get("/api/overviewImage/7").await.text(), "\"theirs\"");
    assert!(store.get("/api/reviews/7").await.json().is_array());
    assert_eq!(upstream.asked().len(), 1);
}

#[tokio::test]
async fn what_a_upstream_does_not_have_is_not_found() {
    let upstream =
        UpstreamServer::answering("404 Not Found", "text/html", b"<h1>theirs</h1>").await;
    let store = beside(&upstream.url).await;
    for target in ROUTES {
        store.get(target).await.is_text(404, "Not Found");
    }
}

/// Fails unless it is a 502 that tells nothing of the upstream.
#[track_caller]
fn is_bad_gateway(answer: &Response, upstream: &reqwest::Url) {
    answer.problem(502);
    let port = upstream.port().expect("a port").to_string();
    assert!(!answer.text().contains(&port), "{}", answer.text());
    assert!(!answer.text().contains("secret"), "{}", answer.text());
}

#[tokio::test]
async fn an_upstream_that_fails_is_502() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "401 Unauthorized"] {
        let upstream = UpstreamServer::answering(status, "text/plain", b"secret").await;
        let store = beside(&upstream.url).await;
        for target in ROUTES {
            is_bad_gateway(&store.get(target).await, &upstream.url);
        }
    }
    let url = closed_port().await;
    let store = beside(&url).await;
    insta::assert_snapshot!(store.get("/api/reviews/7").await.golden());
    for target in ROUTES {
        is_bad_gateway(&store.get(target).await, &url);
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_speak_http_is_502() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec();
    for bytes in [Vec::new(), b"SSH-2.0-secret\r\n".to_vec(), short] {
        let upstream = UpstreamServer::start(Manner::Say(bytes)).await;
        let store = beside(&upstream.url).await;
        is_bad_gateway(&store.get("/api/reviews/7").await, &upstream.url);
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_is_502_after_about_two_seconds() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    for bytes in [Vec::new(), half] {
        let upstream = UpstreamServer::start(Manner::SayAndHang(bytes)).await;
        let store = beside(&upstream.url).await;
        let begun = Instant::now();
        let (image, reviews) = tokio::join!(store.get(ROUTES[0]), store.get(ROUTES[1]));
        let took = begun.elapsed();
        is_bad_gateway(&image, &upstream.url);
        is_bad_gateway(&reviews, &upstream.url);
        assert!(took > Duration::from_secs(1), "a slow upstream has its time: {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_says_too_much_is_502() {
    let fits = UpstreamServer::answering("200 OK", "text/plain", &vec![b'x'; 1 << 20]).await;
    assert_eq!(beside(&fits.url).await.get("/api/reviews/7").await.body.len(), 1 << 20);
    let upstream =
        UpstreamServer::answering("200 OK", "text/plain", &vec![b'x'; (4 << 20) + 1]).await;
    is_bad_gateway(&beside(&upstream.url).await.get("/api/reviews/7").await, &upstream.url);
}
