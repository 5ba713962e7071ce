//! With small limits, on real files: what a few megabytes show.

use super::*;
use crate::db::MigrationPolicy;
use crate::db::embedded::identity::FileIdentity;
use crate::db::embedded::writer::{Writer, WriterMetrics};
use crate::db::embedded::{connection, migrate};
use crate::db::storage::{ActContext, Update};

const SMALL: Limits = Limits { copy: 50, restart: 200, few: 60, slow: 400, slowest: 800 };
/// Of the inserted rows: two pages or three.
const ROW_BYTES: u32 = 9_000;
/// A page and its header in the log.
const FRAME_BYTES: u64 = 4_096 + 24;

struct Store {
    folder: tempfile::TempDir,
    registry: Registry,
    writer: Writer,
}

impl Store {
    fn new(limits: Limits) -> Self {
        Self::with(limits, connection::open_for_checkpoints)
    }

    fn with(limits: Limits, own: fn(&Path) -> Result<Connection, StorageError>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("games.db");
        let connection = connection::open(&path, MigrationPolicy::Migrate).unwrap();
        migrate::run(&connection, &path, &migrate::STORE, MigrationPolicy::Migrate).unwrap();
        let mut connection = connection::tuned(connection).unwrap();
        connection.execute_batch("CREATE TABLE blobs (blob)").unwrap();
        let identity = Arc::new(FileIdentity::of(&path).unwrap());
        let registry = Registry::default();
        let metrics = CheckpointMetrics::register(&registry);
        let supervisor = registry.supervisor();
        let checkpointer = Checkpointer::with_limits(
            &mut connection,
            own(&path).unwrap(),
            &path,
            metrics,
            supervisor.clone(),
            limits,
        );
        let metrics = WriterMetrics::register(&registry);
        let checkpointer = checkpointer.unwrap();
        let writer =
            Writer::start(connection, identity, checkpointer, metrics, supervisor).unwrap();
        Self { folder, registry, writer }
    }

    /// Inserts rows, as many clients as that at once.
    async fn insert(&self, clients: usize, rows: usize) {
        let client = async || {
            for _ in 0..rows {
                let insert = |c: &Connection| {
                    c.execute("INSERT INTO blobs VALUES (zeroblob(?1))", [ROW_BYTES])?;
                    Ok(Update::Updated)
                };
                self.writer.submit(ActContext::new(), insert).await.unwrap();
            }
        };
        futures::future::join_all((0..clients).map(|_| client())).await;
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.registry.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("storefront_{name} ")));
        line.expect("the metric").parse().unwrap()
    }

    fn log_bytes(&self) -> u64 {
        self.folder.path().join("games.db-wal").metadata().unwrap().len()
    }

    fn other_connection(&self) -> Connection {
        Connection::open(self.folder.path().join("games.db")).unwrap()
    }

    async fn eventually(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn the_log_is_bounded_under_constant_writes() {
    let store = Store::new(SMALL);
    store.insert(8, 1_000).await;
    let (written, log) = (8_000 * u64::from(ROW_BYTES), store.log_bytes());
    // The file never shrinks below the limit of kept bytes, so this is the longest it was.
    assert!(log < 4 * u64::from(SMALL.slowest) * FRAME_BYTES, "{log} of {written} bytes");
    assert!(store.metric("checkpoint_seconds_count") > 10.0);
}

/// Each group is of 1,024 jobs, and the next waits: no PASSIVE checkpoint ends between two of them.
#[tokio::test]
async fn a_log_that_gets_new_pages_all_the_time_begins_from_its_start_again() {
    let never = u32::MAX;
    let store = Store::new(Limits { few: 4_000, slow: never, slowest: never, ..SMALL });
    // On a busy machine it takes more rows until the few that are left can be copied.
    for rounds in 1..=10 {
        store.insert(4_000, 2).await;
        let written = rounds * 8_000 * u64::from(ROW_BYTES);
        if store.log_bytes() < written / 2 {
            assert!(store.metric("writer_held_seconds_count") >= 1.0);
            return;
        }
    }
    panic!("the log has all that was written: {} bytes", store.log_bytes());
}

#[tokio::test]
async fn the_log_is_removed_when_the_last_connection_is_closed() {
    let store = Store::new(SMALL);
    store.insert(4, 50).await;
    let Store { folder, writer, .. } = store;
    drop(writer);
    assert!(!folder.path().join("games.db-wal").exists());
    let other = Connection::open(folder.path().join("games.db")).unwrap();
    let rows: i64 = other.query_row("SELECT count(*) FROM blobs", (), |row| row.get(0)).unwrap();
    assert_eq!(rows, 200);
}

#[tokio::test]
async fn a_reader_that_stays_open_lets_the_log_grow_and_does_not_hold_the_writer() {
    let store = Store::new(Limits { few: 0, ..SMALL });
    let reader = store.other_connection();
    reader.execute_batch("BEGIN; SELECT count(*) FROM blobs").unwrap();
    store.insert(4, 200).await;
    store
        .eventually("the blocked pages are counted", |s| s.metric("wal_blocked_pages") > 800.0)
        .await;
    let pages = store.metric("wal_pages");
    assert!(pages > f64::from(SMALL.slowest), "{pages}");
    // Nothing held or slowed down what is written while the reader blocks.
    let held = store.metric("writer_held_seconds_count");
    store.insert(4, 200).await;
    assert!(store.metric("wal_pages") > pages + 1_000.0);
    assert_eq!(store.metric("writer_held_seconds_count"), held);
    reader.execute_batch("COMMIT").unwrap();
    store.eventually("what was blocked is copied", |s| s.metric("wal_blocked_pages") == 0.0).await;
}

#[tokio::test]
async fn after_a_long_reader_the_log_begins_anew() {
    let store = Store::new(SMALL);
    let reader = store.other_connection();
    reader.execute_batch("BEGIN; SELECT count(*) FROM blobs").unwrap();
    store.insert(4, 200).await;
    reader.execute_batch("COMMIT").unwrap();
    let begun = Instant::now();
    while store.metric("wal_pages") >= f64::from(SMALL.restart) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", store.metric("wal_pages"));
        store.insert(1, 1).await;
    }
}

