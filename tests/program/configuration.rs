//! Configuration errors: all at once, one sentence each, before anything is opened.

use std::net::TcpListener;

use reqwest::Method;
use rusqlite::Connection;

use testkit::process::{Server, output, stderr, stdout, storefront};

#[test]
fn all_mistakes_are_shown_at_once_with_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), "max-body = 0\nlisen = '1'\n").unwrap();
    let output = output(
        storefront(folder.path())
            .args(["--listen", "nowhere", "--config", "s.toml"])
            .env("STOREFRONT_LOG_FORMAT", "xml")
            .env("DATABASE_URL", "mysql://u:secret@h/d"),
    );
    assert_eq!(output.status.code(), Some(64));
    let text = stderr(&output);
    for part in [
        "--listen: `nowhere` is not ADDRESS:PORT",
        "STOREFRONT_LOG_FORMAT: `xml` is not a format",
        "DATABASE_URL: not a database URL",
        "`max_body` in the configuration file: `0` is not a whole number",
        "`lisen` in the configuration file: no such setting",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("secret"));
    assert!(!folder.path().join("data").exists(), "nothing was opened");
}

#[tokio::test]
async fn a_program_serves_what_flag_variable_or_file_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), "services = 'overview, payment'\n").unwrap();
    let serve = || {
        let mut command = storefront(folder.path());
        command.args(["serve", "--database-url", "embedded:games.db", "--config", "s.toml"]);
        command
    };
    let mut of_flag = serve();
    of_flag.args(["--services", "stock"]).env("STOREFRONT_SERVICES", "orders");
    let mut of_variable = serve();
    of_variable.env("STOREFRONT_SERVICES", "cart");
    for (mut command, expected) in [
        (serve(), [200, 404, 404, 200]),
        (of_variable, [404, 405, 200, 200]),
        (of_flag, [404, 404, 200, 404]),
    ] {
        let server = Server::spawn(&mut command, folder.path());
        server.send(Method::POST, "/payment/batch_init/1/5", None).await.unwrap();
        server.send(Method::POST, "/stock/batch_init/1/5/5", None).await.unwrap();
        let mut statuses = Vec::new();
        for path in ["/1", "/orders/create/u", "/stock/find/0", "/payment/find_user/0"] {
            statuses.push(server.status(path).await);
        }
        // The fixtures of a service that is not served stay as an earlier program left them.
        assert_eq!(statuses, expected);
    }
}

#[test]
fn an_unknown_service_is_an_error_that_names_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (list, said) in [
        (
            "overview,shop",
            "--services: `shop` is not a service; use overview, orders, stock, payment",
        ),
        ("", "--services: `` is not a service"),
    ] {
        let refused = output(storefront(folder.path()).args(["serve", "--services", list]));
        assert_eq!(refused.status.code(), Some(64));
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was opened");
}

#[test]
fn a_missing_or_malformed_settings_file_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let missing = output(storefront(folder.path()).args(["--config", "none.toml"]));
    assert_eq!(missing.status.code(), Some(64));
    assert!(stderr(&missing).contains("cannot read none.toml"));
    std::fs::write(folder.path().join("bad.toml"), "= 1").unwrap();
    let bad = output(storefront(folder.path()).args(["--config", "bad.toml"]));
    assert_eq!(bad.status.code(), Some(64));
    assert!(stderr(&bad).contains("bad.toml is not TOML"));
}

#[tokio::test]
async fn every_command_reads_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "database-url = 'embedded:named.db'\n[max]\nbody = 2000\n";
    std::fs::write(folder.path().join("s.toml"), settings).unwrap();
    let seeded =
        output(storefront(folder.path()).args(["seed", "--rows", "10", "--config", "s.toml"]));
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    let mut command = storefront(folder.path());
    let server = Server::spawn(command.args(["serve", "--config", "s.toml"]), folder.path());
    assert_eq!(server.status("/api/overview/10").await, 200);
}

#[test]
fn an_unknown_log_level_is_a_mistake_that_names_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    for level in ["warning", "verbose", "info\r,storefront=debug", "info,storefront=loud"] {
        let refused = output(storefront(folder.path()).env("STOREFRONT_LOG", level));
        assert_eq!(refused.status.code(), Some(64), "{level}");
        let text = stderr(&refused);
        assert!(text.contains("use error, warn, info, debug, trace, off"), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was opened");
}

#[tokio::test]
async fn white_space_at_the_ends_of_values_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), "log = \"\"\"\ninfo\n\"\"\"\n").unwrap();
    let seed = ["seed", "--rows", "5", "--database-url", "embedded:games.db"];
    assert!(output(storefront(folder.path()).args(seed)).status.success());
    // As of a file that ends in a newline.
    let mut command = storefront(folder.path());
    command.args(["serve", "--config", " s.toml"]).env("DATABASE_URL", "embedded:games.db\n");
    let server = Server::spawn(&mut command, folder.path());
    assert_eq!(server.status("/api/overview/5").await, 200);
    assert!(!folder.path().join("games.db\n").exists());
    server.has_logged("store is open").await;
}

