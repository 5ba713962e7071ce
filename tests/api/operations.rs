//! Health, readiness, metrics and the OpenAPI document.

use std::collections::BTreeSet;

use crate::client::Request;
use crate::helpers::TestStore;
use testkit::games::game;
use testkit::wait::{eventually, until};

#[tokio::test]
async fn a_running_server_is_healthy_and_ready() {
    let store = TestStore::start().await;
    store.get("/healthz").await.is_text(200, "ok");
    store.get("/readyz").await.is_text(200, "ready");
}

#[tokio::test]
async fn a_server_about_to_stop_is_healthy_but_not_ready() {
    let store = TestStore::start().await;
    store.readiness.turn_off();
    let answer = store.get("/readyz").await;
    answer.problem(503);
    assert!(answer.header("retry-after").is_some());
    store.get("/healthz").await.is_text(200, "ok");
    assert_eq!(store.create(&game("A")).await, 1, "who comes nevertheless is served");
}

#[tokio::test]
async fn while_a_task_is_down_the_server_is_not_ready_and_says_which() {
    let store = TestStore::start().await;
    let defect = async || panic!("on purpose");
    let task = tokio::spawn(store.registry.supervisor().supervise("some task", defect));
    // The pauses between its restarts grow: soon it is down most of the time.
    let answer = until("it is not ready", async || {
        let answer = store.get("/readyz").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    answer.problem(503);
    assert!(answer.text().contains("some task"), "{}", answer.text());
    store.get("/healthz").await.is_text(200, "ok");
    task.abort();
    eventually("it is ready", async || store.get("/readyz").await.status == 200).await;
    let metrics = store.get("/metrics").await;
    assert!(!metrics.text().contains("storefront_task_restarts_total 0"), "{}", metrics.text());
}

/// Lines of the metric that counts requests, as `method route status number`.
async fn counts(store: &TestStore) -> BTreeSet<String> {
    let metrics = store.get("/metrics").await;
    let line = regex_lite::Regex::new(
        r#"(?m)^storefront_http_request_seconds_count\{method="(\w+)",route="([^"]+)",status="(\d+)"\} (\d+)$"#,
    );
    line.expect("an expression")
        .captures_iter(metrics.text())
        .map(|found| format!("{} {} {} {}", &found[1], &found[2], &found[3], &found[4]))
        .collect()
}

#[tokio::test]
async fn metrics_are_in_the_open_metrics_format() {
    let store = TestStore::start().await;
    store.create(&game("A")).await;
    let answer = store.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"));
    for metric in [
        "storefront_http_in_flight 1",
        "storefront_http_connections 1",
        "storefront_http_shed_total 0",
        "storefront_http_panics_total 0",
        "storefront_store_call_seconds_count{call=\"overview_create\",outcome=\"ok\"} 1",
    ] {
        assert!(text.lines().any(|line| line == metric), "{metric} in {text}");
    }
}

#[tokio::test]
async fn cart_operations_are_counted_by_outcome() {
    let store = TestStore::start().await;
    let (user, item) = (store.user(1).await, store.item(2, 1).await);
    for status in [200, 409] {
        let order = store.order(&user, &[(&item, 1)]).await;
        assert_eq!(store.checkout(&order).await.status, status);
    }
    let metrics = store.get("/metrics").await;
    for outcome in ["ok", "refused"] {
        let line = format!(
            "storefront_store_call_seconds_count{{call=\"checkout\",outcome=\"{outcome}\"}} 1"
        );
        assert!(metrics.text().lines().any(|found| found == line), "{}", metrics.text());
    }
}

#[tokio::test]
async fn requests_are_counted_by_method_route_and_status() {
    let store = TestStore::start().await;
    store.create(&game("A")).await;
    store.post_json("{}").await;
    for target in ["/api/overview/1", "/api/overview/1/", "/api/overview/9", "/api/overview"] {
        store.get(target).await;
    }
    store.head("/api/overview/1").await;
    store.send(Request::new("PATCH", "/api/overview/1")).await;
    let expected = [
        "POST /api/overview 201 1",
        "POST /api/overview 400 1",
        "GET /api/overview/{game_id} 200 2",
        "GET /api/overview/{game_id} 404 1",
        "GET /api/overview 200 1",
        "HEAD /api/overview/{game_id} 200 1",
        "other /api/overview/{game_id} 405 1",
    ];
    assert_eq!(counts(&store).await, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn nothing_a_client_sends_becomes_a_label() {
    let store = TestStore::start().await;
    for n in 0..50 {
        store.get(&format!("/zzz{n}/y/x")).await;
        store.get(&format!("/zzz{n}?zzz={n}")).await;
        store.get(&format!("/api/overview/zzz{n}")).await;
        store.send(Request::new(&format!("ZZZ{n}"), "/api/zzz/y").header("zzz", "zzz")).await;
    }
    let expected = [
        "GET none 404 50",
        "GET /{game_id} 200 50",
        "GET /api/overview/{game_id} 404 50",
        "other none 404 50",
    ];
    assert_eq!(counts(&store).await, expected.map(str::to_owned).into());
    assert!(!store.get("/metrics").await.text().to_lowercase().contains("zzz"));
}

/// Each operation of the document as `METHOD /path`.
async fn operations(store: &TestStore) -> BTreeSet<String> {
    let document = store.get("/openapi.json").await;
    assert_eq!(document.header("content-type"), Some("application/json; charset=utf-8"));
    let document = document.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

#[tokio::test]
async fn the_document_lists_the_routes_of_the_api() {
    let store = TestStore::start().await;
    let expected = [
        "DELETE /api/activities/tables",
        "DELETE /api/activities/{id}",
        "DELETE /api/overview/{game_id}",
        "DELETE /orders/remove/{order}",
        "DELETE /orders/removeItem/{order}/{item}",
        "GET /api/activities",
        "GET /api/activities/rejections",
        "GET /api/activities/rows",
        "GET /api/activities/schema",
        "GET /api/activities/status",
        "GET /api/activities/tables",
        "GET /api/activities/{id}",
        "GET /api/activities/{id}/payload",
        "GET /api/overview",
        "GET /api/overview/{game_id}",
        "GET /api/overviewImage/{game_id}",
        "GET /api/overviewImage/{game_id}/banner.svg",
        "GET /api/reviews/{id}",
        "GET /healthz",
        "GET /metrics",
        "GET /orders/find/{order}",
        "GET /payment/find_user/{user}",
        "GET /payment/status/{user}/{order}",
        "GET /readyz",
        "GET /stock/find/{item}",
        "POST /api/activities",
        "POST /api/activities/rejections/retry",
        "POST /api/activities/{id}/retry",
        "POST /api/overview",
        "POST /orders/addItem/{order}/{item}/{quantity}",
        "POST /orders/batch_init/{n}/{n_items}/{n_users}/{item_price}",
        "POST /orders/checkout/{order}",
        "POST /orders/create/{user}",
        "POST /payment/add_funds/{user}/{n}",
        "POST /payment/batch_init/{n}/{credit}",
        "POST /payment/cancel/{user}/{order}",
        "POST /payment/create_user",
        "POST /payment/pay/{user}/{n}",
        "POST /payment/status/{user}/{order}",
        "POST /stock/add/{item}/{n}",
        "POST /stock/batch_init/{n}/{stock}/{price}",
        "POST /stock/item/create/{price}",
        "POST /stock/subtract/{item}/{n}",
        "PUT /api/overview/{game_id}",
    ];
    assert_eq!(operations(&store).await, expected.map(str::to_owned).into());
}

/// The id is how clients that are made from the document, and its viewer, tell operations apart.
#[tokio::test]
async fn each_operation_of_the_document_has_an_id_of_its_own() {
    let store = TestStore::start().await;
    let document = store.get("/openapi.json").await.json();
    let items = document["paths"].as_object().expect("paths").values();
    let operations = items.flat_map(|item| item.as_object().expect("operations").values());
    let ids: Vec<_> = operations.map(|one| one["operationId"].as_str().expect("an id")).collect();
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
}

#[tokio::test]
async fn the_router_knows_exactly_the_documents_methods() {
    let store = TestStore::start().await;
    let operations = operations(&store).await;
    for path in operations.iter().map(|operation| operation.split_once(' ').unwrap().1) {
        let target = path.replace("{game_id}", "1").replace("{id}", "1");
        let refused = store.send(Request::new("BREW", &target)).await;
        let allowed: BTreeSet<_> = refused.header("allow").unwrap().split(',').collect();
        let documented = |method: &&str| operations.contains(&format!("{method} {path}"));
        let mut expected: BTreeSet<_> =
            ["GET", "POST", "PUT", "DELETE", "PATCH"].into_iter().filter(documented).collect();
        if expected.contains("GET") {
            expected.insert("HEAD");
        }
        assert_eq!(allowed, expected, "{path}");
    }
}

#[tokio::test]
async fn the_document_names_every_reference_it_makes() {
    let store = TestStore::start().await;
    let text = store.get("/openapi.json").await;
    let document = text.json();
    let reference = regex_lite::Regex::new(r##""\$ref":"#(/[^"]+)""##).unwrap();
    assert!(reference.is_match(text.text()));
    for found in reference.captures_iter(text.text()) {
        assert!(document.pointer(&found[1]).is_some(), "{}", &found[1]);
    }
}
