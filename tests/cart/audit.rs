//! `storefront audit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;

use crate::clients::{Client, Shared, Workload};
use crate::expected_state::Shop;
use crate::server_group::ServerGroup;
use testkit::database::OwnDatabase;
use testkit::postgres::{REPLICA, address};
use testkit::process::{output, stderr, stdout, storefront};

each_backend! {
    a_store_that_agrees_is_counted
    a_difference_is_named_and_the_exit_code_is_1
    a_store_without_a_schema_is_one_sentence
    an_audit_of_a_busy_store_finds_no_difference
}

/// A program, a user with 10, an item of which 10 at 2 each, and a paid order of 3 of it, at rest.
async fn shop(backend: &str) -> ServerGroup {
    let group = ServerGroup::start(backend, 1).await;
    group.done("/payment/batch_init/1/10").await;
    group.done("/stock/batch_init/1/10/2").await;
    let order = group.done("/orders/create/0").await.text("order_id");
    group.done(&format!("/orders/addItem/{order}/0/3")).await;
    group.done(&format!("/orders/checkout/{order}")).await;
    // On Cassandra an operation is completed in the background, after its answer.
    group.agrees();
    group
}

async fn a_store_that_agrees_is_counted(backend: &str) {
    let group = shop(backend).await;
    let report = group.agrees();
    for (name, count) in
        [("users", 1), ("items", 1), ("orders", 1), ("paid_orders", 1), ("reset", 0)]
    {
        assert_eq!(report[name], count, "{name} in {report}");
    }
    group.done("/payment/batch_init/1/10").await;
    assert_eq!(group.agrees()["reset"], 1);
    let mut command = storefront(group.folder());
    let table = output(command.args(["audit", "--database-url", group.database_url()]));
    let text = stdout(&table);
    assert_eq!(table.status.code(), Some(0), "{}", stderr(&table));
    assert!(text.contains("paid orders             1\n"), "{text}");
    assert!(text.ends_with("everything agrees\n"), "{text}");
    assert!(!text.contains(":storefront@"), "no password: {text}");
}

async fn a_difference_is_named_and_the_exit_code_is_1(backend: &str) {
    let group = shop(backend).await;
    for statement in damage(backend) {
        group.damage(statement).await;
    }
    let report = group.audit();
    assert_eq!((&report["agrees"], &report["different"]), (&false.into(), &3.into()), "{report}");
    let mut command = storefront(group.folder());
    let table = output(command.args(["audit", "--database-url", group.database_url()]));
    assert_eq!(table.status.code(), Some(1));
    for line in [
        "credit of user 0 is 5, should be 4",
        "stock of item 0 is 7, should be 6",
        "sold of item 0 is 4, should be 3",
        "not everything agrees",
    ] {
        assert!(stdout(&table).contains(line), "{line} in {}", stdout(&table));
    }
    assert!(stderr(&table).contains("storefront: 3 differences"), "{}", stderr(&table));
    // Looking has changed nothing, and the program goes on.
    assert_eq!(group.audit(), report);
    assert!(group.ask(Method::GET, "/stock/find/0").await.number("stock") == 7);
}

/// Sets the credit of user 0 to 5, and of item 0 what was sold to 4.
fn damage(backend: &str) -> [&'static str; 2] {
    match backend {
        "cassandra" => [
            "UPDATE cart_accounts SET available = 5 WHERE kind = 'user' AND id = '0' \
             AND op_id = 00000000-0000-0000-0000-000000000000",
            "UPDATE cart_accounts SET captured = 4 WHERE kind = 'item' AND id = '0' \
             AND op_id = 00000000-0000-0000-0000-000000000000",
        ],
        _ => [
            "UPDATE cart_users SET credit = 5 WHERE user_id = '0'",
            "UPDATE cart_items SET sold = 4 WHERE item_id = '0'",
        ],
    }
}

async fn a_store_without_a_schema_is_one_sentence(backend: &str) {
    let database = OwnDatabase::without_schema(backend).await;
    let mut command = storefront(database.folder());
    let refused = output(command.args(["audit", "--database-url", database.url()]));
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(stdout(&refused), "");
    let said = stderr(&refused);
    assert_eq!(said.lines().filter(|line| line.starts_with("storefront: ")).count(), 1, "{said}");
}

