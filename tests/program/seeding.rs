//! `storefront seed`: complete or resumable, never in between.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use rand::RngExt;

use testkit::database::OwnDatabase;
use testkit::process::{Server, output, signal, stderr, stdout, storefront, wait};
use testkit::random;

/// Makes a test of every case for a backend.
macro_rules! on {
    ($backend:ident: $($case:ident)*) => {
        mod $backend {
            $(#[tokio::test]
            async fn $case() {
                super::$case(stringify!($backend)).await;
            })*
        }
    };
}

macro_rules! on_each {
    ($($backend:ident)*) => {
        $(on!($backend:
            a_load_reports_its_result
            a_store_with_games_is_refused_unless_told
            demo_games_are_replaced_without_asking
            killed_at_random_and_resumed_it_ends_like_an_uninterrupted_load
            stopped_by_ctrl_c_it_says_how_to_resume
        );)*
    };
}

on_each! {
    embedded
    postgres
}

/// The command that loads the database.
pub fn seed(database: &OwnDatabase, arguments: &[&str]) -> Command {
    let mut command = storefront(database.folder());
    command.args(["seed", "--database-url", database.url()]).args(arguments);
    command
}

/// The line with the checksum of all games.
fn checksum(database: &OwnDatabase, arguments: &[&str]) -> String {
    let output = output(seed(database, arguments).arg("--checksum"));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    text.lines().last().filter(|line| line.starts_with("checksum")).expect(&text).to_owned()
}

async fn a_load_reports_its_result(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let output = output(&mut seed(&database, &["--rows", "1000", "--checksum"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("1000 games in ") && text.contains(" rows/s; the store takes up "),
        "{text}"
    );
    // The checksum of the games of seed 1 is the same on every machine and in every release.
    assert!(text.contains(" of 1000 games"), "{text}");
}

async fn a_store_with_games_is_refused_unless_told(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let first = checksum(&database, &["--rows", "100"]);
    let refused = output(&mut seed(&database, &["--rows", "50"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--append") && stderr(&refused).contains("--reset"));
    assert!(checksum(&database, &["--rows", "20", "--append"]).contains("of 120 games"));
    assert_eq!(checksum(&database, &["--rows", "100", "--reset"]), first);
    assert_ne!(checksum(&database, &["--rows", "100", "--reset", "--seed", "2"]), first);
    let nothing = output(&mut seed(&database, &["--resume"]));
    assert!(stderr(&nothing).contains("no interrupted load"), "{}", stderr(&nothing));
}

async fn demo_games_are_replaced_without_asking(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let mut command = storefront(database.folder());
    command.args(["--demo", "--database-url", database.url()]);
    drop(Server::spawn(&mut command, database.folder()));
    assert!(checksum(&database, &["--rows", "30"]).contains("of 30 games"));
}

#[tokio::test]
async fn impossible_arguments_are_usage_errors() {
    let database = OwnDatabase::on("embedded").await;
    for arguments in [
        &["--rows", "0"][..],
        &["--rows", "2147483648"],
        &["--rows", "many"],
        &["--append", "--reset"],
        &["--resume", "--reset"],
    ] {
        let output = output(&mut seed(&database, arguments));
        assert_eq!(output.status.code(), Some(64), "{arguments:?} {}", stderr(&output));
    }
    assert!(!database.folder().join("store.db").exists());
}

async fn killed_at_random_and_resumed_it_ends_like_an_uninterrupted_load(backend: &str) {
    interrupted_by(backend, "KILL", |status| status.code().is_none()).await;
}

async fn stopped_by_ctrl_c_it_says_how_to_resume(backend: &str) {
    interrupted_by(backend, "INT", |status| status.code() == Some(130)).await;
}

async fn interrupted_by(backend: &str, name: &str, is_expected: fn(ExitStatus) -> bool) {
    let mut rng = random::rng();
    let whole = OwnDatabase::on(backend).await;
    let rows = ["--rows", "300000"];
    let mut expected = checksum(&whole, &rows);

    let database = OwnDatabase::on(backend).await;
    let (mut arguments, mut interrupted) = (rows.to_vec(), 0);
    let mut last = vec!["--resume", "--checksum"];
    for _ in 0..random::rounds(4) {
        let mut child = seed(&database, &arguments)
            .env("STOREFRONT_LOG", "storefront=debug")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Each chunk that is stored is a line; after a random one of them the signal comes.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let chunks = rng.random_range(1..4);
        let stored =
            lines.by_ref().map_while(Result::ok).filter(|line| line.contains("chunk stored"));
        if stored.take(chunks).count() == chunks {
            signal(child.id(), name);
        }
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        let status = wait(&mut child);
        if status.success() {
            // It was faster than the signal: there is nothing to resume, and one more game is appended.
            last = vec!["--append", "--rows", "1", "--checksum"];
            expected = checksum(&whole, &last[..3]);
            break;
        }
        assert!(is_expected(status), "{status:?} {said:?}");
        if name == "INT" {
            assert!(
                said.iter().any(|line| line.contains("`storefront seed --resume` goes on")),
                "{said:?}"
            );
        }
        interrupted += 1;
        let refused = output(&mut seed(&database, &rows));
        assert!(stderr(&refused).contains("--resume goes on with it"), "{}", stderr(&refused));
        arguments = vec!["--resume"];
    }
    assert!(interrupted > 0);
    let ended = output(seed(&database, &last).stdin(Stdio::null()));
    let text = stdout(&ended);
    assert!(text.contains(&expected), "{text} {} is not {expected}", stderr(&ended));
}
