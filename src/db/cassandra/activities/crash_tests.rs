//! Crash tests on a real Cassandra: a server stops after each part of each act, and another one finishes
//! it; a worker that was paused goes on after another has taken over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::CassandraActivities;
use super::gate::Gate;
use super::redo::Redo;
use super::store::Store;
use super::worker::Part;
use crate::activities::model::{MessageId, Name, Rejection, Value, Work};
use crate::db::MigrationPolicy;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::idempotency::IdempotencyKeys;
use crate::db::cassandra::{migrate, test_keyspace};
use crate::db::storage::{
    Accept, ActContext, ActivityStore, Applied, Discard, IdempotencyKey, MessageState, NewMessage,
    QueueStatus, QueuedMessage, Retry, StorageError, TransferTarget, TransferredMessage,
    WorkerLease,
};
use crate::telemetry::Registry;

/// Positions in a segment: a few, so that tests need several.
const SEGMENT: i64 = 4;

/// A keyspace and two servers on it, of which the first one stops.
struct World {
    cluster: Arc<Cluster>,
    dying: CassandraActivities,
    living: CassandraActivities,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::connect(&test_keyspace::settings()).await.unwrap();
        migrate::run(&cluster, MigrationPolicy::Migrate).await.unwrap();
        let (dying, living) = (server(&cluster).await, server(&cluster).await);
        Self { cluster, dying, living }
    }

    async fn end(self) {
        let text = self.cluster.text("DROP KEYSPACE $");
        self.cluster.session().query_unpaged(text, ()).await.unwrap();
    }

    /// The living server applies all that is queued.
    async fn work(&self) {
        let lease = lease(&self.living).await;
        self.living.prune(lease, Duration::from_secs(3_600), 100).await.unwrap();
        work(&self.living, lease).await;
        self.living.release(lease).await.unwrap();
        assert_eq!(self.living.worker().await.unwrap().owner, None, "nothing is left half done");
    }

    async fn state(&self, id: MessageId) -> MessageState {
        self.living.find(id).await.unwrap().unwrap().state
    }

    /// The values of the column `n`.
    async fn numbers(&self, table: &str) -> Option<Vec<i64>> {
        let rows = self.living.rows(&name(table), None, 1_000).await.unwrap()?;
        let numbers = rows.rows.into_iter().map(|row| match row[..] {
            [Value::Integer(n)] => n,
            _ => panic!("{row:?}"),
        });
        Some(numbers.collect())
    }

    /// How many rows the catalogue counts.
    async fn count(&self, table: &str) -> Option<u64> {
        let tables = self.living.tables().await.unwrap();
        tables.iter().find(|known| known.name == name(table)).map(|table| table.rows)
    }

    /// That tables are as they should be, and nothing is queued.
    async fn has(&self, expected: [(&str, Option<&[i64]>); 2]) {
        for (table, rows) in expected {
            assert_eq!(self.numbers(table).await.as_deref(), rows, "{table}");
            assert_eq!(self.count(table).await, rows.map(|rows| rows.len() as u64), "{table}");
        }
        assert_eq!(self.living.queue_status().await.unwrap(), QueueStatus::default());
    }
}

