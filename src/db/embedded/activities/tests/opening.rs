//! The file: its name, what is refused, and what other processes do to it.

use super::*;
use crate::db::storage::IdempotencyKey;

fn opened(store: &Path, policy: MigrationPolicy) -> Result<EmbeddedActivities, StorageError> {
    EmbeddedActivities::open(store, policy, FileMetrics::register(&Registry::default()))
}

fn refusal(store: &Path, policy: MigrationPolicy) -> String {
    match opened(store, policy) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_file_is_beside_the_store_that_a_link_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    for (store, expected) in [
        ("games.db", "games-activities.db"),
        ("games", "games-activities.db"),
        ("games.sqlite", "games.sqlite-activities.db"),
        (".db", ".db-activities.db"),
    ] {
        assert_eq!(beside(&folder.join(store)), folder.join(expected));
    }
    std::fs::create_dir(folder.join("data")).unwrap();
    std::fs::write(folder.join("data/real.db"), "").unwrap();
    std::os::unix::fs::symlink("data/real.db", folder.join("link.db")).unwrap();
    assert_eq!(beside(&folder.join("link.db")), folder.join("data/real-activities.db"));
}

#[test]
fn a_file_that_does_not_fit_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (store, file) = (folder.path().join("games.db"), folder.path().join("games-activities.db"));
    let missing = refusal(&store, MigrationPolicy::Require);
    assert!(missing.ends_with("does not exist: run `storefront migrate`"), "{missing}");
    assert!(!file.exists());
    drop(opened(&store, MigrationPolicy::Migrate).unwrap());
    drop(opened(&store, MigrationPolicy::Require).unwrap());
    let other = Connection::open(&file).unwrap();
    other.pragma_update(None, "user_version", 9).unwrap();
    let newer = refusal(&store, MigrationPolicy::Migrate);
    assert!(newer.contains("version 9 (this program's is 2), newer"), "{newer}");
    other.pragma_update(None, "application_id", 7).unwrap();
    let foreign = refusal(&store, MigrationPolicy::Migrate);
    assert!(
        foreign.contains("games-activities.db is the database of another program"),
        "{foreign}"
    );
}

#[tokio::test]
async fn a_message_of_another_process_is_seen_and_its_key_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (open(folder.path()), open(folder.path()));
    let body: Arc<str> = message(&[insert("t", &[("n", "INTEGER", 1.into())])]).into();
    let accept = async |store: &EmbeddedActivities| {
        let key = IdempotencyKey::new("k", 1, Duration::from_secs(60));
        let context = ActContext::new().with_key(Some(key));
        let message = NewMessage { id: MessageId::new(), body: Arc::clone(&body) };
        store.accept(context, message).await.unwrap()
    };
    let begun = Instant::now();
    let (first, ()) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            accept(&a).await
        },
        b.wait_for_messages(Duration::from_secs(60)),
    );
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(accept(&b).await, first);
    assert_eq!(b.queue_status().await.unwrap().messages, 1);
}

#[tokio::test]
async fn nothing_is_accepted_once_the_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.queue("{}").await;
    std::fs::remove_file(folder.path().join("games-activities.db")).unwrap();
    let message = NewMessage { id: MessageId::new(), body: "{}".into() };
    let refused = store.accept(ActContext::new(), message).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(store.queue_status().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_oldest_messages_are_pruned_first_and_those_that_wait_for_a_retry_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.take().await;
    let mut applied = Vec::new();
    for n in 0..5 {
        applied.push(store.queue(&message(&[insert("t", &[("n", "INTEGER", n.into())])])).await);
    }
    let wrong = message(&[insert("t", &[("n", "TEXT", "x".into())])]);
    let (retried, waits) = (store.queue(&wrong).await, store.queue(&wrong).await);
    store.drain(lease).await;
    let new = NewMessage { id: MessageId::new(), body: "".into() };
    let again = store.retry(ActContext::new(), retried, new.clone()).await.unwrap();
    assert_eq!(again, Retry::Queued(new.id));
    let left = async || {
        let all = store.list(None, None, 100).await.unwrap();
        all.iter().rev().map(|message| message.id).collect::<Vec<_>>()
    };
    let hour = Duration::from_secs(3_600);
    assert_eq!(store.prune(lease, hour, 100).await.unwrap(), 0);
    assert_eq!(store.prune(lease, Duration::ZERO, 2).await.unwrap(), 2);
    assert_eq!(left().await, [&applied[2..], &[retried, waits, new.id]].concat());
    assert_eq!(store.prune(lease, Duration::ZERO, 100).await.unwrap(), 4);
    assert_eq!(left().await, [waits, new.id]);
    assert_eq!(store.rejections(None, 10).await.unwrap()[0].count, 1);
}
