//! A queue in NATS JetStream: what is done while it, or the store, is away, and what is refused.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use serde_json::json;
use storefront::activities::model::MessageId;
use storefront::db::MigrationPolicy;
use storefront::db::storage::{
    Accept, ActContext, ErrorKind, IdempotencyKey, MessageState, NewMessage,
};
use testkit::database::{OwnDatabase, open, queued_in, settings};
use testkit::nats::NatsServer;
use testkit::process::{Server, storefront};
use testkit::proxy::{Mode, Proxy};
use testkit::wait::{TIMEOUT, eventually};

use super::{
    Store, accept, are_applied, body, find, lease, message, number, numbers, remove_number, store,
    work,
};
use crate::world::{World, act, at_once};

const HOUR: Duration = Duration::from_secs(3_600);
/// The stream of a [`World`] with such a queue.
const STREAM: &str = "ACTIVITIES";
const IDENTITY: &str = "storefront_stream_id";

/// Makes the settings of a stream unsound.
type Change = fn(&mut Config);

async fn jetstream(nats: &NatsServer) -> Context {
    let queue = nats.queue(STREAM);
    let client = async_nats::connect(format!("{}:{}", queue.host, queue.port)).await.unwrap();
    jetstream::new(client)
}

/// The settings of a stream as the program makes it.
fn sound(name: &str) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*.*")],
        discard: DiscardPolicy::New,
        allow_direct: true,
        metadata: [(IDENTITY.to_owned(), uuid::Uuid::new_v4().to_string())].into(),
        ..Config::default()
    }
}

/// How many messages a stream has.
async fn messages(jetstream: &Context) -> u64 {
    jetstream.get_stream(STREAM).await.unwrap().cached_info().state.messages
}

async fn accept_under(store: &Store, key: &IdempotencyKey, n: i64) -> Accept {
    store.accept(act().with_key(Some(key.clone())), message(&[number("t", n)])).await.unwrap()
}

/// Repeats a message until it is accepted; nothing else may happen to it.
async fn accept_in_the_end(store: &Store, key: &IdempotencyKey, new: &NewMessage) -> MessageId {
    let begun = std::time::Instant::now();
    loop {
        let context = ActContext::new().with_key(Some(key.clone()));
        match store.accept(context, new.clone()).await {
            Ok(Accept::Queued(id)) => return id,
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
            }
        }
        assert!(begun.elapsed() < TIMEOUT, "it is not accepted");
    }
}

