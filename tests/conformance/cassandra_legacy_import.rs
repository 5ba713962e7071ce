//! Importing the games of the legacy schema.

use std::time::Duration;

use crate::world::act;
use futures::stream::{StreamExt, TryStreamExt, iter};
use scylla::SerializeValue;
use scylla::client::session::Session;
use storefront::config::database::{Database, Url};
use storefront::db::storage::{Begin, Chunk, LoadMode, NewLoad};
use storefront::db::{MigrationPolicy, import_legacy};
use storefront::overview::model::{GameId, Overview};
use storefront_seed::Generator;

use crate::world::{game, stored};
use testkit::cassandra::{Keyspace, open, session};

const GAMES: i32 = 3_000;

/// The earlier service's type, as most installations have it.
#[derive(SerializeValue)]
struct OldGame {
    game_name: String,
    description: String,
    release_date: String,
    developer: String,
    publisher: String,
    tags: Option<Vec<String>>,
}

/// Every seventh game has null for tags.
fn expected(id: i32) -> Overview {
    let game = Overview::from(Generator::new(5).game(id));
    if id % 7 == 0 { Overview { tags: vec![], ..game } } else { game }
}

fn old(id: i32) -> OldGame {
    let Overview { game_name, description, release_date, developer, publisher, tags, .. } =
        expected(id);
    let tags = (id % 7 != 0).then_some(tags);
    OldGame { game_name, description, release_date, developer, publisher, tags }
}

async fn execute(session: &Session, statement: &str) {
    session.query_unpaged(statement, ()).await.unwrap();
}

/// An empty table of the earlier service in a keyspace of its own.
async fn old_table(fields: &str) -> (Keyspace, Session) {
    let keyspace = Keyspace::reserve().await;
    let session = session(&keyspace.settings()).await;
    let name = &keyspace.name;
    execute(
        &session,
        &format!(
            "CREATE KEYSPACE {name} WITH replication = \
             {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        ),
    )
    .await;
    execute(&session, &format!("CREATE TYPE {name}.overview ({fields})")).await;
    let table = "(game_id int PRIMARY KEY, game frozen<overview>)";
    execute(&session, &format!("CREATE TABLE {name}.overview {table}")).await;
    (keyspace, session)
}

const FIELDS: &str = "game_name text, description text, release_date text, developer text, \
                      publisher text, tags list<text>";

fn database(keyspace: &Keyspace) -> Database {
    Database { url: Url::Cassandra(keyspace.settings()), named: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_game_is_imported_however_often_the_import_is_interrupted() {
    let (theirs, session) = old_table(FIELDS).await;
    let insert = format!("INSERT INTO {}.overview (game_id, game) VALUES (?, ?)", theirs.name);
    let insert = session.prepare(insert).await.unwrap();
    let write = |id| session.execute_unpaged(&insert, (id, old(id)));
    iter(1..=GAMES).map(write).buffer_unordered(64).try_for_each(async |_| Ok(())).await.unwrap();

    let ours = Keyspace::reserve().await;
    let stores = open(ours.settings(), MigrationPolicy::Migrate).await.unwrap();
    let kept = [5, 70];
    for id in kept {
        stores.overviews.create(act(), game(Some(id))).await.unwrap();
    }
    stores.overviews.create(act(), game(Some(9))).await.unwrap();
    stores.overviews.remove(act(), GameId(9)).await.unwrap();
    for _ in 0..3 {
        interrupted(database(&ours), theirs.name.clone()).await;
    }
    for _ in 0..2 {
        let carried = import_legacy(&database(&ours), &theirs.name).await.unwrap();
        assert_eq!(carried.games, GAMES as u64);
    }
    for id in 1..=GAMES {
        let found = stores.overviews.find(GameId(id), None).await.unwrap();
        let wanted = match id {
            9 => None,
            id if kept.contains(&id) => Some(stored(game(None), GameId(id))),
            id => Some(expected(id)),
        };
        assert_eq!(found, wanted, "game {id}");
    }
    assert_eq!(stores.inspection.digest().await.unwrap().rows, GAMES as u64 - 1);
}

/// Carries over until the process is killed, nearly: a runtime that ends takes its tasks with it.
async fn interrupted(database: Database, old_keyspace: String) {
    let killed = move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let carried = async { import_legacy(&database, &old_keyspace).await };
        let cut = runtime.block_on(tokio::time::timeout(Duration::from_millis(700), carried));
        println!("interrupted: {}", cut.is_err());
        runtime.shutdown_background();
    };
    tokio::task::spawn_blocking(killed).await.unwrap();
}

/// Some installations have the id in the type as well, tags as a set, and games without anything.
#[tokio::test]
async fn other_forms_of_the_legacy_type_are_read() {
    let (theirs, session) =
        old_table(&format!("game_id int, {}", FIELDS.replace("list", "set"))).await;
    for values in [
        "(1, {game_id: 1, game_name: 'a', developer: 'b', tags: {'x', 'y'}})",
        "(2, {game_name: 'c'})",
        "(-3, null)",
    ] {
        let table = format!("{}.overview (game_id, game)", theirs.name);
        execute(&session, &format!("INSERT INTO {table} VALUES {values}")).await;
    }
    let ours = Keyspace::reserve().await;
    let carried = import_legacy(&database(&ours), &theirs.name).await.unwrap();
    assert_eq!(carried.games, 3);
    let stores = open(ours.settings(), MigrationPolicy::Require).await.unwrap();
    let first = stores.overviews.find(GameId(1), None).await.unwrap().unwrap();
    assert_eq!((first.game_name.as_str(), first.developer.as_str()), ("a", "b"));
    assert_eq!((first.publisher.as_str(), first.tags), ("", vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(
        stores.overviews.find(GameId(2), None).await.unwrap().unwrap().tags,
        Vec::<String>::new()
    );
    assert!(stores.overviews.find(GameId(-3), None).await.unwrap().is_some());
}

/// The new tables may be beside the old one, and a load afterwards takes no id that was carried.
#[tokio::test]
async fn a_load_after_an_import_keeps_the_imported_games() {
    let (theirs, session) = old_table(FIELDS).await;
    let table = format!("{}.overview (game_id, game)", theirs.name);
    execute(&session, &format!("INSERT INTO {table} VALUES (4, {{game_name: 'old'}})")).await;
    import_legacy(&database(&theirs), &theirs.name).await.unwrap();
    let stores = open(theirs.settings(), MigrationPolicy::Require).await.unwrap();
    let load = NewLoad { seed: 1, rows: 10, mode: LoadMode::Append };
    let Begin::Started(load) = stores.loads.begin(load).await.unwrap() else { panic!() };
    let games = (1..11).map(|id| Generator::new(1).game(id).into()).collect();
    let written = stores.loads.write(&load, Chunk { range: 1..11, games }).await.unwrap();
    assert_eq!(written, 9);
    let kept = stores.overviews.find(GameId(4), None).await.unwrap().unwrap();
    assert_eq!(kept.game_name, "old");
}

#[tokio::test]
async fn an_import_without_a_legacy_table_is_refused() {
    let ours = Keyspace::reserve().await;
    let error = import_legacy(&database(&ours), "no_such_keyspace").await.unwrap_err();
    assert!(error.to_string().contains("there is no table no_such_keyspace.overview"), "{error}");
}
