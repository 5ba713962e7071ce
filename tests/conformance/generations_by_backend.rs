//! A lab's databases: what only one backend can do, or can do wrong.

use std::fs;
use std::path::Path;

use storefront::config::database::{Database, replica_url};
use storefront::db;
use storefront::db::storage::{CreateGeneration, DropGeneration, ErrorKind};
use storefront::lab::model::{Generation, LabId};
use testkit::cassandra;
use testkit::generations::{OwnLab, generations};
use testkit::pgbouncer::Pgbouncer;
use testkit::postgres::{self, OLDEST, OpenTransaction, REPLICA, address};
use testkit::postgres_database::PostgresDatabase;

use crate::world::{act, game};

/// Both calls refuse what is there.
async fn is_left_alone(lab: &OwnLab, generation: Generation) {
    assert_eq!(lab.store.create(generation).await.unwrap(), CreateGeneration::Unmarked);
    assert_eq!(lab.store.remove(generation).await.unwrap(), DropGeneration::Unmarked);
    assert!(lab.store.list().await.unwrap().is_empty());
}

/// The sentence with which a check refuses.
async fn refusal(url: &str, replica: Option<&str>) -> String {
    let database = Database::of(url, replica).unwrap();
    let store = db::generations(&database.url, LabId::new()).unwrap();
    let error = store.check().await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_schema_without_the_mark_stays_as_it_is() {
    let lab = OwnLab::on("postgres");
    let generation = lab.generation();
    let make = format!(
        "CREATE SCHEMA {generation}; CREATE TABLE {generation}.theirs AS SELECT 7 AS id; \
         COMMENT ON SCHEMA {generation} IS 'storefront lab of somebody'"
    );
    lab.execute(&make, &format!("DROP SCHEMA {generation} CASCADE")).await;
    let rows = format!(
        "SELECT format('%s %s %s', t.ctid, t.xmin, id) || obj_description('{generation}'::regnamespace, \
         'pg_namespace') || '{generation}'::regnamespace::oid FROM {generation}.theirs AS t"
    );
    let before = postgres::column(lab.url(), &rows).await;
    is_left_alone(&lab, generation).await;
    assert_eq!(postgres::column(lab.url(), &rows).await, before);
}

#[tokio::test]
async fn a_schema_of_activities_without_the_mark_stays_as_it_is() {
    let lab = OwnLab::on("postgres");
    let generation = lab.generation();
    let make = format!("CREATE SCHEMA {generation}_activities");
    lab.execute(&make, &format!("DROP SCHEMA {generation}_activities")).await;
    is_left_alone(&lab, generation).await;
}

#[tokio::test]
async fn the_schema_of_activities_is_dropped_too() {
    let lab = OwnLab::on("postgres");
    let generation = lab.generation();
    lab.store.create(generation).await.unwrap();
    drop(lab.open(generation).await);
    lab.store.remove(generation).await.unwrap();
    let schemas = format!(
        "SELECT nspname FROM pg_namespace WHERE nspname IN ('{generation}', '{generation}_activities')"
    );
    assert!(postgres::column(lab.url(), &schemas).await.is_empty());
}

#[tokio::test]
async fn an_open_transaction_of_a_holder_is_ended_and_no_other() {
    let lab = OwnLab::on("postgres");
    let (dropped, kept) = (lab.generation(), lab.generation());
    for generation in [dropped, kept] {
        lab.store.create(generation).await.unwrap();
        lab.open(generation).await.overviews.create(act(), game(None)).await.unwrap();
    }
    let name = |generation: Generation| format!("holder_{}", generation.0);
    let mut holders = Vec::new();
    for (generation, sql) in [
        (dropped, "UPDATE overviews SET game_name = 'changed'"),
        (dropped, "CREATE TABLE not_committed (id integer)"),
        (kept, "UPDATE overviews SET game_name = 'changed'"),
    ] {
        let url = lab.store.url(generation);
        holders.push(OpenTransaction::begin(&url, &name(generation), sql).await);
    }
    assert_eq!(lab.store.remove(dropped).await.unwrap(), DropGeneration::Dropped);
    let sessions = "SELECT application_name FROM pg_stat_activity WHERE application_name IN";
    let sessions = format!("{sessions} ('{}', '{}')", name(dropped), name(kept));
    assert_eq!(postgres::column(lab.url(), &sessions).await, [name(kept)]);
    holders.pop().unwrap().commit().await;
    assert_eq!(lab.store.list().await.unwrap(), [kept]);
}

#[tokio::test]
async fn options_of_the_url_are_kept() {
    let url = address(postgres::NEWEST);
    let separator = if url.contains('?') { '&' } else { '?' };
    let lab =
        OwnLab::at(&format!("{url}{separator}options=-cwork_mem%3D5MB%20-csearch_path%3Dpublic"));
    let generation = lab.generation();
    lab.store.create(generation).await.unwrap();
    let settings = "SELECT current_setting('search_path') || ' ' || current_setting('work_mem')";
    let found = postgres::column(&lab.store.url(generation), settings).await;
    assert_eq!(found, [format!("{generation} 5MB")]);
}

#[tokio::test]
async fn a_user_without_the_right_to_create_is_refused() {
    let database = PostgresDatabase::create().await;
    let user = database.url_of_user_with_rights_on_rows().await;
    let text = refusal(user.as_str(), None).await;
    assert!(text.contains("lacks the right CREATE on the database"), "{text}");
    assert!(!text.contains(testkit::postgres_database::PASSWORD), "{text}");
    let schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'storefront%'";
    assert!(database.column(schemas).await.is_empty());
}

#[tokio::test]
async fn a_replica_in_place_of_a_primary_and_the_reverse_are_refused() {
    let (primary, replica) = (address(postgres::NEWEST), address(REPLICA));
    let text = refusal(&replica, None).await;
    assert!(text.contains("name the primary"), "{text}");
    let host = |url: &str| url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    let of_replica = replica_url(&primary, &host(&replica)).unwrap();
    let database = Database::of(&primary, Some(&of_replica)).unwrap();
    let store = db::generations(&database.url, LabId::new()).unwrap();
    store.check().await.unwrap();
    for not_its_replica in [&primary, &replica_url(&primary, &host(&address(OLDEST))).unwrap()] {
        let text = refusal(&primary, Some(not_its_replica)).await;
        assert!(text.contains("is not a replica of it"), "{text}");
    }
}

// On several threads: the pooler ends when its clients have gone, and waiting for its end blocks one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_drops_the_search_path_is_refused() {
    let database = PostgresDatabase::create().await;
    let pooler = Pgbouncer::that_ignores_options(&database).await;
    let text = refusal(&pooler.url(), None).await;
    assert!(text.contains("name the server itself"), "{text}");
}

