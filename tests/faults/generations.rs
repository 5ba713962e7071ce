//! A lab's keyspaces on a cluster with users and rights, which keeps a snapshot of what is dropped, as
//! Cassandra does unless it is told otherwise.

use std::path::Path;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use storefront::config::database::{Database, Url};
use storefront::db::storage::{ActContext, CreateGeneration, DropGeneration, ErrorKind};
use storefront::overview::model::NewOverview;
use testkit::db_server::DbServer;
use testkit::generations::OwnLab;

const SETTINGS: [&str; 9] = [
    "cassandra",
    "--heap",
    "512M",
    "--yaml",
    "auto_snapshot=true",
    "--yaml",
    "authenticator=PasswordAuthenticator",
    "--yaml",
    "authorizer=CassandraAuthorizer",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_is_dropped_without_a_snapshot_by_whoever_may_create_one() {
    let cluster = DbServer::spawn(SETTINGS.to_vec()).await;
    let url = cluster.value("cassandra");
    let (administrator, own) = (OwnLab::at(url), cluster.folder());
    let facts = administrator.store.check().await.unwrap();
    let session = session(url).await;
    for statement in [
        "CREATE ROLE limited WITH PASSWORD = 's3cret' AND LOGIN = true",
        "CREATE KEYSPACE others WITH replication = \
         {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
        "CREATE TABLE others.rows (id int PRIMARY KEY)",
        "INSERT INTO others.rows (id) VALUES (1)",
        "DROP KEYSPACE others",
    ] {
        session.query_unpaged(statement, ()).await.unwrap();
    }
    assert!(!snapshots(&own, "others").is_empty(), "the server keeps snapshots");

    let (_, place) = url.split_once('@').expect("a user and a password");
    let lab = OwnLab::at(&format!("cassandra://limited:s3cret@{place}"));
    let error = lab.store.check().await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let text = error.to_string();
    assert!(text.contains("limited lacks the permission CREATE on all keyspaces"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let grant = "GRANT CREATE ON ALL KEYSPACES TO limited";
    session.query_unpaged(grant, ()).await.unwrap();
    assert_eq!(lab.store.check().await.unwrap(), facts);

    let generation = lab.generation();
    assert_eq!(lab.store.create(generation).await.unwrap(), CreateGeneration::Created);
    let stores = lab.open(generation).await;
    stores.overviews.create(ActContext::new(), game()).await.unwrap();
    assert_eq!(lab.store.remove(generation).await.unwrap(), DropGeneration::Dropped);
    assert_eq!(snapshots(&own, &generation.to_string()), Vec::<String>::new());
}

fn game() -> NewOverview {
    NewOverview {
        game_id: None,
        game_name: "one".to_owned(),
        description: String::new(),
        release_date: "2016-02-26T00:00:00.000Z".to_owned(),
        developer: String::new(),
        publisher: String::new(),
        tags: Vec::new(),
    }
}

async fn session(url: &str) -> Session {
    let Url::Cassandra(settings) = Database::of(url, None).unwrap().url else { panic!("{url}") };
    let known = settings.credentials.unwrap();
    let builder = SessionBuilder::new().known_nodes(&settings.hosts);
    builder.user(known.user, known.password).build().await.unwrap()
}

/// The snapshots of dropped tables of a keyspace below a folder.
fn snapshots(folder: &Path, keyspace: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let text = path.display().to_string();
        if text.contains(&format!("/{keyspace}/")) && text.contains("/snapshots/") {
            found.push(text);
        } else if path.is_dir() && !path.is_symlink() {
            found.extend(snapshots(&path, keyspace));
        }
    }
    found
}