async fn server(cluster: &Arc<Cluster>) -> CassandraActivities {
    let store = Store::with_segments(cluster, &Registry::default(), SEGMENT).await.unwrap();
    CassandraActivities::new(store, &IdempotencyKeys::open(cluster).await.unwrap())
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

async fn lease(server: &CassandraActivities) -> WorkerLease {
    let seen = server.worker().await.unwrap();
    server.take_over(&seen, "a test").await.unwrap().unwrap()
}

async fn work(server: &CassandraActivities, lease: WorkerLease) {
    loop {
        let messages = server.next(lease, 3).await.unwrap();
        if messages.is_empty() {
            return;
        }
        let applied = server.apply(lease, messages).await.unwrap();
        assert!(matches!(applied, Applied::Outcomes(_)));
    }
}

fn insert(table: &str, n: i64) -> serde_json::Value {
    json!({ "operation": "insert", "table": table, "col_names": ["n"], "col_types": ["INTEGER"],
            "col_values": [n] })
}

fn delete(table: &str, n: i64) -> serde_json::Value {
    json!({ "operation": "delete", "table": table, "value_to_delete":
            { "col_names": ["n"], "col_types": ["INTEGER"], "col_values": [n] } })
}

fn body(activities: &[serde_json::Value]) -> Arc<str> {
    json!({ "activities": activities }).to_string().into()
}

async fn accept(server: &CassandraActivities, body: Arc<str>) -> MessageId {
    let id = MessageId::new();
    let accepted = server.accept(ActContext::new(), NewMessage { id, body }).await.unwrap();
    assert_eq!(accepted, Accept::Queued(id));
    id
}

/// A message that is not rejected before it is decided.
type Undecided = (QueuedMessage, Option<Rejection>);

async fn undecided(server: &CassandraActivities, lease: WorkerLease) -> Vec<Undecided> {
    let messages = server.next(lease, 100).await.unwrap();
    messages.into_iter().map(|message| (message, None)).collect()
}

/// Fills two tables, and queues messages that change all there is to change: rows, counts, columns,
/// names and states.
async fn queue_changes(world: &World) -> [MessageId; 5] {
    for n in 0..5 {
        accept(&world.dying, body(&[insert("t", n), insert("gone", n)])).await;
    }
    world.work().await;
    [
        accept(&world.dying, body(&[delete("t", 1), insert("t", 10)])).await,
        accept(&world.dying, body(&[delete("t", 10), insert("t", 11), delete("t", 0)])).await,
        accept(&world.dying, body(&[insert("t", 12), delete("missing", 1)])).await,
        accept(&world.dying, Work::drop_table(&name("gone")).into()).await,
        accept(&world.dying, body(&[insert("t", 13)])).await,
    ]
}

const CHANGED: [(&str, Option<&[i64]>); 2] = [("t", Some(&[2, 3, 4, 11, 13])), ("gone", None)];

async fn are_ended(world: &World, ids: [MessageId; 5]) {
    for (n, id) in ids.into_iter().enumerate() {
        let expected = if n == 2 { MessageState::Rejected } else { MessageState::Applied };
        assert_eq!(world.state(id).await, expected, "{n}");
    }
    let groups = world.living.rejections(None, 10).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 1, "{groups:?}");
    let listed = world.living.list(None, None, 100).await.unwrap();
    assert_eq!(listed.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_completed_after_a_crash_behind_any_of_its_parts() {
    for written in 0..=Part::ALL.len() {
        let world = World::new().await;
        let ids = queue_changes(&world).await;
        let first = lease(&world.dying).await;
        let messages = undecided(&world.dying, first).await;
        let (step, redo) = world.dying.worker.begin_step(first, &messages).await.unwrap();
        for part in &Part::ALL[..written] {
            world.dying.worker.write_part(*part, step, &redo).await.unwrap();
        }
        // Who is told that a message has ended finds all that it has changed.
        let [first, ..] = ids;
        if world.state(first).await != MessageState::Queued {
            for (table, rows) in CHANGED {
                assert_eq!(world.numbers(table).await.as_deref(), rows, "{table}, {written}");
            }
        }
        world.work().await;
        world.has(CHANGED).await;
        are_ended(&world, ids).await;
        world.end().await;
    }
}

/// At any moment, and not only between the parts of a step: nothing that was written is lost, and nothing
/// is written twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stops_at_any_moment_loses_nothing() {
    let world = World::new().await;
    for n in 0..60_u64 {
        let id = accept(&world.dying, body(&[insert("t", n as i64)])).await;
        let lease = lease(&world.dying).await;
        let messages = undecided(&world.dying, lease).await;
        let applying = world.dying.worker.apply(lease, &messages);
        let stops_after = Duration::from_micros(n * 500);
        let is_done = tokio::time::timeout(stops_after, applying).await.is_ok();
        // Who is told that it is applied finds what it has changed.
        if world.state(id).await == MessageState::Applied {
            assert_eq!(world.numbers("t").await.unwrap().last(), Some(&(n as i64)));
        } else {
            assert!(!is_done);
        }
    }
    world.work().await;
    let all: Vec<_> = (0..60).collect();
    world.has([("t", Some(&all)), ("gone", None)]).await;
    world.end().await;
}

/// The paused worker has recorded its step; the new one has completed it, and has done more since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_worker_that_goes_on_changes_nothing() {
    let world = World::new().await;
    let ids = queue_changes(&world).await;
    let first = lease(&world.dying).await;
    let messages = undecided(&world.dying, first).await;
    let (step, redo) = world.dying.worker.begin_step(first, &messages).await.unwrap();
    world.work().await;
    let rejected = ids[2];
    let again = NewMessage { id: MessageId::new(), body: body(&[insert("t", 14)]) };
    let retried = world.living.retry(ActContext::new(), rejected, again).await.unwrap();
    assert!(matches!(retried, Retry::Queued(_)));
    let changes = [delete("t", 11), delete("t", 13), insert("t", 15), insert("gone", 1)];
    accept(&world.living, body(&changes)).await;
    world.work().await;
    let expected: [(&str, Option<&[i64]>); 2] =
        [("t", Some(&[2, 3, 4, 14, 15])), ("gone", Some(&[1]))];
    world.has(expected).await;
    let before = world.living.list(None, None, 100).await.unwrap();
    for part in Part::ALL {
        world.dying.worker.write_part(part, step, &redo).await.unwrap();
        world.has(expected).await;
        assert_eq!(world.living.list(None, None, 100).await.unwrap(), before, "{part:?}");
        assert_eq!(world.living.rejections(None, 10).await.unwrap(), [], "{part:?}");
    }
    assert_eq!(world.dying.apply(first, queued(messages)).await.unwrap(), Applied::LeaseLost);
    assert_eq!(world.dying.next(first, 10).await.unwrap().len(), 0);
    world.end().await;
}

