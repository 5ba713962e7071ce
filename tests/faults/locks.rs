//! Strong locks on tables in use: who waits for one makes nobody else wait for long.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::requests::{ANSWER_TIMEOUT, Request, answer};
use testkit::database::OwnDatabase;
use testkit::games::game;
use testkit::postgres::OpenTransaction;
use testkit::process::{Server, signal, storefront, wait};
use testkit::wait::eventually;

/// Requests that must be answered while a command waits for its lock.
const ENOUGH: u64 = 50;

/// A command that runs on the database.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(database: &OwnDatabase, arguments: &[&str]) -> Self {
        let log = database.folder().join("command.log");
        let mut command = storefront(database.folder());
        command.args(arguments).args(["--database-url", database.url()]);
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it says that it waits for a transaction of that name.
    async fn waits_for(&mut self, name: &str) {
        let holder = format!("({name})");
        eventually("it says what it waits for", async || {
            let log = self.log();
            assert_eq!(self.child.try_wait().unwrap(), None, "{log}");
            log.contains("waiting for a lock") && log.contains(&holder)
        })
        .await;
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = tokio::task::block_in_place(|| wait(&mut self.child));
        (status, self.log())
    }

    #[track_caller]
    fn succeeds(self) {
        let (status, log) = self.end();
        assert!(status.success(), "{log}");
    }
}

/// A client that sends the same request again and again, and never gets an error.
struct Client {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Client {
    fn start(server: &Arc<Server>, request: Request<'static>) -> Self {
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (server, count, stopped) =
            (Arc::clone(server), Arc::clone(&answered), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = answer(&server, ANSWER_TIMEOUT, request.clone()).await;
                assert!(answer.status().is_success(), "{}\n{}", answer.status(), server.log());
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { answered, stop, task }
    }

    async fn goes_on(&self) {
        let enough = self.answered.load(Ordering::Relaxed) + ENOUGH;
        eventually("requests are answered", async || {
            self.task.is_finished() || self.answered.load(Ordering::Relaxed) >= enough
        })
        .await;
        assert!(!self.task.is_finished(), "a request got an error");
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

/// A server with one game.
pub async fn with_a_game() -> (OwnDatabase, Arc<Server>) {
    let database = OwnDatabase::on("postgres").await;
    let server = Arc::new(Server::on(&database));
    let created = answer(&server, ANSWER_TIMEOUT, create()).await;
    assert_eq!(created.status(), 201);
    (database, server)
}

pub fn create() -> Request<'static> {
    (Method::POST, "/api/overview", Some(game("any")))
}

const READ: &str = "SELECT count(*) FROM overviews";
const FIND: Request<'static> = (Method::GET, "/api/overview/1", None);
const SEED: [&str; 4] = ["seed", "--reset", "--rows", "1000"];

#[tokio::test(flavor = "multi_thread")]
async fn while_a_load_waits_for_a_reader_all_others_are_answered() {
    let (database, server) = with_a_game().await;
    let dump = OpenTransaction::begin(database.url(), "a dump", READ).await;
    let client = Client::start(&server, FIND);
    let mut seed = Running::start(&database, &SEED);
    seed.waits_for("a dump").await;
    client.goes_on().await;
    dump.commit().await;
    seed.succeeds();
    client.stop().await;
    assert_eq!(server.status("/api/overview/1000").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_waits_for_a_reader_can_be_stopped_and_resumed() {
    let (database, server) = with_a_game().await;
    let dump = OpenTransaction::begin(database.url(), "a dump", READ).await;
    let mut seed = Running::start(&database, &SEED);
    seed.waits_for("a dump").await;
    signal(seed.child.id(), "INT");
    let (status, log) = seed.end();
    assert_eq!(status.code(), Some(130), "{log}");
    assert!(log.contains("1000 of 1000 games are stored; `storefront seed --resume`"), "{log}");
    assert_eq!(server.status("/api/overview/1000").await, 404, "the old games are served");

    // The same after a kill, which leaves nothing behind but the time of a try.
    let mut seed = Running::start(&database, &["seed", "--resume"]);
    seed.waits_for("a dump").await;
    signal(seed.child.id(), "KILL");
    assert_eq!(seed.end().0.code(), None);
    let mut seed = Running::start(&database, &["seed", "--resume"]);
    seed.waits_for("a dump").await;
    dump.commit().await;
    seed.succeeds();
    assert_eq!(server.status("/api/overview/1000").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_load_waits_for_a_writer_others_write() {
    let (database, server) = with_a_game().await;
    let insert = "INSERT INTO overviews (game_name, description, release_date, developer, publisher) \
                  VALUES ('', '', '', '', '')";
    let writer = OpenTransaction::begin(database.url(), "a writer", insert).await;
    let client = Client::start(&server, create());
    let mut seed = Running::start(&database, &["seed", "--append", "--rows", "100"]);
    seed.waits_for("a writer").await;
    client.goes_on().await;
    writer.commit().await;
    seed.succeeds();
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_migration_waits_for_a_reader_others_read() {
    let database = OwnDatabase::on("postgres").await;
    let table = "CREATE TABLE overviews (game_id integer NOT NULL, game_name text, description text, \
                 release_date text, developer text, publisher text, tags text[])";
    database.execute(table).await;
    let dump = OpenTransaction::begin(database.url(), "a dump", READ).await;
    let mut migrate = Running::start(&database, &["migrate"]);
    migrate.waits_for("a dump").await;
    for _ in 0..ENOUGH {
        let limited = format!("SET statement_timeout = '5s'; {READ}");
        assert_eq!(database.column(&limited).await, ["0"]);
    }
    dump.commit().await;
    migrate.succeeds();
}
