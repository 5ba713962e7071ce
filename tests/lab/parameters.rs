//! Every route with what it cannot take.

use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Lab, folder, run_body};

/// A body that has everything, and the fields that it needs.
fn bodies() -> [(&'static str, Value, &'static [&'static str]); 7] {
    let database = json!({
        "database_type": 1, "database_size": 1, "resource_id": "mine",
        "connection_string": "postgres://u:p@127.0.0.1:1/d",
    });
    let id = "0192aaaa-0000-7000-8000-000000000000";
    [
        (
            "/run",
            run_body(json!({})),
            &[
                "read_pattern",
                "write_pattern",
                "intensity",
                "sql_size",
                "sql_rep_size",
                "spanner_size",
            ],
        ),
        (
            "/fail",
            json!({ "read_pattern": 1, "write_pattern": 1 }),
            &["read_pattern", "write_pattern"],
        ),
        (
            "/cached",
            {
                let mut body = run_body(json!({ "mode": "run" }));
                body.as_object_mut().unwrap().remove("seconds");
                body
            },
            &[
                "mode",
                "read_pattern",
                "write_pattern",
                "intensity",
                "sql_size",
                "sql_rep_size",
                "spanner_size",
            ],
        ),
        (
            "/db_lease/add",
            database,
            &["database_type", "database_size", "resource_id", "connection_string"],
        ),
        (
            "/db_lease/lease",
            json!({ "database_type": 1, "database_size": 1, "duration": 5 }),
            &["database_type", "database_size", "duration"],
        ),
        ("/db_lease/renew", json!({ "lease_id": id, "duration": 5 }), &["lease_id", "duration"]),
        ("/db_lease/release", json!({ "lease_id": id }), &["lease_id"]),
    ]
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    for (path, body, needed) in bodies() {
        for field in needed {
            for wrong in
                [None, Some(json!("x\u{0}")), Some(json!(-1)), Some(json!([])), Some(json!(""))]
            {
                let mut body = body.clone();
                match wrong {
                    None => drop(body.as_object_mut().unwrap().remove(*field)),
                    Some(value) => body[*field] = value,
                }
                let (status, answer) = lab.post(path, body.clone()).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {answer}");
                let detail = answer["detail"].as_str().unwrap();
                assert!(detail.contains(&format!("`{field}`")), "{path} {field}: {detail}");
            }
        }
        for text in ["", "[]", "{", "null"] {
            let answer = lab.server.client.post(format!("{}{path}", lab.server.base));
            let answer = answer.header("content-type", "application/json").body(text);
            assert_eq!(answer.send().await.unwrap().status(), 400, "{path} {text}");
        }
    }
    // Nothing was leased or started by any of them.
    assert_eq!(lab.get("/jobs").await, json!([]));
}

#[tokio::test]
async fn optional_parameters_are_checked_too() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    for (field, wrong) in [
        ("seconds", json!(4)),
        ("seconds", json!(601)),
        ("mode", json!("all")),
        ("faults", json!("no list")),
        ("faults", json!([{ "at": 1, "target": "sql", "action": "explode", "seconds": 1 }])),
    ] {
        let (status, answer) = lab.post("/run", run_body(json!({ field: wrong }))).await;
        assert_eq!(status, 400, "{field} {wrong}");
        assert!(answer["detail"].as_str().unwrap().contains(field), "{answer}");
    }
    // No server of this lab can be paused.
    let fault = json!([{ "at": 1, "target": "sql", "action": "pause", "seconds": 1 }]);
    let (status, answer) = lab.post("/run", run_body(json!({ "faults": fault }))).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(lab.get("/jobs").await, json!([]));
}

#[tokio::test]
async fn numbers_may_be_digits_in_strings_and_bodies_forms() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let form = "mode=run&read_pattern=1&write_pattern=2&intensity=3&sql_size=2&sql_rep_size=1&spanner_size=2";
    let answer = lab.server.client.post(format!("{}/cached", lab.server.base));
    let answer = answer.header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer: Value =
        serde_json::from_str(&answer.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(answer, json!({ "job_ids": ["sql-2-3", "sqlrep-1-3", "spanner-2-3"] }));
    let failing = json!({ "mode": "fail", "read_pattern": "1", "write_pattern": "3" });
    let (_, answer) = lab.post("/cached", failing).await;
    assert_eq!(answer, json!({ "job_ids": ["sql-1-3"] }));
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let id = "0192aaaa-0000-7000-8000-000000000000";
    for (method, path) in [
        (Method::GET, format!("/jobs/{id}")),
        (Method::GET, "/jobs/none".to_owned()),
        (Method::GET, format!("/jobs/{id}/transactions")),
        (Method::GET, format!("/jobs/{id}/events")),
        (Method::GET, format!("/jobs/events?ids={id}")),
        (Method::GET, format!("/jobs/{id}/report")),
        (Method::GET, format!("/jobs/{id}/export.csv")),
        (Method::GET, format!("/jobs/{id}/export.json")),
        (Method::POST, format!("/jobs/{id}/stop")),
        (Method::POST, format!("/jobs/{id}/keep")),
        (Method::GET, "/cached/sql-1-1/patterns/1-1/transactions".to_owned()),
    ] {
        let (status, answer) = lab.send(method, &path, json!({})).await;
        assert_eq!(status, 404, "{path}: {answer}");
    }
    for ids in ["", "?ids=", "?ids=none", "?ids=,"] {
        assert_eq!(lab.server.status(&format!("/jobs/events{ids}")).await, 400, "{ids}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_starts_nothing() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    for (origin, expected) in
        [("https://evil.example", 403), ("null", 403), (lab.server.base.as_str(), 400)]
    {
        let request = lab.server.client.post(format!("{}/run", lab.server.base));
        let request =
            request.header("origin", origin).header("content-type", "application/json").body("{}");
        assert_eq!(request.send().await.unwrap().status(), expected, "{origin}");
    }
    assert_eq!(lab.get("/jobs").await, json!([]));
}