fn queued(messages: Vec<Undecided>) -> Vec<QueuedMessage> {
    messages.into_iter().map(|(message, _)| message).collect()
}

/// The paused worker has decided its step, and not recorded it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_not_recorded_without_the_lease_or_behind_another_step() {
    let world = World::new().await;
    accept(&world.dying, body(&[insert("t", 1)])).await;
    let first = lease(&world.dying).await;
    let table = &world.dying.store.worker_table;
    let step = table.read().await.unwrap().step;
    let redo = Redo::default();
    // Another step is under way.
    assert!(table.begin(first, step + 1, &redo).await.unwrap());
    assert!(table.begin(first, step + 2, &redo).await.is_err());
    world.dying.release(first).await.unwrap();
    assert!(world.living.worker().await.unwrap().owner.is_some(), "a step is under way");
    let second = lease(&world.living).await;
    assert!(!table.begin(first, step + 2, &redo).await.unwrap());
    assert!(!table.finish(first, step + 1, &Default::default()).await.unwrap());
    assert!(!table.keep_from(first, 7).await.unwrap());
    work(&world.living, second).await;
    world.has([("t", Some(&[1])), ("gone", None)]).await;
    // Nothing is under way, and the number is right: only the token is not.
    let step = table.read().await.unwrap().step;
    assert!(!table.begin(first, step + 1, &redo).await.unwrap());
    assert!(table.begin(second, step + 1, &redo).await.unwrap());
    world.end().await;
}

/// What a repeat of an accept under a key does, when the first try stopped after so many parts: the text,
/// then the claim of the key, then the entry in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_queued_once_wherever_its_server_stopped() {
    let world = World::new().await;
    for parts in 0..3 {
        for applied in [false, true] {
            let key = IdempotencyKey::new(Uuid::now_v7().to_string(), 1, Duration::from_secs(600));
            let context = ActContext::new().with_key(Some(key));
            let table = format!("t{parts}{applied}");
            let new = NewMessage { id: MessageId::new(), body: body(&[insert(&table, 1)]) };
            stop_accept(&world, &context, &new, parts).await;
            if applied {
                world.work().await;
            }
            let repeat_id = MessageId::new();
            let repeat = NewMessage { id: repeat_id, ..new.clone() };
            let accepted = world.living.accept(context, repeat).await.unwrap();
            let claimed = if parts == 0 { repeat_id } else { new.id };
            assert_eq!(accepted, Accept::Queued(claimed));
            let queued = world.living.queue_status().await.unwrap().messages;
            assert_eq!(queued, u64::from(!applied || parts < 2), "{table}");
            world.work().await;
            world.has([(&table, Some(&[1])), ("missing", None)]).await;
        }
    }
    world.end().await;
}

