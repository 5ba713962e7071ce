//! Programs that serve a part of the routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use storefront::config::services::Services;

use crate::client::Request;
use crate::helpers::{Setup, TestStore};

const ROUTES: [(&str, &str, &str); 11] = [
    ("overview", "GET", "/api/overview"),
    ("overview", "GET", "/api/reviews/1"),
    ("overview", "GET", "/1"),
    ("overview", "GET", "/dist/bundle.js"),
    ("orders", "POST", "/orders/create/u"),
    ("stock", "POST", "/stock/item/create/1"),
    ("payment", "POST", "/payment/create_user"),
    ("activities", "GET", "/api/activities"),
    ("", "GET", "/healthz"),
    ("", "GET", "/docs"),
    ("", "GET", "/activities"),
];

async fn serving(list: &str) -> TestStore {
    let services = Services::parse(list).expect("services");
    TestStore::start_with(Setup { services, ..Setup::default() }).await
}

#[tokio::test]
async fn a_program_serves_what_it_is_told_to() {
    for list in ["overview", "orders", "stock", "payment", "overview,stock", "activities"] {
        let store = serving(list).await;
        for (service, method, target) in ROUTES {
            let answer = store.send(Request::new(method, target)).await;
            let is_served = service.is_empty() || list.split(',').any(|name| name == service);
            let expected = if is_served { 200 } else { 404 };
            assert_eq!(answer.status, expected, "{list}: {target}: {}", answer.golden());
            if !is_served {
                assert_eq!(answer.problem(404), "There is nothing here.");
            }
        }
    }
}

#[tokio::test]
async fn the_document_lists_what_is_served() {
    let store = serving("stock").await;
    let document = store.get("/openapi.json").await.json();
    let paths: Vec<_> = document["paths"].as_object().expect("paths").keys().collect();
    assert!(paths.iter().all(|path| !path.starts_with("/orders") && !path.starts_with("/api")));
    assert!(paths.iter().any(|path| *path == "/stock/find/{item}"), "{paths:?}");
}

/// All services together have one document, in which a second schema of a name would replace the first.
#[tokio::test]
async fn no_two_services_have_different_schemas_of_one_name() {
    let mut known: BTreeMap<String, (&str, Value)> = BTreeMap::new();
    for service in ["overview", "orders", "stock", "payment", "activities"] {
        let document = serving(service).await.get("/openapi.json").await.json();
        for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
            let (other, first) = known.entry(name.clone()).or_insert((service, schema.clone()));
            assert_eq!(first, schema, "{name} of {other} and of {service}");
        }
    }
}

#[tokio::test]
async fn three_programs_share_a_store() {
    let orders = serving("orders").await;
    let on = |list: &str| Setup {
        services: Services::parse(list).expect("services"),
        database: Some(Arc::clone(&orders.database)),
        ..Setup::default()
    };
    let stock = TestStore::start_with(on("stock")).await;
    let payment = TestStore::start_with(on("payment")).await;
    let (user, item) = (payment.user(10).await, stock.item(5, 3).await);
    let order = orders.order(&user, &[(&item, 2)]).await;
    orders.checkout(&order).await.is_text(200, "The order is paid.");
    assert_eq!((payment.credit_of(&user).await, stock.stock_of(&item).await), (4, 3));
    payment.done(&format!("/payment/cancel/{user}/{order}")).await;
    assert_eq!((payment.credit_of(&user).await, stock.stock_of(&item).await), (10, 5));
}
