//! The table of the service that this program replaces, used in place.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::json;

use testkit::database::OwnDatabase;
use testkit::games::game;
use testkit::process::{Server, output, stderr, storefront};

const COLUMNS: &str = "game_name text NOT NULL, description text NOT NULL, \
                       release_date text NOT NULL, developer text NOT NULL, \
                       publisher text NOT NULL, tags text[]";
/// By the table's own counter, as the older service did.
const OLDER_INSERT: &str = "INSERT INTO overviews (game_name, description, release_date, \
                            developer, publisher, tags) VALUES ";
const ROWS: &str = "('Stardew', 'A farm.', '2016-02-26T00:00:00.000Z', 'Ape', 'Fish', '{RPG,\"a,b\"}'), \
                    ('Факел', E'two\\nlines', 'soon', '', 'x', NULL), \
                    ('third', 'd', 'r', 'e', 'p', '{}')";

/// A table with a counter of its own, and three games that came by it.
async fn with_counter() -> OwnDatabase {
    let database = OwnDatabase::on("postgres").await;
    database
        .execute(&format!("CREATE TABLE overviews (game_id serial PRIMARY KEY, {COLUMNS})"))
        .await;
    database.execute(&format!("{OLDER_INSERT} {ROWS}")).await;
    database
}

/// A table without one.
async fn without_counter() -> OwnDatabase {
    let database = with_counter().await;
    database.execute("ALTER TABLE overviews ALTER game_id DROP DEFAULT").await;
    database.execute("DROP SEQUENCE overviews_game_id_seq").await;
    database
}

/// 5,000 games that were imported under ids of their own: the table's counter never moved.
async fn with_a_counter_that_lags() -> OwnDatabase {
    let database = OwnDatabase::on("postgres").await;
    database
        .execute(&format!("CREATE TABLE overviews (game_id serial PRIMARY KEY, {COLUMNS})"))
        .await;
    let rows = "SELECT n, 'game ' || n, 'd', 'r', 'e', 'p', NULL FROM generate_series(1, 5000) n";
    database.execute(&format!("INSERT INTO overviews {rows}")).await;
    database
}