#[tokio::test]
async fn a_folder_without_the_mark_stays_as_it_is() {
    let lab = OwnLab::on("embedded");
    for mark in [None, Some("storefront lab of somebody")] {
        let generation = lab.generation();
        let folder = lab.folder().join(generation.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("store.db"), "theirs").unwrap();
        if let Some(mark) = mark {
            fs::write(folder.join("storefront-lab"), mark).unwrap();
        }
        let before = contents(&folder);
        is_left_alone(&lab, generation).await;
        assert_eq!(contents(&folder), before);
    }
}

/// The files of a folder, and when each was last changed.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: std::path::PathBuf| {
        let changed = path.metadata().unwrap().modified().unwrap();
        (path.display().to_string(), fs::read(path).unwrap(), changed)
    };
    let mut all: Vec<_> = entries.map(of).collect();
    all.sort();
    all
}

#[test]
fn the_url_of_a_folder_is_the_same_in_every_working_directory() {
    let url = generations("embedded:data/store.db", LabId::new()).url(Generation(7));
    assert!(
        url.starts_with("embedded:/") && url.ends_with("/data/storefront_lab_7/store.db"),
        "{url}"
    );
}

#[tokio::test]
async fn a_file_of_the_name_stays_as_it_is() {
    let lab = OwnLab::on("embedded");
    let generation = lab.generation();
    fs::write(lab.folder().join(generation.to_string()), "theirs").unwrap();
    is_left_alone(&lab, generation).await;
    assert_eq!(fs::read(lab.folder().join(generation.to_string())).unwrap(), b"theirs");
}

#[tokio::test]
async fn a_folder_whose_making_or_removal_was_interrupted_is_listed_and_removed() {
    let lab = OwnLab::on("embedded");
    let (ours, theirs) = (lab.generation(), lab.generation());
    let hidden =
        |generation: Generation, id: LabId| lab.folder().join(format!(".{generation}.{id}"));
    for folder in [hidden(ours, lab.id), hidden(theirs, LabId::new())] {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("store.db"), "left").unwrap();
    }
    assert_eq!(lab.store.list().await.unwrap(), [ours]);
    lab.store.remove(ours).await.unwrap();
    assert!(!hidden(ours, lab.id).exists());
    assert_eq!(fs::read_dir(lab.folder()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_keyspace_without_the_mark_stays_as_it_is() {
    let lab = OwnLab::on("cassandra");
    let generation = lab.generation();
    let made = KEYSPACE.replace("KS", &generation.to_string());
    lab.execute(&made, &format!("DROP KEYSPACE {generation}")).await;
    let settings = cassandra::settings_of(&generation.to_string());
    // A mark of another lab, and a table of the mark's name that is not the mark.
    cassandra::execute(&settings, "CREATE TABLE storefront_lab (id int PRIMARY KEY)").await;
    cassandra::execute(&settings, "INSERT INTO storefront_lab (id) VALUES (7)").await;
    let rows = format!("SELECT id, writetime(id) FROM {generation}.storefront_lab");
    is_left_alone(&lab, generation).await;
    let session = cassandra::session(&settings).await;
    let rows = rows.replace(", writetime(id)", "");
    let found = session.query_unpaged(rows, ()).await.unwrap().into_rows_result().unwrap();
    assert_eq!(found.single_row::<(i32,)>().unwrap(), (7,));
}

const KEYSPACE: &str = "CREATE KEYSPACE KS WITH replication = \
                        {'class': 'SimpleStrategy', 'replication_factor': 1}";

#[tokio::test]
async fn a_keyspace_whose_creation_was_interrupted_is_taken_over() {
    let lab = OwnLab::on("cassandra");
    for is_created in [true, false] {
        let generation = lab.generation();
        let made = KEYSPACE.replace("KS", &generation.to_string());
        lab.execute(&made, &format!("DROP KEYSPACE IF EXISTS {generation}")).await;
        if is_created {
            assert_eq!(lab.store.create(generation).await.unwrap(), CreateGeneration::Created);
            assert_eq!(lab.store.list().await.unwrap(), [generation]);
        }
        assert_eq!(lab.store.remove(generation).await.unwrap(), DropGeneration::Dropped);
        let again = generations(lab.url(), lab.id);
        assert!(again.list().await.unwrap().is_empty());
    }
}
