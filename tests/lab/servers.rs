//! Runs on real servers: PostgreSQL, PostgreSQL with its replica, and Cassandra.

use serde_json::{Value, json};
use testkit::postgres::{self, NEWEST, OLDEST, REPLICA};
use testkit::wait::eventually;

use crate::{Lab, adds_up, folder, offered};

/// The address of a server's URL.
fn address(url: &str) -> &str {
    url.rsplit('@').next().unwrap().split('/').next().unwrap()
}

/// Registers PostgreSQL 15 as a single server, 18 with its replica, and Cassandra.
async fn register_all(lab: &Lab) {
    let cassandra = std::env::var("STOREFRONT_TEST_CASSANDRA").unwrap();
    let replica = postgres::address(REPLICA);
    for (database_type, url, replica) in [
        (1, postgres::address(OLDEST), Value::Null),
        (2, postgres::address(NEWEST), json!(address(&replica))),
        (3, format!("{cassandra}?timeout=20000"), Value::Null),
    ] {
        let body = json!({
            "database_type": database_type, "database_size": 1, "resource_id": format!("real-{database_type}"),
            "connection_string": url, "replica_ip": replica,
        });
        let (status, answer) = lab.post("/db_lease/add", body).await;
        assert_eq!(status, 200, "{answer}");
    }
    eventually("three databases are ready", async || {
        let all = lab.get("/db_lease").await;
        let real = |one: &&Value| one["resource_id"].as_str().unwrap().starts_with("real-");
        let all = all.as_array().unwrap();
        assert!(all.iter().filter(real).all(|one| one["state"] != "broken"), "{all:?}");
        all.iter().filter(real).filter(|one| one["state"] == "free").count() == 3
    })
    .await;
}

#[tokio::test]
async fn real_databases_are_loaded_side_by_side_and_left_as_they_were() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    register_all(&lab).await;
    let ids = lab.run(json!({ "intensity": 1 })).await;
    for (id, name) in ids.iter().zip(["PostgreSQL 15", "PostgreSQL 18", "Cassandra 5"]) {
        let job = lab.ended(id).await;
        assert_eq!(job["state"], "finished", "{job}");
        assert!(job["database"]["name"].as_str().unwrap().starts_with(name), "{job}");
        assert_eq!(job["database"]["stand_in"], false);
        let windows = lab.windows(id, 5).await;
        windows.iter().for_each(adds_up);
        assert_eq!((offered(&windows, "read"), offered(&windows, "write")), (500, 500));
        let succeeded: u64 =
            windows.iter().map(|window| window["read"]["ok"].as_u64().unwrap()).sum();
        assert!(succeeded > 0, "{windows:?}");
    }
    for resource in ["real-1", "real-2", "real-3"] {
        let (status, answer) =
            lab.send(reqwest::Method::DELETE, &format!("/db_lease/{resource}"), json!({})).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test]
async fn rows_that_are_deleted_in_a_run_fail_every_read() {
    let folder = folder();
    let lab = Lab::start(folder.path(), &[]);
    let database = testkit::postgres_database::PostgresDatabase::create().await;
    let url = database.url().to_string();
    let body = json!({ "database_type": 1, "database_size": 3, "resource_id": "mine", "connection_string": url });
    let (status, answer) = lab.post("/db_lease/add", body).await;
    assert_eq!(status, 200, "{answer}");
    let ids = lab.run(json!({ "sql_size": 3, "seconds": 12 })).await;
    lab.windows(&ids[0], 1).await;
    let schema = database.column("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'storefront_lab_%' AND nspname NOT LIKE '%activities'").await;
    let [schema] = schema.as_slice() else { panic!("{schema:?}") };
    database
        .execute(&format!("DELETE FROM {schema}.overviews; DELETE FROM {schema}.cart_orders"))
        .await;
    lab.ended(&ids[0]).await;
    let windows = lab.windows(&ids[0], 12).await;
    let last = &windows.last().unwrap()["read"];
    assert_eq!(last["failure_percent"], 100.0, "{last}");
    assert_eq!(last["errors"]["missing"], last["offered"], "{last}");
}