#[test]
fn no_part_of_a_malformed_url_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "postgres://shop:Pre@Secret@127.0.0.1:1/d",
        "postgres://shop:1/Secret@127.0.0.1:1/d",
        "postgres://shop:1?Secret@127.0.0.1:1/d",
        "postgres:/shop:Secret@127.0.0.1/d",
        "cassandra://shop:1/Secret@127.0.0.1:1/k",
    ] {
        let refused = output(storefront(folder.path()).env("DATABASE_URL", url));
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(64), "{url}: {text}");
        assert!(
            text.starts_with("storefront: DATABASE_URL: ") && !text.contains("ecret"),
            "{text}"
        );
    }
    for setting in ["IMAGES_URL", "REVIEWS_URL", "API_URL"] {
        let name = format!("STOREFRONT_{setting}");
        let refused = output(storefront(folder.path()).env(&name, "http://u:Secret@h:port/"));
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(64), "{text}");
        assert!(text.contains(&name) && !text.contains("Secret"), "{text}");
    }
}

#[tokio::test]
async fn a_file_of_the_earlier_services_variables_is_not_read_and_a_line_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.has_logged("store is open").await;
    assert!(!server.log().contains(".env"));
    drop(server);
    std::fs::write(folder.path().join(".env"), "DB=cassandra\n").unwrap();
    let server = Server::start(folder.path());
    server.has_logged("store is open").await;
    assert_eq!(server.log().matches("./.env is not read").count(), 1, "{}", server.log());
}

#[tokio::test]
async fn the_url_of_the_api_may_lack_its_scheme_as_it_might_in_the_earlier_service() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    command.env("NODE_ENV", "production").env("PROD_API_URL", "localhost:8080");
    let server = Server::spawn(&mut command, folder.path());
    let page = server.get("/1").await;
    assert!(
        page.contains("name=\"storefront-api-url\" content=\"http://localhost:8080\""),
        "{page}"
    );
}

#[tokio::test]
async fn the_legacy_variables_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = storefront(folder.path());
    command.env("DB", "embedded").env("NODE_ENV", "production");
    command.env("PROD_API_URL", "https://api.example").env("DEV_API_URL", "not a url");
    let server = Server::spawn(&mut command, folder.path());
    let page = server.get("/1").await;
    assert!(page.contains("<meta name=\"storefront-api-url\" content=\"https://api.example\""));
    let bundle = server.get("/1/dist/bundle.js").await;
    assert!(bundle.contains("https://api.example"));
}

#[test]
fn an_old_name_of_a_backend_without_its_server_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (backend, shown) in [
        // Nothing listens on the usual ports of this address.
        ("postgres", "postgres://postgres@127.255.0.9:5432/overviews"),
        ("cassandra", "127.255.0.9:9042"),
    ] {
        let mut command = storefront(folder.path());
        let refused = output(command.env("DB", backend).env("DEV_DB_HOST", "127.255.0.9"));
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        let said: Vec<_> = text.lines().filter(|line| line.starts_with("storefront: ")).collect();
        assert!(said.len() == 1 && said[0].contains(shown), "{text}");
    }
}

#[test]
fn a_taken_address_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(storefront(folder.path()).args(["--listen", &address]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("cannot listen on {address}: choose another")));
}

#[test]
fn a_newer_or_older_or_foreign_schema_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let url = ["--database-url", "embedded:games.db"];
    let migrated = output(storefront(folder.path()).arg("migrate").args(url));
    assert!(migrated.status.success(), "{}", stderr(&migrated));
    assert!(stdout(&migrated).contains("embedded:games.db is up to date"));
    let file = folder.path().join("games.db");
    let set = |name: &str, value: i32| {
        Connection::open(&file).unwrap().pragma_update(None, name, value).unwrap();
    };
    for (name, value, sentence) in [
        ("user_version", 99, "is version 99 (this program's is 3), newer than this program"),
        ("application_id", 5, "is the database of another program"),
    ] {
        let before = Connection::open(&file)
            .unwrap()
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .unwrap();
        set(name, value);
        for command in ["serve", "migrate", "seed"] {
            let refused = output(storefront(folder.path()).arg(command).args(url));
            assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
            assert!(stderr(&refused).contains(sentence), "{}", stderr(&refused));
            let text = stderr(&refused);
            let said = text.lines().filter(|line| line.starts_with("storefront: "));
            assert_eq!(said.count(), 1, "{text}");
        }
        set(name, before);
    }
    std::fs::write(&file, "this is a letter to my grandmother, not a database, see?").unwrap();
    let refused = output(storefront(folder.path()).arg("serve").args(url));
    assert!(stderr(&refused).contains("it is not an SQLite database"), "{}", stderr(&refused));
}

#[test]
fn without_migration_a_missing_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["serve", "--no-migrate", "--database-url", "embedded:games.db"];
    let refused = output(storefront(folder.path()).args(serve));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("it does not exist"), "{}", stderr(&refused));
    assert!(!folder.path().join("games.db").exists());
    drop(Connection::open(folder.path().join("games.db")).unwrap());
    std::fs::File::create(folder.path().join("games.db")).unwrap();
    let refused = output(storefront(folder.path()).args(serve));
    assert!(stderr(&refused).contains("run `storefront migrate`"), "{}", stderr(&refused));
}
