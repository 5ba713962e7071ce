//! A node returns without the writes that it missed; no hints were kept for it.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use rand::RngExt;
use reqwest::Method;
use serde_json::Value;

use crate::acknowledged_writes::Writers;
use crate::requests::serve;
use testkit::db_server::DbServer;
use testkit::process::{output, stderr, stdout, storefront};

/// Writes that the node misses: games, users, items.
const GAMES: u64 = 9_500;
const ACCOUNTS: u64 = 250;

/// `storefront audit --replicas` names the ranges and the node, and `--repair` repairs them.
pub async fn what_a_node_missed_is_reported_and_repaired(
    cluster: &Arc<DbServer>,
    rng: &mut impl RngExt,
) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program { folder: folder.path(), url: url(cluster) };
    program.seed("--reset", 1_000);
    let number = rng.random_range(1..4);
    let (name, address) = (format!("cassandra:{number}"), format!("127.0.0.{number}:"));
    let stopped = name.clone();
    cluster.stop(&stopped).await;
    program.seed("--append", GAMES);
    program.open_accounts().await;
    let refused = program.run(&["audit", "--replicas"]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    let said = stderr(&refused);
    assert!(said.contains(&address) && said.contains("only while all nodes are up"), "{said}");
    cluster.start_again(&name).await;

    let found = program.audit(&[], 1);
    assert_eq!(found["replica"]["replicas"], 3, "{found}");
    let different = listed(&found, "different");
    for table in ["cart_accounts", "overviews", "store_metadata"] {
        let is_named = |range: &String| {
            let (most, other) = range.split_once(", other ").expect("what most have and what not");
            range.starts_with(table) && !most.contains(&address) && other.contains(&address)
        };
        assert!(different.iter().any(is_named), "{table} on {address} in {different:?}");
    }
    let repaired = program.audit(&["--repair"], 0);
    assert!(!listed(&repaired, "repaired").is_empty(), "{repaired}");
    let rows = repaired["replica"]["rows"].as_u64().unwrap();
    assert!(rows >= 1_000 + GAMES + 2 * ACCOUNTS, "{rows} rows");
    program.nothing_is_found_while_others_write().await;
}

/// A keyspace with three copies.
fn url(cluster: &DbServer) -> String {
    format!("{}_copies?replication=3", cluster.value("cassandra"))
}

struct Program<'a> {
    folder: &'a Path,
    url: String,
}

impl Program<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = storefront(self.folder);
        output(command.args(arguments).args(["--database-url", &self.url]))
    }

    fn seed(&self, how: &str, rows: u64) {
        let seeded = self.run(&["seed", how, "--rows", &rows.to_string()]);
        assert!(seeded.status.success(), "{}", stderr(&seeded));
    }

    async fn open_accounts(&self) {
        let server = serve(self.folder, &self.url);
        for path in [
            format!("/payment/batch_init/{ACCOUNTS}/1"),
            format!("/stock/batch_init/{ACCOUNTS}/1/1"),
        ] {
            let answer = server.send(Method::POST, &path, None).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}: {}", server.log());
        }
    }

    /// The report of an audit of the copies, which must end with that code.
    fn audit(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [&["audit", "--replicas", "--format", "json"], arguments].concat();
        let audit = self.run(&arguments);
        let report = stdout(&audit);
        assert_eq!(audit.status.code(), Some(code), "{report}{}", stderr(&audit));
        serde_json::from_str(&report).unwrap()
    }

    async fn nothing_is_found_while_others_write(&self) {
        let server = Arc::new(serve(self.folder, &self.url));
        let writers = Writers::of_games(&server);
        writers.acknowledged(200).await;
        tokio::task::block_in_place(|| self.audit(&[], 0));
        writers.stop().await.verify(&server).await;
    }
}

fn listed(report: &Value, name: &str) -> Vec<String> {
    let ranges = report["replica"][name].as_array().expect("a list");
    ranges.iter().map(|range| range.as_str().unwrap().to_owned()).collect()
}