async fn created(server: &Server) -> String {
    let answer = server.send(Method::POST, "/api/overview", Some(&game("new"))).await.unwrap();
    assert_eq!(answer.status(), 201, "{}", server.log());
    answer.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn legacy_games_are_served_unchanged() {
    for database in [with_counter().await, without_counter().await] {
        let server = Server::on(&database);
        for (id, body) in [
            (
                1,
                r#"[{"game_id":1,"game_name":"Stardew","description":"A farm.","release_date":"2016-02-26T00:00:00.000Z","developer":"Ape","publisher":"Fish","tags":["RPG","a,b"]}]"#,
            ),
            (
                2,
                r#"[{"game_id":2,"game_name":"Факел","description":"two\nlines","release_date":"soon","developer":"","publisher":"x","tags":[]}]"#,
            ),
            (
                3,
                r#"[{"game_id":3,"game_name":"third","description":"d","release_date":"r","developer":"e","publisher":"p","tags":[]}]"#,
            ),
        ] {
            assert_eq!(server.get(&format!("/api/overview/{id}")).await, body);
        }
    }
}

/// As on Cassandra, where an earlier service left nulls too: an empty text, and no tags.
#[tokio::test]
async fn a_null_text_is_empty_and_nested_tags_are_none_on_every_way_to_read() {
    const GAME: &str = r#"{"game_id":1,"game_name":"","description":"","release_date":"","developer":"","publisher":"","tags":[]}"#;
    let database = OwnDatabase::on("postgres").await;
    let columns = COLUMNS.replace(" NOT NULL", "");
    let table = format!("CREATE TABLE overviews (game_id serial PRIMARY KEY, {columns})");
    database.execute(&table).await;
    let rows = "(NULL, NULL, NULL, NULL, NULL, NULL), \
                ('nested', 'd', 'r', 'e', 'p', '{{a,b},{c,d}}'), ('third', 'd', 'r', 'e', 'p', '{x,NULL,y}')";
    database.execute(&format!("{OLDER_INSERT} {rows}")).await;
    let server = Server::on(&database);
    assert_eq!(server.get("/api/overview/1").await, format!("[{GAME}]"));
    for (id, tags) in [(2, "[]"), (3, r#"["x","y"]"#)] {
        let game = server.get(&format!("/api/overview/{id}")).await;
        assert!(game.contains(&format!(r#""tags":{tags}"#)), "{game}");
    }
    let page = server.get("/api/overview?limit=10").await;
    assert!(page.contains(GAME) && page.contains("nested") && page.contains("third"), "{page}");
    let mut seed = storefront(database.folder());
    seed.args(["seed", "--append", "--rows", "1", "--checksum", "--database-url", database.url()]);
    let seeded = output(&mut seed);
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    let change = json!({"developer": "new"});
    let changed = server.send(Method::PUT, "/api/overview/2", Some(&change)).await.unwrap();
    assert_eq!(changed.status(), 200);
}

#[tokio::test]
async fn legacy_games_can_be_changed_and_removed() {
    for database in [with_counter().await, without_counter().await] {
        let server = Server::on(&database);
        for change in [json!({"developer": "new"}), json!({"tags": ["t"]})] {
            let changed = server.send(Method::PUT, "/api/overview/2", Some(&change)).await.unwrap();
            assert_eq!(changed.status(), 200);
        }
        assert!(
            server
                .get("/api/overview/2")
                .await
                .contains(r#""developer":"new","publisher":"x","tags":["t"]"#)
        );
        let removed = server.send(Method::DELETE, "/api/overview/1", None).await.unwrap();
        assert_eq!(removed.status(), 200);
        assert_eq!(server.status("/api/overview/1").await, 404);
    }
}

#[tokio::test]
async fn new_games_get_the_next_free_ids() {
    for (database, next) in [
        (with_counter().await, [4, 5]),
        (without_counter().await, [4, 5]),
        (with_a_counter_that_lags().await, [5001, 5002]),
    ] {
        let server = Server::on(&database);
        for id in next {
            assert_eq!(created(&server).await, format!("/api/overview/{id}"));
        }
    }
}

#[tokio::test]
async fn migrating_twice_changes_no_game() {
    let all = "SELECT o::text FROM overviews o ORDER BY game_id";
    for database in
        [with_counter().await, without_counter().await, with_a_counter_that_lags().await]
    {
        let before = database.column(all).await;
        for _ in 0..2 {
            let mut migrate = storefront(database.folder());
            let migrated = output(migrate.args(["migrate", "--database-url", database.url()]));
            assert!(migrated.status.success(), "{}", stderr(&migrated));
        }
        assert_eq!(database.column(all).await, before);
    }
}

#[tokio::test]
async fn legacy_clients_and_ours_never_get_the_same_id() {
    for database in [with_counter().await, with_a_counter_that_lags().await] {
        let server = Server::on(&database);
        created(&server).await;
        let insert = format!("{OLDER_INSERT} ('older', '', '', '', '', NULL)");
        let older = async {
            for _ in 0..60 {
                database.execute(&insert).await;
            }
        };
        let ours = async {
            let mut paths = HashSet::new();
            for _ in 0..200 {
                assert!(paths.insert(created(&server).await));
            }
            paths
        };
        let ((), ours) = tokio::join!(older, ours);
        for path in ours {
            assert!(server.get(&path).await.contains(r#""game_name":"new""#), "{path}");
        }
        let count = "SELECT count(*) FROM overviews WHERE game_name = 'older'";
        assert_eq!(database.column(count).await, ["60"]);
    }
}

#[tokio::test]
async fn after_a_reset_load_legacy_clients_still_work() {
    let database = with_counter().await;
    let mut seed = storefront(database.folder());
    seed.args(["seed", "--reset", "--rows", "100", "--database-url", database.url()]);
    let seeded = output(&mut seed);
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    database.execute(&format!("{OLDER_INSERT} ('older', '', '', '', '', NULL)")).await;
    let server = Server::on(&database);
    assert!(server.get("/api/overview/101").await.contains("older"));
    assert_eq!(created(&server).await, "/api/overview/102");
}

#[tokio::test]
async fn a_reset_load_keeps_grants_and_indexes() {
    let database = with_counter().await;
    database.execute("GRANT SELECT ON overviews TO PUBLIC").await;
    database.execute("CREATE INDEX by_name ON overviews (game_name)").await;
    let facts = "SELECT relacl::text FROM pg_class WHERE oid = 'overviews'::regclass UNION ALL \
                 (SELECT indexdef FROM pg_indexes WHERE tablename = 'overviews' \
                  AND schemaname = current_schema ORDER BY indexname)";
    let before = database.column(facts).await;
    let mut seed = storefront(database.folder());
    seed.args(["seed", "--reset", "--rows", "100", "--database-url", database.url()]);
    let seeded = output(&mut seed);
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    assert_eq!(database.column(facts).await, before);
}
