//! A PostgreSQL database that cannot be opened: one sentence that says what to do, exit code 1, and
//! never the password.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Url;

use testkit::postgres::address;
use testkit::postgres_database::{PASSWORD, PostgresDatabase};
use testkit::process::{Server, output, stderr, storefront, wait};

/// The certificate of the authority that signed the server's.
fn authority() -> PathBuf {
    address("STOREFRONT_TEST_POSTGRES_CA").into()
}

/// The sentence by which the command refuses that database.
#[track_caller]
fn refused_by(command: &[&str], url: &Url) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut child = storefront(folder.path())
        .args(command)
        .args(["--log", "debug", "--database-url", url.as_str()])
        .env("STOREFRONT_LISTEN", "127.0.0.1:0")
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let (status, text) = (wait(&mut child), std::fs::read_to_string(&log).unwrap());
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    let said: Vec<_> = text.lines().filter(|line| line.starts_with("storefront: ")).collect();
    assert_eq!(said.len(), 1, "{text}");
    said[0].to_owned()
}

/// Every command refuses that database by a sentence that has these parts.
#[track_caller]
fn refused(url: &Url, parts: &[&str]) {
    for command in ["serve", "migrate", "seed"] {
        let said = refused_by(&[command], url);
        for part in parts {
            assert!(said.contains(part), "{command}: `{part}` in {said}");
        }
    }
}

/// An address of the test server that may be altered.
fn somewhere() -> Url {
    let mut url: Url = address("STOREFRONT_TEST_POSTGRES").parse().unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url
}

