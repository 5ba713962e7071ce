//! What an existing PostgreSQL table refuses by columns, constraints, triggers and policies of its own.

use futures::future::{join, join_all};
use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};

use testkit::database::OwnDatabase;
use testkit::process::Server;

/// A table whose sequence lags: most ids are taken, so that a group is stored in several rounds.
const TABLE: &str = "CREATE TABLE overviews (game_id serial PRIMARY KEY, game_name varchar(12) NOT NULL, \
                     description text NOT NULL, release_date text NOT NULL, developer text NOT NULL, \
                     publisher text CONSTRAINT published CHECK (publisher <> ''), tags varchar(3)[]); \
                     INSERT INTO overviews SELECT n, 'older', '', '', '', 'p', NULL \
                     FROM generate_series(1, 1000) n WHERE n % 4 <> 1; \
                     CREATE TABLE reviews (game_id integer CONSTRAINT reviewed REFERENCES overviews); \
                     INSERT INTO reviews VALUES (2)";
/// Ways to refuse the game named `refused`; its description does not fit into an index.
const REFUSE: [&str; 9] = [
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE 'not this one'; END $$; \
     CREATE TRIGGER refuse AFTER INSERT ON overviews FOR EACH ROW \
     WHEN (NEW.game_name = 'refused') EXECUTE FUNCTION refuse()",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE 'not this one'; END $$; \
     CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON overviews DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW WHEN (NEW.game_name = 'refused') EXECUTE FUNCTION refuse()",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE 'not this one' USING ERRCODE = 'ZX001'; END $$; \
     CREATE TRIGGER refuse BEFORE INSERT ON overviews FOR EACH ROW \
     WHEN (NEW.game_name = 'refused') EXECUTE FUNCTION refuse()",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE 'not this one' USING ERRCODE = '45000', CONSTRAINT = 'ours'; END $$; \
     CREATE TRIGGER refuse AFTER INSERT ON overviews FOR EACH ROW \
     WHEN (NEW.game_name = 'refused') EXECUTE FUNCTION refuse()",
    "CREATE POLICY refuse ON overviews USING (true) WITH CHECK (game_name <> 'refused'); \
     ALTER TABLE overviews ENABLE ROW LEVEL SECURITY; ALTER TABLE overviews FORCE ROW LEVEL SECURITY",
    "CREATE INDEX refuse ON overviews (description)",
    "ALTER TABLE overviews ADD CONSTRAINT refuse CHECK (game_name <> 'refused')",
    "CREATE UNIQUE INDEX refuse ON overviews (game_name) WHERE game_name <> 'older'; \
     INSERT INTO overviews VALUES (2000, 'refused', '', '', '', 'p')",
    "CREATE TABLE developers (name text PRIMARY KEY); \
     INSERT INTO developers VALUES ('ConcernedApe'), (''); \
     ALTER TABLE overviews ADD CONSTRAINT refuse FOREIGN KEY (developer) REFERENCES developers",
];

/// A server on that table with more SQL.
async fn server_on(sql: &str) -> (OwnDatabase, Server) {
    let database = OwnDatabase::on("postgres").await;
    database.execute(&format!("{TABLE}; {sql}")).await;
    let server = Server::on(&database);
    (database, server)
}