/// What is in progress is not mistaken for what was left in progress, nor a sum that changes for one
/// that is wrong.
async fn an_audit_of_a_busy_store_finds_no_difference(backend: &str) {
    let group = ServerGroup::start(backend, 2).await;
    let shop = Shop::open(&group).await;
    let (answered, unknown) = (AtomicU64::new(0), AtomicU64::new(0));
    let shared = Arc::new(Shared { group, shop, answered, unknown });
    let stop = Arc::new(AtomicBool::new(false));
    let mut rng = testkit::random::rng();
    let clients: Vec<_> = (0..12)
        .map(|_| StdRng::seed_from_u64(rng.random()))
        .map(|rng| {
            tokio::spawn(Client::new(Arc::clone(&shared), Workload::Mixed, &stop, rng).run())
        })
        .collect();
    let (mut audits, mut answered_before) = (0, 0);
    // Each audit has seen clients at work.
    while audits < 8 {
        let report = tokio::task::block_in_place(|| shared.group.audit());
        assert_eq!(report["different"], 0, "{report}");
        let answered = shared.answered.load(Ordering::Relaxed);
        audits += u64::from(answered > answered_before);
        answered_before = answered;
        assert!(clients.iter().all(|client| !client.is_finished()), "a client got a wrong answer");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let report = tokio::task::block_in_place(|| shared.group.agrees());
    assert_eq!(report["unsettled"], 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_database_has_no_replicas() {
    let group = shop("embedded").await;
    let mut command = storefront(group.folder());
    command.args(["audit", "--replicas", "--database-url", group.database_url()]);
    let table = output(&mut command);
    assert_eq!(table.status.code(), Some(0), "{}", stderr(&table));
    assert!(stdout(&table).contains("an embedded database has no replicas"), "{}", stdout(&table));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_replica_is_reported_as_the_only_one() {
    let group = shop("cassandra").await;
    for arguments in [["--replicas"].as_slice(), &["--replicas", "--repair"]] {
        let mut command = storefront(group.folder());
        command.arg("audit").args(arguments).args(["--database-url", group.database_url()]);
        let table = output(&mut command);
        assert_eq!(table.status.code(), Some(0), "{}", stderr(&table));
        let text = stdout(&table);
        assert!(text.contains("  there is a single replica of everything\n"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_cassandra_is_repaired() {
    let replicas = ["--replicas", "--repair"].as_slice();
    for (backend, arguments, sentence) in [
        ("embedded", replicas, "an embedded database has none: leave it out, or restore a backup"),
        ("postgres", replicas, "must be made again from its primary"),
        ("embedded", &["--repair"], "an embedded database leaves nothing: leave it out"),
        ("postgres", &["--repair"], "PostgreSQL leaves nothing: leave it out"),
    ] {
        let group = shop(backend).await;
        let mut command = storefront(group.folder());
        command.arg("audit").args(arguments).args(["--database-url", group.database_url()]);
        let refused = output(&mut command);
        assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
        assert!(stderr(&refused).contains(sentence), "{}", stderr(&refused));
    }
}

/// The audit of a PostgreSQL database with a replica's URL, as JSON.
fn with_replica(group: &ServerGroup, replica: Option<&str>) -> std::process::Output {
    let mut command = storefront(group.folder());
    command.args(["audit", "--replicas", "--format", "json"]);
    command.args(["--database-url", group.database_url()]);
    if let Some(replica) = replica {
        command.args(["--replica-url", replica]);
    }
    output(&mut command)
}

/// The group's own schema, or another's, by the replica.
fn by_replica(url: &str) -> String {
    let (_, schema) = url.split_once('?').expect("a schema of its own");
    format!("{}?{schema}", address(REPLICA))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_everything_agrees() {
    let group = shop("postgres").await;
    group.done("/payment/batch_init/25000/1").await;
    let compared = with_replica(&group, Some(&by_replica(group.database_url())));
    assert_eq!(compared.status.code(), Some(0), "{}", stderr(&compared));
    let report: serde_json::Value = serde_json::from_str(&stdout(&compared)).unwrap();
    let expected =
        serde_json::json!({"ranges": 6, "rows": 25_002, "unsettled": 0, "different": []});
    assert_eq!(report["replica"], expected);
}

/// A replica cannot be written to; another schema of it stands for one that has gone astray.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_in_which_a_replica_differs_are_named() {
    let (group, other) = (shop("postgres").await, shop("postgres").await);
    for group in [&group, &other] {
        group.done("/payment/batch_init/25000/1").await;
    }
    other.done("/payment/pay/24999/1").await;
    let compared = with_replica(&group, Some(&by_replica(other.database_url())));
    assert_eq!(compared.status.code(), Some(1), "{}", stdout(&compared));
    let report: serde_json::Value = serde_json::from_str(&stdout(&compared)).unwrap();
    // The orders' ids differ too.
    let different = ["cart_users with user_id from 18998 to before 5498", "cart_orders"];
    assert_eq!(report["replica"]["different"], serde_json::json!(different));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_check_without_a_replica_url_is_refused() {
    let refused = with_replica(&shop("postgres").await, None);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    assert!(stderr(&refused).contains("--replicas compares the replica of --replica-url"));
}
