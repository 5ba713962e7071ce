//! Leases over HTTP.

use std::path::Path;

use serde_json::{Value, json};
use testkit::wait::{eventually, until};

use crate::{Lab, folder};

async fn leased(lab: &Lab, duration: u32) -> Value {
    let body = json!({ "database_type": 1, "database_size": 1, "duration": duration });
    until("a lease", async || {
        let (status, answer) = lab.post("/db_lease/lease", body.clone()).await;
        (status == 200).then_some(answer)
    })
    .await
}

fn file(lease: &Value) -> String {
    lease["connection_string"].as_str().unwrap().strip_prefix("embedded:").unwrap().to_owned()
}

#[tokio::test]
async fn a_lease_is_renewed_released_and_then_over() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let lease = leased(&lab, 60).await;
    let id = &lease["lease_id"];
    let other = json!({ "database_type": 1, "database_size": 1, "duration": 5 });
    let answer =
        lab.server.send(reqwest::Method::POST, "/db_lease/lease", Some(&other)).await.unwrap();
    assert_eq!(answer.status(), 503);
    let seconds: u32 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=61).contains(&seconds), "{seconds}");
    let (status, renewed) =
        lab.post("/db_lease/renew", json!({ "lease_id": id, "duration": 600 })).await;
    assert_eq!(status, 200);
    assert!(renewed["expires_at"].as_str() > lease["expires_at"].as_str());
    let (status, _) = lab.post("/db_lease/release", json!({ "lease_id": id })).await;
    assert_eq!(status, 200);
    for path in ["/db_lease/release", "/db_lease/renew"] {
        let (status, answer) = lab.post(path, json!({ "lease_id": id, "duration": 5 })).await;
        assert_eq!(status, 409, "{answer}");
    }
}

#[tokio::test]
async fn the_next_holder_gets_a_database_of_its_own() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let first = leased(&lab, 1).await;
    let path = folder.path().join(file(&first));
    assert!(path.exists(), "{}", path.display());
    let second = leased(&lab, 60).await;
    assert_ne!(file(&first), file(&second));
    eventually("the first database is gone", async || !path.exists()).await;
    assert!(folder.path().join(file(&second)).exists());
    let listed = lab.get("/db_lease").await;
    let of_type =
        listed.as_array().unwrap().iter().find(|one| one["lease_id"] == second["lease_id"]);
    assert_eq!(of_type.unwrap()["state"], "leased");
}

#[tokio::test]
async fn two_labs_on_one_store_never_lease_a_database_twice() {
    let folder = folder();
    let labs = [Lab::start(folder.path(), &[]), Lab::start(folder.path(), &[])];
    let mut files = Vec::new();
    let all = futures::future::join_all(labs.iter().map(|lab| async move {
        let mut files = Vec::new();
        for _ in 0..10 {
            let lease = leased(lab, 60).await;
            let marker = format!("{}.held", file(&lease));
            (lab, &mut files).1.push(marker.clone());
            hold(folder_of(&lease, &marker)).await;
            lab.post("/db_lease/release", json!({ "lease_id": lease["lease_id"] })).await;
        }
        files
    }))
    .await;
    for held in all {
        files.extend(held);
    }
    files.sort();
    let count = files.len();
    files.dedup();
    assert_eq!(files.len(), count, "each lease has a database of its own");
}

/// The place of a marker, which is not inside the database's folder.
fn folder_of(_lease: &Value, marker: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(marker.replace('/', "_"))
}

/// Creates a marker that must not be there yet, and removes it.
async fn hold(marker: std::path::PathBuf) {
    let path: &Path = &marker;
    std::fs::File::create_new(path).expect("nobody else has this lease");
    tokio::task::yield_now().await;
    std::fs::remove_file(path).expect("it is still there");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_registered() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let address = testkit::process::free_address();
    let body = json!({
        "database_type": 1, "database_size": 1, "resource_id": "mine",
        "connection_string": format!("postgres://u:secret@{address}/d"),
    });
    let (status, answer) = lab.post("/db_lease/add", body).await;
    assert_eq!(status, 503, "{answer}");
    assert!(!answer.to_string().contains("secret"), "{answer}");
    for (url, named) in [
        ("mysql://u:secret@h/d", "connection_string"),
        ("postgres://u:secret@h:x/d", "connection_string"),
    ] {
        let body = json!({ "database_type": 1, "database_size": 1, "resource_id": "mine", "connection_string": url });
        let (status, answer) = lab.post("/db_lease/add", body).await;
        assert_eq!(status, 400, "{answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(named) && !detail.contains("secret"), "{detail}");
    }
}