async fn stop_accept(world: &World, context: &ActContext, new: &NewMessage, parts: usize) {
    let store = &world.dying.store;
    let stopped = || StorageError::new(crate::db::storage::ErrorKind::Internal, "stopped");
    let gate = Gate::new(store);
    gate.prepare_accept(new).await.unwrap();
    if parts == 0 {
        return;
    }
    let outcome = world.dying.keys.once(context, new.id.to_string(), |_| async {
        if parts > 1 {
            store.append(ActContext::new(), new.id, new.body.len()).await.unwrap();
        }
        Err::<Accept, _>(stopped())
    });
    outcome.await.unwrap_err();
}

/// A repeat long after its message was applied and pruned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_pruned_is_not_queued_again() {
    let world = World::new().await;
    let key = IdempotencyKey::new("key", 1, Duration::from_secs(600));
    let context = ActContext::new().with_key(Some(key));
    let new = NewMessage { id: MessageId::new(), body: body(&[insert("t", 1)]) };
    stop_accept(&world, &context, &new, 2).await;
    for n in 2..9 {
        accept(&world.living, body(&[insert("t", n)])).await;
    }
    let lease = lease(&world.living).await;
    work(&world.living, lease).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(world.living.prune(lease, Duration::ZERO, 100).await.unwrap(), 8);
    assert_eq!(world.living.find(new.id).await.unwrap(), None);
    assert_eq!(world.living.accept(context, new.clone()).await.unwrap(), Accept::Queued(new.id));
    work(&world.living, lease).await;
    world.has([("t", Some(&[1, 2, 3, 4, 5, 6, 7, 8])), ("gone", None)]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_in_the_log_twice_is_applied_once() {
    let world = World::new().await;
    let twice = accept(&world.dying, body(&[insert("t", 1)])).await;
    let length = body(&[insert("t", 1)]).len();
    for n in 2..7 {
        accept(&world.dying, body(&[insert("t", n)])).await;
        world.living.store.append(ActContext::new(), twice, length).await.unwrap();
    }
    assert_eq!(world.living.queue_status().await.unwrap().messages, 11);
    world.work().await;
    world.has([("t", Some(&[1, 2, 3, 4, 5, 6])), ("gone", None)]).await;
    assert_eq!(world.living.list(None, None, 100).await.unwrap().len(), 6);
    world.end().await;
}

/// After how many parts the first server stops: the pending list and the text, the link, the append.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_finished_after_a_crash() {
    for parts in 1..=3 {
        let world = World::new().await;
        let rejected = accept(&world.dying, body(&[delete("t", 1)])).await;
        world.work().await;
        let (new_id, text) = (MessageId::new(), body(&[insert("t", 1)]));
        let store = &world.dying.store;
        let gate = Gate::new(store);
        gate.prepare_retry(Uuid::now_v7(), rejected, new_id, &text).await.unwrap();
        if parts > 1 {
            assert!(store.messages.link(rejected, new_id, Uuid::now_v7()).await.unwrap());
        }
        if parts > 2 {
            store.append(ActContext::new(), new_id, text.len()).await.unwrap();
        }
        world.work().await;
        let (rows, open): (Option<&[i64]>, _) = if parts > 1 { (Some(&[1]), 0) } else { (None, 1) };
        world.has([("t", rows), ("gone", None)]).await;
        assert_eq!(world.living.rejections(None, 10).await.unwrap().len(), open);
        let pending = store.index.pending().await.unwrap();
        assert_eq!(pending.len(), open, "{parts}: one that is not linked may still be");
        let again = NewMessage { id: MessageId::new(), body: text };
        let expected = match parts {
            1 => Retry::Queued(again.id),
            _ => Retry::AlreadyRetried(new_id),
        };
        let retried = world.living.retry(ActContext::new(), rejected, again).await.unwrap();
        assert_eq!(retried, expected);
        world.work().await;
        world.has([("t", Some(&[1])), ("gone", None)]).await;
        let pending = store.index.pending().await.unwrap();
        assert_eq!(pending, [], "{parts}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_is_finished_after_a_crash() {
    let world = World::new().await;
    let rejected = accept(&world.dying, body(&[delete("t", 1)])).await;
    world.work().await;
    let store = &world.dying.store;
    store.index.put_pending(Uuid::now_v7(), rejected).await.unwrap();
    assert!(store.messages.discard(rejected, Uuid::now_v7()).await.unwrap());
    assert_eq!(world.living.find(rejected).await.unwrap(), None);
    world.work().await;
    assert_eq!(world.living.rejections(None, 10).await.unwrap(), []);
    assert_eq!(store.index.pending().await.unwrap(), []);
    let again = world.living.discard(ActContext::new(), rejected).await.unwrap();
    assert_eq!(again, Discard::Missing);
    world.end().await;
}

/// Two servers move the messages of a stream while they accept others: each is moved once and in its turn,
/// however many segments lie between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_moved_once_across_segments() {
    let world = World::new().await;
    let stream = Uuid::new_v4();
    let message = |n: u64| TransferredMessage {
        sequence: n,
        message: NewMessage { id: MessageId::new(), body: body(&[insert("t", n as i64)]) },
    };
    let messages: Vec<_> = (1..=30).map(message).collect();
    let move_all = async |server: &CassandraActivities| {
        loop {
            let from = server.transferred_to(stream).await.unwrap();
            let next: Vec<_> = messages[from as usize..].iter().take(7).cloned().collect();
            let Some(last) = next.last() else { return };
            server.transfer(stream, from, last.sequence, next).await.unwrap();
        }
    };
    let accept_others = async |server: &CassandraActivities| {
        for n in 0..15 {
            accept(server, body(&[insert("others", n)])).await;
        }
    };
    tokio::join!(
        move_all(&world.dying),
        move_all(&world.living),
        accept_others(&world.dying),
        accept_others(&world.living),
    );
    let fresh = server(&world.cluster).await;
    for server in [&world.dying, &world.living, &fresh] {
        assert_eq!(server.transferred_to(stream).await.unwrap(), 30);
    }
    let entries = fresh.store.log.read(0, 1_000).await.unwrap();
    assert_eq!(entries.len(), 60);
    let moved = entries.iter().map(|entry| entry.id);
    let moved: Vec<_> =
        moved.filter(|id| messages.iter().any(|message| message.message.id == *id)).collect();
    assert_eq!(moved, messages.iter().map(|message| message.message.id).collect::<Vec<_>>());
    world.work().await;
    world.has([("t", Some(&(1..=30).collect::<Vec<_>>())), ("missing", None)]).await;
    world.end().await;
}

/// Servers append at once over many segments: each message has one position, and none is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_follow_each_other_across_segments() {
    let world = World::new().await;
    let servers = [&world.dying, &world.living];
    let accepted = (0..60_i64).map(|n| accept(servers[n as usize % 2], body(&[insert("t", n)])));
    let ids = futures::future::join_all(accepted).await;
    let log = &server(&world.cluster).await.store.log;
    let entries = log.read(0, 1_000).await.unwrap();
    let positions: Vec<_> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (0..60).collect::<Vec<_>>());
    let mut found: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut expected = ids.clone();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let end = log.end(true).await.unwrap();
    let bytes: i64 = entries.iter().map(|entry| i64::from(entry.length)).sum();
    assert_eq!((end.position, end.bytes), (60, bytes));
    assert!(log.contains(ids[59], 0).await.unwrap());
    // Old segments are removed, and nothing is appended to them again.
    let lease = lease(&world.living).await;
    work(&world.living, lease).await;
    for segment in 0..15 {
        log.remove(segment).await.unwrap();
    }
    let fresh = server(&world.cluster).await;
    accept(&fresh, body(&[insert("t", 60)])).await;
    assert_eq!(fresh.store.log.read(60, 10).await.unwrap().len(), 1);
    work(&world.living, lease).await;
    assert_eq!(world.count("t").await, Some(61));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_removes_too_many_rows_is_rejected() {
    let world = World::new().await;
    let activity = |n: i64| {
        json!({ "operation": "insert", "table": "t", "col_names": ["a", "n"],
        "col_types": ["INTEGER", "INTEGER"], "col_values": [7, n] })
    };
    for begin in (0..10_200_i64).step_by(200) {
        let activities: Vec<_> = (begin..begin + 200).map(activity).collect();
        accept(&world.dying, body(&activities)).await;
    }
    let by = |column: &str, n: i64| {
        json!({ "operation": "delete", "table": "t", "value_to_delete":
        { "col_names": [column], "col_types": ["INTEGER"], "col_values": [n] } })
    };
    let all = accept(&world.dying, body(&[insert("u", 1), by("a", 7)])).await;
    let fewer: Vec<_> = (0..201).map(|n| by("n", n)).collect();
    let fewer = accept(&world.dying, body(&fewer)).await;
    let rest = accept(&world.dying, body(&[by("a", 7), insert("u", 2)])).await;
    let lease = lease(&world.living).await;
    work(&world.living, lease).await;
    let found = world.living.find(all).await.unwrap().unwrap();
    assert_eq!((found.state, found.activity), (MessageState::Rejected, Some(1)));
    assert!(found.error.unwrap().contains("10000 rows"));
    assert_eq!(world.living.rejections(None, 10).await.unwrap()[0].cause, r#"too_many_rows "t""#);
    assert_eq!(world.state(fewer).await, MessageState::Applied);
    assert_eq!(world.state(rest).await, MessageState::Applied);
    assert_eq!(world.count("t").await, Some(0));
    assert_eq!(world.living.rows(&name("t"), None, 10).await.unwrap().unwrap().rows, [[]; 0]);
    assert_eq!(world.numbers("u").await.unwrap(), [2]);
    world.end().await;
}

/// A message that was accepted so many days ago.
fn id_of(days: u64, number: u8) -> MessageId {
    let now = Uuid::now_v7().get_timestamp().unwrap().to_unix();
    let millis = (now.0 - days * 86_400) * 1_000;
    MessageId(uuid::Builder::from_unix_timestamp_millis(millis, &[number; 10]).into_uuid())
}

async fn accept_as(server: &CassandraActivities, id: MessageId, body: Arc<str>) {
    let new = NewMessage { id, body };
    assert_eq!(server.accept(ActContext::new(), new).await.unwrap(), Accept::Queued(id));
}

/// A repeat finishes the claim of a key days later, when the messages around it are pruned already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_queued_after_its_neighbours_are_pruned_is_listed() {
    let world = World::new().await;
    let key = IdempotencyKey::new("key", 1, Duration::from_secs(600));
    let context = ActContext::new().with_key(Some(key));
    let [before, id, behind] = [1, 2, 3].map(|number| id_of(6, number));
    let new = NewMessage { id, body: body(&[insert("t", 2)]) };
    stop_accept(&world, &context, &new, 1).await;
    accept_as(&world.dying, before, body(&[insert("t", 1)])).await;
    accept_as(&world.dying, behind, body(&[insert("t", 3)])).await;
    let lease = lease(&world.living).await;
    work(&world.living, lease).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(world.living.prune(lease, Duration::ZERO, 100).await.unwrap(), 2);
    assert_eq!(world.living.accept(context, new).await.unwrap(), Accept::Queued(id));
    let listed = async |state| {
        let found = world.living.list(state, None, 10).await.unwrap();
        found.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [id]);
    work(&world.living, lease).await;
    assert_eq!(listed(None).await, [id]);
    assert_eq!(listed(Some(MessageState::Applied)).await, [id]);
    world.end().await;
}

