//! `storefront seed`: complete or resumable, never in between.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::process::{Server, errors, output, printed, signal, storefront, wait};

const URL: [&str; 2] = ["--database-url", "embedded:games.db"];

fn seed(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = storefront(folder);
    command.arg("seed").args(URL).args(arguments);
    command
}

/// The line with the checksum of all games.
fn checksum(folder: &Path, arguments: &[&str]) -> String {
    let output = output(seed(folder, arguments).arg("--checksum"));
    assert!(output.status.success(), "{}", errors(&output));
    let text = printed(&output);
    text.lines().last().filter(|line| line.starts_with("checksum")).expect(&text).to_owned()
}

#[test]
fn a_load_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(&mut seed(folder.path(), &["--rows", "1000", "--checksum"]));
    assert!(output.status.success(), "{}", errors(&output));
    let text = printed(&output);
    assert!(
        text.contains("1000 games in ") && text.contains(" rows/s; the store takes up "),
        "{text}"
    );
    // The checksum of the games of seed 1 is the same on every machine and in every release.
    assert!(text.contains(" of 1000 games"), "{text}");
}

#[test]
fn a_store_with_games_is_refused_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let first = checksum(folder.path(), &["--rows", "100"]);
    let refused = output(&mut seed(folder.path(), &["--rows", "50"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors(&refused).contains("--append") && errors(&refused).contains("--reset"));
    assert!(checksum(folder.path(), &["--rows", "20", "--append"]).contains("of 120 games"));
    assert_eq!(checksum(folder.path(), &["--rows", "100", "--reset"]), first);
    assert_ne!(checksum(folder.path(), &["--rows", "100", "--reset", "--seed", "2"]), first);
    let nothing = output(&mut seed(folder.path(), &["--resume"]));
    assert!(errors(&nothing).contains("no interrupted load"), "{}", errors(&nothing));
}

#[tokio::test]
async fn demo_games_are_replaced_without_asking() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    drop(Server::of(command.arg("--demo").args(URL), folder.path()));
    assert!(checksum(folder.path(), &["--rows", "30"]).contains("of 30 games"));
}

#[test]
fn impossible_wishes_are_usage_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--rows", "0"][..],
        &["--rows", "2147483648"],
        &["--rows", "many"],
        &["--append", "--reset"],
        &["--resume", "--reset"],
    ] {
        let output = output(&mut seed(folder.path(), arguments));
        assert_eq!(output.status.code(), Some(64), "{arguments:?} {}", errors(&output));
    }
    assert!(!folder.path().join("games.db").exists());
}

/// How many rows, and how often it is interrupted; `scripts/soak seeding` asks for more.
fn interruptions() -> usize {
    std::env::var("STOREFRONT_SOAK_ROUNDS").map_or(4, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn killed_at_random_and_resumed_it_ends_as_if_never_killed() {
    interrupted_by("KILL", |status| status.code().is_none());
}

#[test]
fn stopped_by_ctrl_c_it_says_how_to_go_on() {
    interrupted_by("INT", |status| status.code() == Some(130));
}

fn interrupted_by(name: &str, is_expected: impl Fn(std::process::ExitStatus) -> bool) {
    let seed_of_test = std::env::var("STOREFRONT_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("STOREFRONT_TEST_SEED={seed_of_test}");
    let mut rng = StdRng::seed_from_u64(seed_of_test);
    let whole = tempfile::tempdir().unwrap();
    let rows = ["--rows", "300000"];
    let expected = checksum(whole.path(), &rows);

    let folder = tempfile::tempdir().unwrap();
    let (mut arguments, mut interrupted) = (rows.to_vec(), 0);
    for _ in 0..interruptions() {
        let mut child = seed(folder.path(), &arguments)
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
        let seen = stored.take(chunks).count();
        if seen < chunks {
            assert!(wait(&mut child).success());
            break;
        }
        signal(child.id(), name);
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        let status = wait(&mut child);
        if status.success() {
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
        let refused = output(&mut seed(folder.path(), &rows));
        assert!(errors(&refused).contains("--resume goes on with it"), "{}", errors(&refused));
        arguments = vec!["--resume"];
    }
    assert!(interrupted > 0);
    let resumed = output(seed(folder.path(), &["--resume", "--checksum"]).stdin(Stdio::null()));
    let text = printed(&resumed);
    assert!(text.contains(&expected), "{text} {} is not {expected}", errors(&resumed));
}