fn with_query(url: &Url, pairs: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

#[test]
fn a_host_that_does_not_exist_is_named() {
    let mut url = somewhere();
    url.set_host(Some("no-such-host.invalid")).unwrap();
    refused(&url, &["cannot reach", "@no-such-host.invalid:", "is the server running"]);
}

#[test]
fn a_port_where_nothing_listens_is_named() {
    let mut url = somewhere();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    url.set_port(Some(free)).unwrap();
    refused(&url, &["cannot reach", &format!(":{free}/"), "refused", "host, port and sslmode"]);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let mut url = somewhere();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    url.set_port(Some(silent.local_addr().unwrap().port())).unwrap();
    let said = refused_by(&["serve"], &url);
    assert!(said.contains("cannot reach"), "{said}");
}

#[test]
fn a_wrong_password_is_not_shown() {
    refused(&somewhere(), &["refuses the user or the password; correct the URL"]);
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let database = PostgresDatabase::create().await;
    let mut url = database.url();
    url.set_path("no_such_database");
    refused(&url, &["there is no such database", "createdb", "/no_such_database"]);
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_is_told() {
    let database = PostgresDatabase::create().await;
    let other = PostgresDatabase::create().await;
    let mut url = other.url();
    url.set_path(&database.name);
    refused(&url, &["may not migrate it: run `storefront migrate` as the owner of the tables"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = PostgresDatabase::create().await;
    let url = database.url();
    migrate(&url);
    database.execute("INSERT INTO storefront_schema VALUES (99, 0)").await;
    refused(&url, &["version 99 (this program's is ", "newer", "use a newer storefront"]);
}

#[tokio::test]
async fn a_schema_that_another_build_made_is_refused() {
    let database = PostgresDatabase::create().await;
    let url = database.url();
    migrate(&url);
    for (change, step) in [
        ("UPDATE storefront_schema SET checksum = 0 WHERE version = 3", "step 3"),
        ("ALTER TABLE storefront_schema DROP COLUMN checksum", "step 1"),
    ] {
        database.execute(change).await;
        refused(&url, &[step, "was made by another build of storefront", "an empty database"]);
    }
}

const LEGACY: &str = "CREATE TABLE overviews (game_id integer NOT NULL, game_name text, description text, \
                      release_date text, developer text, publisher text, tags text[]";

/// Every command refuses the database, and takes it once the statement in the sentence was run.
async fn refused_until_cured(database: &PostgresDatabase, parts: &[&str]) {
    refused(&database.url(), parts);
    let said = refused_by(&["migrate"], &database.url());
    let cure = said.split('`').nth(1).expect("a statement");
    database.execute(cure).await;
    migrate(&database.url());
}

#[tokio::test]
async fn a_key_whose_index_is_not_kept_up_to_date_is_refused() {
    let database = PostgresDatabase::create().await;
    database.execute(&format!("{LEGACY}, PRIMARY KEY (game_id))")).await;
    for flags in ["indisready = false", "indisvalid = false"] {
        let key = "indexrelid = 'overviews_pkey'::regclass";
        database.administer_inside(&format!("UPDATE pg_index SET {flags} WHERE {key}")).await;
        refused_until_cured(&database, &["index overviews_pkey", "`REINDEX INDEX overviews_pkey`"])
            .await;
    }
}

#[tokio::test]
async fn a_deferrable_key_is_refused() {
    let database = PostgresDatabase::create().await;
    let key = "CONSTRAINT \"Key\" UNIQUE (game_id) DEFERRABLE";
    database.execute(&format!("{LEGACY}, {key})")).await;
    refused_until_cured(&database, &["its key \"Key\" is deferrable", "ADD PRIMARY KEY"]).await;
}

#[tokio::test]
async fn a_key_that_was_dropped_is_refused() {
    let database = PostgresDatabase::create().await;
    migrate(&database.url());
    database.execute("ALTER TABLE overviews DROP CONSTRAINT overviews_pkey").await;
    refused_until_cured(&database, &["has no unique index of game_id", "ADD PRIMARY KEY"]).await;
}

#[tokio::test]
async fn a_column_that_may_not_be_null_and_is_never_filled_is_refused() {
    let database = PostgresDatabase::create().await;
    database.execute(&format!("{LEGACY}, \"Shelf\" text NOT NULL)")).await;
    let parts = ["its column overviews.\"Shelf\" may not be null", "DROP NOT NULL"];
    refused_until_cured(&database, &parts).await;
    for filled in ["a integer NOT NULL DEFAULT 1", "b bigint GENERATED ALWAYS AS IDENTITY"] {
        database.execute(&format!("ALTER TABLE overviews ADD {filled}")).await;
        migrate(&database.url());
    }
}

#[tokio::test]
async fn a_database_that_does_not_have_every_character_is_refused() {
    let options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    let database = PostgresDatabase::create_with(options).await;
    refused(&database.url(), &["its encoding is LATIN1", "`createdb -T template0 -E UTF8`"]);
}

#[tokio::test]
async fn without_migration_an_empty_database_is_refused_and_stays_empty() {
    let database = PostgresDatabase::create().await;
    let said = refused_by(&["serve", "--no-migrate"], &database.url());
    assert!(said.contains("run `storefront migrate`"), "{said}");
    // Fails if the table is there already.
    database.execute("CREATE TABLE overviews ()").await;
}

#[tokio::test]
async fn without_migration_a_migrated_database_is_served() {
    let database = PostgresDatabase::create().await;
    migrate(&database.url());
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    command.args(["serve", "--no-migrate", "--database-url", database.url().as_str()]);
    let server = Server::spawn(&mut command, folder.path());
    assert_eq!(server.status("/api/overview/1").await, 404);
    server.has_logged("store is open").await;
    assert!(!server.log().contains(PASSWORD));
}

fn migrate(url: &Url) {
    let folder = tempfile::tempdir().unwrap();
    let migrated =
        output(storefront(folder.path()).args(["migrate", "--database-url", url.as_str()]));
    assert!(migrated.status.success(), "{}", stderr(&migrated));
}

#[tokio::test]
async fn a_verified_server_needs_the_right_authority() {
    let database = PostgresDatabase::create().await;
    let verified = with_query(&database.url(), &[("sslmode", "verify-full")]);
    let ours = with_query(&verified, &[("sslrootcert", authority().to_str().unwrap())]);
    migrate(&ours);
    let folder = tempfile::tempdir().unwrap();
    let other = another_authority(folder.path());
    let theirs = with_query(&verified, &[("sslrootcert", other.to_str().unwrap())]);
    refused(&theirs, &["cannot reach", "certificate", "sslmode"]);
    refused(&verified, &["cannot reach", "certificate", "sslmode"]);
}

#[tokio::test]
async fn a_verified_server_must_have_the_hosts_name() {
    let database = PostgresDatabase::create().await;
    let mut url = with_query(
        &database.url(),
        &[
            ("sslmode", "verify-full"),
            ("sslrootcert", authority().to_str().unwrap()),
            ("hostaddr", "127.0.0.1"),
        ],
    );
    url.set_host(Some("localhost")).unwrap();
    migrate(&url);
    url.set_host(Some("db.example")).unwrap();
    refused(&url, &["cannot reach", "@db.example:", "certificate", "host, port and sslmode"]);
}

/// Makes one that signed nothing.
fn another_authority(folder: &Path) -> PathBuf {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(["req", "-x509", "-newkey", "ec", "-nodes"]);
    command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=another"]);
    command.args(["-keyout", "other.key", "-out", "other.pem"]);
    let made = output(&mut command);
    assert!(made.status.success(), "{}", stderr(&made));
    folder.join("other.pem")
}

#[tokio::test]
async fn the_mode_decides_whether_connections_are_encrypted() {
    let database = PostgresDatabase::create().await;
    for (mode, encrypted) in [("require", "t"), ("prefer", "t"), ("disable", "f")] {
        let url = with_query(&database.url(), &[("sslmode", mode)]);
        let folder = tempfile::tempdir().unwrap();
        let mut command = storefront(folder.path());
        command.args(["serve", "--database-url", url.as_str()]);
        let server = Server::spawn(&mut command, folder.path());
        assert_eq!(server.status("/api/overview/1").await, 404);
        assert_eq!(encryption(&database).await, [encrypted], "{mode}");
    }
}

/// Whether the program's connections to the database are encrypted, each kind once.
async fn encryption(database: &PostgresDatabase) -> Vec<String> {
    let sql = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE application_name = 'storefront' AND datname = current_database()";
    database.column(sql).await
}