/// Works until these messages are applied: a server that was away may be found late.
async fn work_until_applied(store: &Store, ids: &[MessageId]) {
    eventually("the messages are applied", async || {
        work(store).await;
        let found = futures::future::join_all(ids.iter().map(|id| store.find(*id))).await;
        found
            .into_iter()
            .all(|found| found.unwrap().is_some_and(|found| found.state == MessageState::Applied))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_nothing_that_was_accepted() {
    let world = World::on("nats_embedded").await;
    let (store, nats) = (store(&world.stores), Arc::clone(world.nats()));
    let clients = (0..8_i64).map(|client| {
        let store = store.clone();
        async move {
            let mut ids = Vec::new();
            for n in 0..50 {
                let key = format!("{client} {n}");
                let key = IdempotencyKey::new(key, 1, HOUR);
                let new = message(&[number("t", 50 * client + n)]);
                ids.push(accept_in_the_end(&store, &key, &new).await);
            }
            ids
        }
    });
    let clients: Vec<_> = clients.map(tokio::spawn).collect();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        nats.kill();
        nats.start_again().await;
    }
    let ids = futures::future::try_join_all(clients).await.unwrap().concat();
    work_until_applied(&store, &ids).await;
    assert_eq!(numbers(&store, "t", "n").await, (0..400).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_accepted_while_the_store_is_away() {
    let database = OwnDatabase::on("postgres").await;
    database.open().await;
    let nats = NatsServer::start().await;
    let (url, proxy) = Proxy::before(database.url()).await;
    let stores = open(&settings(&url), MigrationPolicy::Migrate).await.unwrap();
    let store = store(&queued_in(stores, &nats.queue(STREAM)).await.unwrap());
    let key = IdempotencyKey::new("a key", 1, HOUR);
    let Accept::Queued(moved) = accept_under(&store, &key, 0).await else { panic!() };
    work(&store).await;
    are_applied(&store, [moved]).await;

    proxy.set(Mode::Cut);
    let mut ids = Vec::new();
    for n in 1..6 {
        ids.push(accept(&store, &[number("t", n)]).await);
    }
    // A repeat is recognised, though its message was moved into the store.
    let repeat = IdempotencyKey::new("a key", 1, HOUR);
    assert_eq!(accept_under(&store, &repeat, 0).await, Accept::Queued(moved));
    assert!(repeat.is_replayed());
    let other = IdempotencyKey::new("a key", 2, HOUR);
    assert_eq!(accept_under(&store, &other, 0).await, Accept::KeyReused);
    let listed = store.list(Some(MessageState::Queued), None, 10).await;
    let kind = listed.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{kind:?}");

    proxy.restore();
    eventually("the store is back", async || store.worker().await.is_ok()).await;
    work_until_applied(&store, &ids).await;
    assert_eq!(numbers(&store, "t", "n").await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_again_is_read_from_its_beginning() {
    let world = World::on("nats_embedded").await;
    let store = store(&world.stores);
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(accept(&store, &[number("t", n)]).await);
    }
    work(&store).await;
    let jetstream = jetstream(world.nats()).await;
    jetstream.delete_stream(STREAM).await.unwrap();
    // Another server makes it, and it has more messages than the one before, which this one knows. The
    // last one removes the first.
    let other = super::store(&world.another_server().await);
    for n in 3..7 {
        ids.push(accept(&other, &[number("t", n)]).await);
    }
    ids.push(accept(&other, &[remove_number("t", 3)]).await);
    work(&store).await;
    are_applied(&store, ids.clone()).await;
    assert_eq!(numbers(&store, "t", "n").await, [0, 1, 2, 4, 5, 6]);
    jetstream.delete_stream(STREAM).await.unwrap();
    ids.push(accept(&store, &[number("t", 7)]).await);
    work(&store).await;
    are_applied(&other, ids).await;
    assert_eq!(numbers(&store, "t", "n").await, [0, 1, 2, 4, 5, 6, 7]);
}

/// As after a power failure of a server that does not sync each message.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_its_end_skips_no_message() {
    let world = World::on("nats_embedded").await;
    let store = store(&world.stores);
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(accept(&store, &[number("t", n)]).await);
    }
    work(&store).await;
    let jetstream = jetstream(world.nats()).await;
    let config = jetstream.get_stream(STREAM).await.unwrap().cached_info().config.clone();
    jetstream.delete_stream(STREAM).await.unwrap();
    // The server may still be removing the files of the one before.
    eventually("the stream is made again", async || {
        jetstream.create_stream(config.clone()).await.is_ok()
    })
    .await;
    // More than it lost, so that its end tells nothing.
    for n in 3..10 {
        ids.push(accept(&store, &[number("t", n)]).await);
    }
    work(&store).await;
    are_applied(&store, ids).await;
    assert_eq!(numbers(&store, "t", "n").await, (0..10).collect::<Vec<_>>());
}

/// The messages come by a server that has sent none before, so that it knows only from the store what the
/// stream has lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_of_the_stream_skips_no_message() {
    let world = World::on("nats_embedded").await;
    let (store, other) = (store(&world.stores), super::store(&world.another_server().await));
    let nats = world.nats();
    let mut ids = Vec::new();
    for n in 0..6 {
        if n == 2 {
            nats.kill();
            nats.back_up();
            nats.start_again().await;
        }
        let key = IdempotencyKey::new(format!("key {n}"), 1, HOUR);
        ids.push(accept_in_the_end(&store, &key, &message(&[number("t", n)])).await);
    }
    work_until_applied(&store, &ids).await;
    nats.kill();
    nats.restore();
    nats.start_again().await;
    for n in 6..14 {
        let key = IdempotencyKey::new(format!("key {n}"), 1, HOUR);
        ids.push(accept_in_the_end(&other, &key, &message(&[number("t", n)])).await);
    }
    work_until_applied(&store, &ids).await;
    assert_eq!(numbers(&store, "t", "n").await, (0..14).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_keeps_what_the_store_lacks_and_keys() {
    let world = World::on("nats_embedded").await;
    let (store, jetstream) = (store(&world.stores), jetstream(world.nats()).await);
    let key = IdempotencyKey::new("short", 1, Duration::from_secs(3));
    let Accept::Queued(first) = accept_under(&store, &key, 1).await else { panic!() };
    let applied = accept(&store, &[number("t", 2)]).await;
    work(&store).await;
    let queued = accept(&store, &[number("t", 3)]).await;
    let lease = lease(&store).await;
    let prune = async || store.prune(lease, HOUR, 100).await.unwrap();
    prune().await;
    assert_eq!(messages(&jetstream).await, 2, "the one with the key, and the one that waits");
    are_applied(&store, [applied]).await;
    assert_eq!(find(&store, queued).await.state, MessageState::Queued);
    assert_eq!(accept_under(&store, &key, 1).await, Accept::Queued(first));
    eventually("the key expires", async || {
        prune().await;
        messages(&jetstream).await == 1
    })
    .await;
    let again = IdempotencyKey::new("short", 2, HOUR);
    let Accept::Queued(second) = accept_under(&store, &again, 4).await else { panic!() };
    assert_ne!(second, first);
    assert!(!again.is_replayed());
    work(&store).await;
    assert_eq!(numbers(&store, "t", "n").await, [1, 2, 3, 4]);
}

/// While its message is still in the stream.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_may_be_used_again() {
    let world = World::on("nats_embedded").await;
    let store = store(&world.stores);
    let short = || IdempotencyKey::new("short", 1, Duration::from_millis(1));
    let Accept::Queued(first) = accept_under(&store, &short(), 1).await else { panic!() };
    tokio::time::sleep(Duration::from_millis(5)).await;
    let Accept::Queued(second) = accept_under(&store, &short(), 2).await else { panic!() };
    work(&store).await;
    are_applied(&store, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_thousand_of_the_stream_are_listed() {
    let world = World::on("nats_embedded").await;
    let store = store(&world.stores);
    let sent = (0..8_i64).map(|client| {
        let store = store.clone();
        async move {
            for n in 0..130 {
                accept(&store, &[number("t", 130 * client + n)]).await;
            }
        }
    });
    at_once(sent).await;
    let newest = accept(&store, &[number("t", -1)]).await;
    let status = store.queue_status().await.unwrap();
    assert_eq!(status.messages, 1_041);
    assert!(status.bytes > 1_041 * 50, "{status:?}");
    let listed = store.list(Some(MessageState::Queued), None, 2_000).await.unwrap();
    assert_eq!((listed.len(), listed[0].id), (1_000, newest));
    assert!(listed.is_sorted_by(|a, b| a.id > b.id));
    work(&store).await;
    assert_eq!(numbers(&store, "t", "n").await.len(), 1_041);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_could_lose_messages_is_refused() {
    let nats = NatsServer::start().await;
    let jetstream = jetstream(&nats).await;
    let unsound: [(Change, &str); 9] = [
        (|config| config.max_age = HOUR, "max_age"),
        (|config| config.discard = DiscardPolicy::Old, "--discard=new"),
        (|config| config.storage = StorageType::Memory, "memory storage"),
        (|config| config.retention = RetentionPolicy::WorkQueue, "retention"),
        (|config| config.retention = RetentionPolicy::Interest, "retention"),
        (|config| config.no_ack = true, "no_ack"),
        (|config| config.allow_direct = false, "--allow-direct"),
        (|config| config.subjects = vec!["other.*.*".to_owned()], "other subjects"),
        (|config| config.metadata.clear(), IDENTITY),
    ];
    for (number, (change, said)) in unsound.into_iter().enumerate() {
        let name = format!("S{number}");
        let mut config = sound(&name);
        change(&mut config);
        jetstream.create_stream(config).await.unwrap();
        let stores = OwnDatabase::on("embedded").await.open().await;
        let refused = queued_in(stores, &nats.queue(&name)).await.err().expect("it is refused");
        let text = refused.to_string();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{text}");
        assert!(text.contains(said) && text.contains(&name), "{said}: {text}");
    }
    jetstream.create_stream(sound(STREAM)).await.unwrap();
    let stores = OwnDatabase::on("embedded").await.open().await;
    queued_in(stores, &nats.queue(STREAM)).await.unwrap();
}

/// A server with that queue, which applies nothing.
fn serve(folder: &std::path::Path, nats: &NatsServer) -> Server {
    let mut command = storefront(folder);
    command.args(["serve", "--database-url", "embedded:store.db", "--no-activities-worker"]);
    Server::spawn(command.args(["--queue", &nats.url(STREAM)]), folder)
}

/// The status of the answer to a message with a text of that length, and the answer.
async fn send(server: &Server, length: usize) -> (u16, String) {
    let activity = super::insert("t", &[("text", "TEXT", "x".repeat(length).into())]);
    let message = json!({ "activities": [activity] });
    let answer = server.send(reqwest::Method::POST, "/api/activities", Some(&message)).await;
    let answer = answer.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_of_the_server_is_refused() {
    let (nats, folder) =
        (NatsServer::start_with("max_payload: 8192").await, tempfile::tempdir().unwrap());
    let server = serve(folder.path(), &nats);
    assert_eq!(send(&server, 6_900).await.0, 200);
    let (status, text) = send(&server, 7_200).await;
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("7168 bytes"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_takes_no_message() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let limited = Config { max_messages: 2, ..sound(STREAM) };
    jetstream(&nats).await.create_stream(limited).await.unwrap();
    let server = serve(folder.path(), &nats);
    for _ in 0..2 {
        assert_eq!(send(&server, 1).await.0, 200);
    }
    let (status, text) = send(&server, 1).await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("The queue is full") && text.contains("nothing was accepted"), "{text}");
    assert_eq!(messages(&jetstream(&nats).await).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_starts_while_the_queue_is_away() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    nats.kill();
    let server = serve(folder.path(), &nats);
    assert_eq!(server.status("/readyz").await, 200);
    server.has_logged("NATS of --queue is away").await;
    let (status, text) = send(&server, 1).await;
    assert_eq!(status, 503, "{text}");
    nats.start_again().await;
    eventually("messages are accepted", async || send(&server, 1).await.0 == 200).await;
}

/// A message whose text is one for the store and too long for NATS never gets there: see above. One that
/// was put into the stream by hand is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_message_of_the_stream_is_passed_over() {
    let world = World::on("nats_embedded").await;
    let (store, jetstream) = (store(&world.stores), jetstream(world.nats()).await);
    let first = accept(&store, &[number("t", 1)]).await;
    let foreign = jetstream.publish(format!("{STREAM}.a.b"), "no message".into()).await.unwrap();
    foreign.await.unwrap();
    // With the subject of a message, and a text that PostgreSQL refuses.
    let subject = format!("{STREAM}.-.{}", MessageId::new());
    jetstream.publish(subject, "a\0b".into()).await.unwrap().await.unwrap();
    let new = NewMessage { id: MessageId::new(), body: body(&[number("t", 2)]) };
    let second = new.id;
    store.accept(act(), new).await.unwrap();
    work(&store).await;
    are_applied(&store, [first, second]).await;
    assert_eq!(numbers(&store, "t", "n").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_message_reserves_no_key_and_keeps_none() {
    let world = World::on("nats_embedded").await;
    let (store, jetstream) = (store(&world.stores), jetstream(world.nats()).await);
    // "key" in base64.
    let publish = async |subject: &str| {
        jetstream.publish(subject.to_owned(), "no message".into()).await.unwrap().await.unwrap()
    };
    publish(&format!("{STREAM}.a2V5.foreign")).await;
    let key = IdempotencyKey::new("key", 1, Duration::from_millis(500));
    let Accept::Queued(first) = accept_under(&store, &key, 1).await else { panic!() };
    publish(&format!("{STREAM}.a.b")).await;
    let last = accept(&store, &[number("t", 2)]).await;
    work(&store).await;
    are_applied(&store, [first, last]).await;
    let lease = lease(&store).await;
    eventually("the foreign messages and the expired one are removed", async || {
        store.prune(lease, HOUR, 100).await.unwrap();
        messages(&jetstream).await == 0
    })
    .await;
}

/// More than one read of the stream has.
#[tokio::test(flavor = "multi_thread")]
async fn many_expired_keys_are_removed_at_once() {
    let world = World::on("nats_embedded").await;
    let (store, jetstream) = (store(&world.stores), jetstream(world.nats()).await);
    let sent = (0..8_i64).map(|client| {
        let store = store.clone();
        async move {
            for n in 0..150 {
                let key = IdempotencyKey::new(format!("{client} {n}"), 1, Duration::from_millis(1));
                accept_under(&store, &key, 150 * client + n).await;
            }
        }
    });
    at_once(sent).await;
    work(&store).await;
    assert_eq!(messages(&jetstream).await, 1_200);
    let lease = lease(&store).await;
    store.prune(lease, HOUR, 100).await.unwrap();
    assert_eq!(messages(&jetstream).await, 0);
}

/// A program that reads another queue than those before it, or none, applies nothing of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_another_queue_than_before_says_so() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let start = |queue: Option<&str>| {
        let mut command = storefront(folder.path());
        command.args(["serve", "--database-url", "embedded:store.db"]);
        let queue = queue.map(|stream| ["--queue".to_owned(), nats.url(stream)]);
        Server::spawn(command.args(queue.into_iter().flatten()), folder.path())
    };
    let (no_queue, other_queue) = ("has no --queue", "of another stream than that of --queue");
    let server = start(None);
    assert!(!server.log().contains(no_queue), "nothing came from a stream: {}", server.log());
    drop(server);
    let server = start(Some(STREAM));
    assert_eq!(send(&server, 1).await.0, 200);
    eventually("it is moved and applied", async || {
        server.get("/api/activities?state=applied").await.contains("applied_at")
    })
    .await;
    assert!(!server.log().contains(other_queue), "it is the first: {}", server.log());
    drop(server);
    let server = start(None);
    server.has_logged(no_queue).await;
    drop(server);
    let server = start(Some("OTHER"));
    server.has_logged(other_queue).await;
    drop(server);
    let server = start(Some(STREAM));
    for said in [no_queue, other_queue] {
        assert!(!server.log().contains(said), "it is the same again: {}", server.log());
    }
}

/// The same of a worker apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_apart_without_the_queue_says_so() {
    let database = OwnDatabase::on("nats_postgres").await;
    let store = store(&database.open().await);
    let id = accept(&store, &[number("t", 1)]).await;
    work(&store).await;
    are_applied(&store, [id]).await;
    let log = database.folder().join("worker.log");
    let mut worker = storefront(database.folder());
    worker.args(["worker", "--database-url", database.url()]);
    let mut worker =
        worker.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let logged = || std::fs::read_to_string(&log).unwrap();
    eventually("it stands by", async || logged().contains("stands by")).await;
    testkit::process::signal(worker.id(), "TERM");
    assert!(testkit::process::wait(&mut worker).success());
    assert!(logged().contains("has no --queue"), "{}", logged());
}