/// Messages of one bucket that are rejected and discarded leave one tombstone, not one each: of too many
/// Cassandra fails the reads of the bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruned_rejected_messages_leave_few_tombstones() {
    let world = World::new().await;
    let mut rejected = Vec::new();
    for n in 0..60 {
        // Old enough that nothing is put into their bucket any more.
        let (id, other) = (id_of(8, n), id_of(8, 100 + n));
        accept_as(&world.dying, id, body(&[delete("missing", i64::from(n))])).await;
        rejected.push(id);
        if n % 10 == 0 {
            accept_as(&world.dying, other, body(&[insert("t", i64::from(n))])).await;
        }
    }
    let lease = lease(&world.living).await;
    work(&world.living, lease).await;
    for id in &rejected {
        let discarded = world.living.discard(ActContext::new(), *id).await.unwrap();
        assert_eq!(discarded, Discard::Discarded);
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(world.living.prune(lease, Duration::ZERO, 100).await.unwrap(), 6);
    let bucket = rejected[0].made_at() / 600_000;
    let text =
        format!("SELECT id FROM $.activity_index WHERE list = 'rejected' AND bucket = {bucket}");
    let mut read = scylla::statement::Statement::new(world.cluster.text(&text));
    read.set_tracing(true);
    let session = world.cluster.session();
    let found = session.query_unpaged(read, ()).await.unwrap();
    let tombstones = |text: &str| -> Option<u64> {
        let (_, counted) = text.strip_prefix("Read ")?.split_once(" live rows and ")?;
        counted.split(' ').next()?.parse().ok()
    };
    let (mut counts, mut texts) = (Vec::new(), Vec::new());
    // Nodes write what they trace after they have answered.
    for _ in 0..50 {
        let trace = session.get_tracing_info(&found.tracing_id().unwrap()).await.unwrap();
        texts = trace.events.into_iter().filter_map(|event| event.activity).collect();
        counts = texts.iter().filter_map(|text| tombstones(text)).collect();
        if !counts.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!counts.is_empty() && counts.iter().all(|count| *count < 10), "{counts:?} {texts:?}");
    world.end().await;
}

