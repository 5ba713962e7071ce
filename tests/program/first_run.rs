//! The first start of the program: demo data, help, version.

use testkit::process::{Server, output, stderr, stdout, storefront};

#[tokio::test]
async fn without_settings_demo_games_are_served_from_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::spawn(&mut storefront(folder.path()), folder.path());
    assert!(folder.path().join("data/storefront.db").is_file());
    assert!(server.get("/api/overview/1").await.contains("Stardew_Valley"));
    assert!(server.get("/api/overview/1000").await.starts_with("[{\"game_id\":1000,"));
    assert_eq!(server.status("/api/overview/1001").await, 404);
    assert!(server.get("/1").await.contains("<html"));
    assert_eq!(server.get("/readyz").await, "ready");
    server.has_logged("limit of open files").await;

    server.signal("TERM");
    assert!(server.end().0.success());
    // What was removed stays removed: a file that exists is not stocked again.
    let again = Server::spawn(&mut storefront(folder.path()), folder.path());
    assert_eq!(again.status("/api/overview/1000").await, 200);
}

#[tokio::test]
async fn a_database_that_was_named_gets_no_demo_games_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.status("/api/overview/1").await, 404);
    drop(server);
    let mut command = storefront(folder.path());
    command.args(["--demo", "--database-url", "embedded:games.db"]);
    let server = Server::spawn(&mut command, folder.path());
    assert_eq!(server.status("/api/overview/1").await, 200);
}

#[test]
fn help_and_version_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (&["--help"][..], "storefront seed --rows"),
        (&["serve", "--help"], "STOREFRONT_LISTEN"),
        (&["seed", "--help"], "--resume"),
        (&["migrate", "--help"], "--database-url"),
        (&["audit", "--help"], "--format"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let output = output(storefront(folder.path()).args(arguments));
        assert!(output.status.success());
        assert!(stdout(&output).contains(word), "{word} in {}", stdout(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "help leaves nothing behind");
}

#[test]
fn an_unknown_subcommand_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(storefront(folder.path()).arg("sevre"));
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("sevre"), "{}", stderr(&output));
}
