//! Opening a keyspace: what is made, and what is refused in one sentence that says what to do.

use storefront::config::database::cassandra::Cassandra as Settings;
use storefront::db::MigrationPolicy;
use storefront::db::storage::ErrorKind;

use crate::world::at_once;
use testkit::cassandra::{Keyspace, open, session};

async fn refusal(settings: Settings, policy: MigrationPolicy) -> (ErrorKind, String) {
    let error = open(settings, policy).await.err().expect("it is refused");
    (error.kind(), error.to_string())
}

async fn execute(keyspace: &Keyspace, statement: &str) {
    let session = session(&keyspace.settings()).await;
    let statement = statement.replace("KS", &keyspace.name);
    session.query_unpaged(statement, ()).await.unwrap();
}

const CREATE: &str = "CREATE KEYSPACE KS WITH replication = \
                      {'class': 'SimpleStrategy', 'replication_factor': 1}";

#[tokio::test]
async fn a_host_where_nothing_listens() {
    let settings =
        Settings { hosts: vec!["127.0.0.1:1".to_owned()], ..Keyspace::reserve().await.settings() };
    let (kind, text) = refusal(settings, MigrationPolicy::Migrate).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.contains("127.0.0.1:1: nothing listens there"), "{text}");
}

#[tokio::test]
async fn an_unknown_host() {
    let settings = Settings {
        hosts: vec!["no-such-host.invalid:9042".to_owned()],
        ..Keyspace::reserve().await.settings()
    };
    let (kind, text) = refusal(settings, MigrationPolicy::Migrate).await;
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("no host of that name is known"), "{text}");
}

#[tokio::test]
async fn a_missing_keyspace_is_not_created_without_migration() {
    let keyspace = Keyspace::reserve().await;
    for _ in 0..2 {
        let (kind, text) = refusal(keyspace.settings(), MigrationPolicy::Require).await;
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(text.contains("run `storefront migrate`"), "{text}");
    }
}

#[tokio::test]
async fn the_keyspace_of_another_program() {
    let keyspace = Keyspace::reserve().await;
    execute(&keyspace, CREATE).await;
    execute(&keyspace, "CREATE TABLE KS.theirs (id int PRIMARY KEY)").await;
    let (kind, text) = refusal(keyspace.settings(), MigrationPolicy::Migrate).await;
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("is another program's"), "{text}");
}

#[tokio::test]
async fn an_older_schema_under_require_and_a_newer_one() {
    let keyspace = Keyspace::reserve().await;
    open(keyspace.settings(), MigrationPolicy::Migrate).await.unwrap();
    for (version, schema, wanted) in [
        (0, MigrationPolicy::Require, "older than this program: run `storefront migrate`"),
        (99, MigrationPolicy::Require, "newer than this program: use a newer storefront"),
        (99, MigrationPolicy::Migrate, "newer than this program: use a newer storefront"),
        (2, MigrationPolicy::Migrate, "its step 1 was made by another build of storefront"),
    ] {
        let checksums = vec![0_i64; version];
        let set = format!(
            "UPDATE KS.schema_versions SET checksums = {checksums:?} WHERE name = 'schema'"
        );
        execute(&keyspace, &format!("{set} IF EXISTS")).await;
        let (kind, text) = refusal(keyspace.settings(), schema).await;
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(text.contains(wanted), "{text}");
    }
}

#[tokio::test]
async fn an_interrupted_migration_is_completed() {
    let keyspace = Keyspace::reserve().await;
    execute(&keyspace, CREATE).await;
    let versions = "CREATE TABLE KS.schema_versions \
                    (name text PRIMARY KEY, checksums frozen<list<bigint>>)";
    execute(&keyspace, versions).await;
    let stores = open(keyspace.settings(), MigrationPolicy::Migrate).await.unwrap();
    stores.overviews.ping().await.unwrap();
    open(keyspace.settings(), MigrationPolicy::Require).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_servers_migrate_at_once() {
    let keyspace = Keyspace::reserve().await;
    let servers = (0..6).map(|_| open(keyspace.settings(), MigrationPolicy::Migrate));
    for stores in at_once(servers).await {
        stores.unwrap().overviews.ping().await.unwrap();
    }
}