async fn answer(server: &Server, method: Method, path: &str, body: &Value) -> (u16, String) {
    let response = server.send(method, path, Some(body)).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The body of a create that the table takes: its tags are short enough.
fn game(name: &str) -> Value {
    let mut game = testkit::games::game(name);
    game["tags"] = json!(["a", "b"]);
    game
}

/// The same with one field changed.
fn game_with(field: &str, value: Value) -> Value {
    let mut game = game("new");
    game[field] = value;
    game
}

fn refused_game() -> Value {
    let mut random = rand::rng();
    let description: String =
        (0..8_000).map(|_| random.random_range('\u{400}'..'\u{4ff}')).collect();
    let mut game = game_with("description", json!(description));
    game["game_name"] = json!("refused");
    game["developer"] = json!("unknown");
    game
}

#[tokio::test]
async fn a_refused_create_fails_alone_and_nothing_is_stored_twice() {
    for refuse in REFUSE {
        let (database, server) = server_on(refuse).await;
        let refused = refused_game();
        let refusals = join_all((0..4).map(async |_| {
            for _ in 0..10 {
                let (status, body) = answer(&server, Method::POST, "/api/overview", &refused).await;
                assert_eq!(status, 409, "{refuse}: {body}");
            }
        }));
        let creates = join_all((0..40).map(async |n| {
            let mut game = game(&format!("new {n}"));
            if n % 2 == 0 {
                game["game_id"] = json!(2_001 + n);
            }
            let (status, body) = answer(&server, Method::POST, "/api/overview", &game).await;
            assert_eq!(status, 201, "{refuse}: {body}");
        }));
        join(refusals, creates).await;
        let stored = "SELECT count(DISTINCT game_name) || ' of ' || count(*) FROM overviews \
                      WHERE game_name NOT IN ('older', 'refused')";
        assert_eq!(database.column(stored).await, ["40 of 40"], "{refuse}");
    }
}

#[tokio::test]
async fn a_refused_change_fails_alone() {
    let (database, server) = server_on("").await;
    let refusals = join_all((0..4).map(async |_| {
        for _ in 0..10 {
            let change = json!({ "publisher": "" });
            let (status, body) = answer(&server, Method::PUT, "/api/overview/4", &change).await;
            assert_eq!(status, 409, "{body}");
            let (status, body) =
                answer(&server, Method::DELETE, "/api/overview/2", &Value::Null).await;
            assert_eq!(status, 409, "{body}");
        }
    }));
    // Games 2, 3 and 4 of each four are there; several clients change and remove the same ones.
    let changes = join_all((0..40).map(async |n| {
        let path = format!("/api/overview/{}", 403 + 4 * (n % 10));
        let change = json!({ "publisher": format!("p{n}") });
        let (status, body) = answer(&server, Method::PUT, &path, &change).await;
        assert_eq!(status, 200, "{body}");
        let path = format!("/api/overview/{}", 804 + 4 * (n % 20));
        answer(&server, Method::DELETE, &path, &Value::Null).await.0
    }));
    let (_, removed) = join(refusals, changes).await;
    let of = |status| removed.iter().filter(|removed| **removed == status).count();
    assert_eq!((of(200), of(404)), (20, 20), "{removed:?}");
    let changed =
        "SELECT count(*) FILTER (WHERE publisher <> 'p') || ' of ' || count(*) FROM overviews";
    assert_eq!(database.column(changed).await, ["10 of 730"]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_column_is_malformed_and_names_the_column() {
    let (_database, server) = server_on("").await;
    for (field, value) in [("game_name", json!("thirteen long")), ("tags", json!(["abc", "abcd"]))]
    {
        let create = game_with(field, value.clone());
        let change = json!({ field: value });
        for (method, path, body) in
            [(Method::POST, "/api/overview", &create), (Method::PUT, "/api/overview/4", &change)]
        {
            let (status, said) = answer(&server, method, path, body).await;
            assert_eq!(status, 400, "{said}");
            assert!(said.contains(&format!("does not fit the column `{field}`")), "{said}");
        }
    }
    // Trailing spaces are no characters too many.
    let create = game_with("game_name", json!("twelve long.  "));
    let (status, said) = answer(&server, Method::POST, "/api/overview", &create).await;
    assert_eq!(status, 201, "{said}");
}

#[tokio::test]
async fn a_violated_constraint_is_a_conflict_and_named() {
    let (database, server) = server_on("").await;
    let create = game_with("publisher", json!(""));
    let change = json!({ "publisher": "" });
    for (method, path, body, constraint) in [
        (Method::POST, "/api/overview", &create, "published"),
        (Method::PUT, "/api/overview/4", &change, "published"),
        (Method::DELETE, "/api/overview/2", &Value::Null, "reviewed"),
    ] {
        let (status, said) = answer(&server, method, path, body).await;
        assert_eq!(status, 409, "{said}");
        assert!(said.contains(&format!("the constraint `{constraint}`")), "{said}");
    }
    let left = "SELECT count(*) FROM overviews WHERE game_name = 'older' AND publisher = 'p'";
    assert_eq!(database.column(left).await, ["750"]);
}