/// What stays is passed once, not at each call: there may be any number of rejected messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_goes_on_where_it_stopped() {
    let world = World::new().await;
    let rejected = accept(&world.dying, body(&[delete("missing", 1)])).await;
    let applied = accept(&world.dying, body(&[insert("t", 1)])).await;
    let first = lease(&world.living).await;
    work(&world.living, first).await;
    let queued = accept(&world.dying, body(&[insert("t", 2)])).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(world.living.prune(first, Duration::ZERO, 100).await.unwrap(), 1);
    assert_eq!(world.living.pruning.stopped_at().await, Some(applied));
    work(&world.living, first).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(world.living.prune(first, Duration::ZERO, 100).await.unwrap(), 1);
    assert_eq!(world.living.pruning.stopped_at().await, Some(queued));
    assert_eq!(world.state(rejected).await, MessageState::Rejected);
    // Another worker begins at the oldest.
    world.living.discard(ActContext::new(), rejected).await.unwrap();
    let second = lease(&world.living).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.living.prune(second, Duration::ZERO, 100).await.unwrap();
    assert_eq!(world.living.list(None, None, 10).await.unwrap(), []);
    assert!(world.living.store.messages.find(rejected, true).await.unwrap().is_none());
    world.end().await;
}

/// Causes are counted over many buckets, a page of them at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn causes_are_counted_over_all_buckets() {
    let world = World::new().await;
    let (index, mut ids) = (&world.dying.store.index, Vec::new());
    for day in (1..20).rev() {
        for (number, cause) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let (id, state) = (id_of(day, number as u8), Some("rejected"));
            index.put(super::index::List::Rejected, id, state, Some(cause), 200).await.unwrap();
            if cause == "b" {
                ids.push(id);
            }
        }
    }
    let page = world.living.rejections(None, 2).await.unwrap();
    let counts: Vec<_> = page.iter().map(|group| (group.cause.as_str(), group.count)).collect();
    assert_eq!(counts, [("a", 19), ("b", 19)]);
    let page = world.living.rejections(Some("b".to_owned()), 2).await.unwrap();
    let counts: Vec<_> = page.iter().map(|group| (group.cause.as_str(), group.count)).collect();
    assert_eq!(counts, [("c", 19), ("d", 19)]);
    let (oldest, count) = world.living.rejected_by("b", 5).await.unwrap();
    assert_eq!((oldest, count), (ids[..5].to_vec(), 19));
    world.end().await;
}

