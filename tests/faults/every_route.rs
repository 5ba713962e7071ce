//! Every route that the program documents, so that no new one can be left out of these tests.

use reqwest::Method;
use serde_json::{Value, json};

use crate::requests::RouteRequest;
use testkit::games::game;
use testkit::process::Server;

/// Routes that need no database: operations, and what other services answer.
const WITHOUT_A_DATABASE: [&str; 7] = [
    "/api/activities/schema",
    "/api/activities/status",
    "/healthz",
    "/metrics",
    "/api/overviewImage/{game_id}",
    "/api/overviewImage/{game_id}/banner.svg",
    "/api/reviews/{id}",
];
/// Routes that read although they are no GET.
const READS: [&str; 2] = [
    "/payment/status/",
    // Nothing is rejected, so that nothing is retried.
    "/api/activities/rejections/retry",
];
/// Fewer would mean that the document has lost a service.
const AT_LEAST: usize = 25;

/// A request of each route and method that needs the database.
pub async fn every_route(server: &Server) -> Vec<RouteRequest> {
    let document: Value = serde_json::from_str(&server.get("/openapi.json").await).unwrap();
    let mut requests = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        if WITHOUT_A_DATABASE.contains(&path.as_str()) {
            continue;
        }
        for name in item.as_object().expect("operations").keys() {
            let method: Method = name.to_uppercase().parse().expect("a method");
            let body = body(&method, path, &item[name]);
            requests.push((method, with_parameters(path), body));
        }
    }
    assert!(requests.len() >= AT_LEAST, "{requests:?}");
    requests
}

/// Whether it changes nothing.
pub fn is_read((method, path, _): &RouteRequest) -> bool {
    *method == Method::GET || READS.iter().any(|read| path.starts_with(read))
}

/// A value for each parameter: ids of what is not there, and small numbers.
fn with_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some("game_id") => "987654",
            Some("id") => "01890000-0000-7000-8000-000000000000",
            Some("user" | "order" | "item") => "none",
            Some(
                "n" | "quantity" | "price" | "credit" | "stock" | "n_items" | "n_users"
                | "item_price",
            ) => "1",
            Some(name) => panic!("{path}: which value has the new parameter {name}?"),
            None => segment,
        }
    });
    let query = match path {
        "/api/activities/rows" | "/api/activities/tables" => "?table=none",
        "/api/activities/rejections/retry" => "?cause=none",
        _ => "",
    };
    segments.collect::<Vec<_>>().join("/") + query
}

fn body(method: &Method, path: &str, operation: &Value) -> Option<Value> {
    operation.get("requestBody")?;
    match (method.as_str(), path) {
        ("POST", "/api/overview") => Some(game("any")),
        ("PUT", "/api/overview/{game_id}") => Some(json!({"developer": "any"})),
        ("POST", "/api/activities" | "/api/activities/{id}/retry") => Some(message()),
        _ => panic!("{method} {path}: which body has the new route?"),
    }
}

/// A valid message of activities.
fn message() -> Value {
    json!({ "activities": [{
        "operation": "insert", "table": "any", "col_names": ["n"], "col_types": ["INTEGER"],
        "col_values": [1],
    }] })
}