#[tokio::test]
async fn a_writer_that_is_faster_than_the_checkpoint_is_slowed_down() {
    // Every log is too long, and never is so little left that the writer is held.
    let store = Store::new(Limits { few: 0, slow: 0, slowest: 1, ..SMALL });
    store.insert(8, 500).await;
    assert!(store.metric("writer_held_seconds_count") > 0.0);
}

#[tokio::test]
async fn the_writer_goes_on_while_checkpoints_fail() {
    // SQLite refuses to copy on a connection that may not write.
    let store = Store::with(SMALL, |path| {
        let own = connection::open_for_checkpoints(path)?;
        drop(own);
        let own = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        own.map_err(internal)
    });
    store.insert(4, 200).await;
    store.eventually("a second try", |s| s.metric("checkpoint_failures_total") >= 2.0).await;
    store.insert(4, 50).await;
    // One try a second, not one after each commit.
    assert!(store.metric("checkpoint_failures_total") < 20.0);
    assert_eq!(store.metric("task_restarts_total"), 0.0);
    assert!(store.metric("wal_pages") > f64::from(SMALL.slowest));
}

#[test]
fn a_hold_waits_for_the_group_and_the_next_group_for_the_hold() {
    let log = LogState::new(SMALL, CheckpointMetrics::register(&Registry::default()));
    let order = std::sync::Mutex::new(Vec::new());
    let note = |what| order.lock().unwrap().push(what);
    let group = log.begin_group();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let hold = log.hold().expect("the group ends");
            note("held");
            drop(hold);
        });
        while !log.is_held() {
            std::thread::yield_now();
        }
        scope.spawn(|| {
            // It has to wait even before the hold has begun: or a busy writer would never be held.
            let _next = log.begin_group();
            note("next group");
        });
        std::thread::sleep(Duration::from_millis(20));
        note("group ends");
        drop(group);
    });
    assert_eq!(*order.lock().unwrap(), ["group ends", "held", "next group"]);
}

#[test]
fn a_slowed_writer_takes_its_time_for_each_page_up_to_a_limit() {
    let log = LogState::new(SMALL, CheckpointMetrics::register(&Registry::default()));
    let mut pages = 0;
    let mut pause = |page_time, added| {
        drop(log.begin_group());
        log.slow_down(page_time);
        pages += added;
        log.committed(pages);
        let begun = Instant::now();
        drop(log.begin_group());
        begun.elapsed()
    };
    assert!(pause(Duration::from_millis(2), 10) >= Duration::from_millis(19));
    let limited = pause(Duration::from_secs(60), 10);
    assert!(limited >= Duration::from_millis(99) && limited < Duration::from_secs(10));
    assert!(pause(Duration::ZERO, 10) < Duration::from_millis(19));
}