/// What a step records of the tables must fit into one write of Cassandra; a message for which it would
/// not is rejected, and stops none behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_changes_too_many_wide_tables_is_rejected() {
    let world = World::new().await;
    // The longest names, each byte of which is six in JSON: a thousand of them are 390 kB.
    let column = |n: i64| {
        let number: String =
            (0..4).map(|digit| (b'a' + (n >> (3 * digit) & 7) as u8) as char).collect();
        format!("{number}{}", "\u{1}".repeat(59))
    };
    let insert = |table: &str, columns: std::ops::Range<i64>| {
        let names: Vec<_> = columns.clone().map(column).collect();
        let types = vec!["TEXT"; names.len()];
        json!({ "operation": "insert", "table": table, "col_names": names, "col_types": types,
                "col_values": vec![serde_json::Value::Null; names.len()] })
    };
    let tables: Vec<_> = (0..18).map(|n| format!("t{n}")).collect();
    for table in &tables {
        for begin in (0..1_000_i64).step_by(100) {
            accept(&world.dying, body(&[insert(table, begin..begin + 100)])).await;
        }
    }
    let all: Vec<_> = tables.iter().map(|table| insert(table, 0..1)).collect();
    let too_many = accept(&world.dying, body(&all)).await;
    let fewer = accept(&world.dying, body(&all[..10])).await;
    let behind = accept(&world.dying, body(&all[..1])).await;
    let lease = lease(&world.living).await;
    work(&world.living, lease).await;
    let found = world.living.find(too_many).await.unwrap().unwrap();
    assert_eq!(found.state, MessageState::Rejected);
    assert!(found.error.unwrap().contains("more columns together"));
    assert_eq!(world.living.rejections(None, 10).await.unwrap()[0].cause, "too_many_columns");
    assert_eq!(world.state(fewer).await, MessageState::Applied);
    assert_eq!(world.state(behind).await, MessageState::Applied);
    assert_eq!(world.count("t0").await, Some(12));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_were_never_queued_are_removed() {
    let world = World::new().await;
    let (store, text) = (&world.living.store, body(&[insert("t", 1)]));
    let [orphan, queued, linked, unlinked] = [1, 2, 3, 4].map(|number| id_of(8, number));
    let recent = MessageId::new();
    let rejected = accept(&world.dying, body(&[delete("missing", 1)])).await;
    world.work().await;
    for (id, retry_of) in [
        (orphan, None),
        (queued, None),
        (linked, Some(rejected)),
        (unlinked, Some(rejected)),
        (recent, None),
    ] {
        store.put(id, &text, retry_of).await.unwrap();
    }
    store.append(ActContext::new(), queued, text.len()).await.unwrap();
    assert!(store.messages.link(rejected, linked, Uuid::now_v7()).await.unwrap());
    let week_ago = jiff::Timestamp::now().as_millisecond() - 7 * 86_400_000;
    world.living.pruning.sweep_texts(week_ago).await;
    for (id, stays) in
        [(orphan, false), (queued, true), (linked, true), (unlinked, false), (recent, true)]
    {
        let found = store.messages.find(id, true).await.unwrap();
        assert_eq!(found.is_some(), stays, "{id}");
    }
    world.work().await;
    assert_eq!(world.state(queued).await, MessageState::Applied);
    world.living.pruning.sweep_texts(week_ago).await;
    assert_eq!(world.state(queued).await, MessageState::Applied);
    world.end().await;
}
