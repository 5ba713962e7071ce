//! Messages that are applied together, leases, and two processes on one file.

use super::*;

#[tokio::test]
async fn a_message_takes_effect_with_its_state_and_rows_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.take().await;
    let row = |id: i64| insert("games", &[("id", "INTEGER", id.into())]);
    let first = store.queue(&message(&[row(1), row(2)])).await;
    let gone = message(&[row(3), delete("games", &[("id", "INTEGER", 1.into())])]);
    store.queue(&gone).await;
    let wrong =
        store.queue(&message(&[row(4), insert("games", &[("id", "TEXT", "x".into())])])).await;
    assert_eq!(store.queue_status().await.unwrap().messages, 3);
    let outcomes = store.drain(lease).await;
    assert_eq!(outcomes[..2], [None, None]);
    let cause = outcomes[2].as_ref().unwrap().cause();
    assert_eq!(cause, r#"column_type "games"."id""#);
    assert_eq!(store.find(first).await.unwrap().unwrap().state, MessageState::Applied);
    assert_eq!(store.find(wrong).await.unwrap().unwrap().activity, Some(1));
    let rows = store.all_rows("games").await;
    assert_eq!(rows, [[Value::Integer(2)], [Value::Integer(3)]]);
    assert_eq!(store.tables().await.unwrap()[0].rows, 2);
    let status = store.queue_status().await.unwrap();
    assert_eq!(status, QueueStatus::default());
    assert_eq!(store.rejected_by(&cause, 10).await.unwrap(), (vec![wrong], 1));
}

#[tokio::test]
async fn a_message_that_the_database_refuses_is_rejected_alone_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.take().await;
    let row = |id: i64| insert("games", &[("id", "INTEGER", id.into())]);
    store.queue(&message(&[row(1)])).await;
    store.drain(lease).await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON activity_rows_1 WHEN new.c0 = 13 \
                   BEGIN SELECT raise(ABORT, 'no 13'); END";
    other_program(folder.path()).execute_batch(trigger).unwrap();
    store.queue(&message(&[row(2)])).await;
    let new_table = insert("other", &[("id", "INTEGER", 1.into())]);
    store.queue(&message(&[row(3), new_table.clone(), row(13)])).await;
    store.queue(&message(&[row(4), new_table])).await;
    store.queue(&message(&[row(13)])).await;
    let outcomes = store.drain(lease).await;
    let kinds: Vec<_> = outcomes.iter().map(|o| o.as_ref().map(|r| r.kind.as_str())).collect();
    assert_eq!(kinds, [None, Some("refused"), None, Some("refused")]);
    let rows = store.all_rows("games").await;
    assert_eq!(rows, [[Value::Integer(1)], [Value::Integer(2)], [Value::Integer(4)]]);
    let tables = store.tables().await.unwrap();
    assert_eq!(tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(store.queue_status().await.unwrap(), QueueStatus::default());
}

#[tokio::test]
async fn a_worker_that_was_replaced_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (open(folder.path()), open(folder.path()));
    let old_lease = old.take().await;
    let id = old.queue(&message(&[insert("games", &[("id", "INTEGER", 1.into())])])).await;
    let messages = old.next(old_lease, 10).await.unwrap();
    let seen = new.worker().await.unwrap();
    assert!(old.renew(old_lease).await.unwrap());
    assert_eq!(new.take_over(&seen, "new").await.unwrap(), None, "it was renewed since");
    let new_lease = new.take().await;
    assert!(!old.renew(old_lease).await.unwrap());
    assert_eq!(old.apply(old_lease, messages.clone()).await.unwrap(), Applied::LeaseLost);
    assert_eq!(old.note_attempt(old_lease, id).await.unwrap(), None);
    assert_eq!(old.prune(old_lease, Duration::ZERO, 10).await.unwrap(), 0);
    old.release(old_lease).await.unwrap();
    assert_eq!(new.find(id).await.unwrap().unwrap().state, MessageState::Queued);
    assert_eq!(new.tables().await.unwrap(), []);
    assert_eq!(new.drain(new_lease).await, [None]);
    // Passed over: it has ended.
    let again = new.apply(new_lease, messages).await.unwrap();
    assert_eq!(again, Applied::Outcomes(vec![None]));
    assert_eq!(new.all_rows("games").await.len(), 1);
}

#[tokio::test]
async fn a_catalogue_that_another_process_has_changed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (open(folder.path()), open(folder.path()));
    let row = |column: &str| message(&[insert("games", &[(column, "INTEGER", 1.into())])]);
    for (store, column) in [(&a, "one"), (&b, "two"), (&a, "two"), (&b, "three"), (&a, "three")] {
        let lease = store.take().await;
        store.queue(&row(column)).await;
        assert_eq!(store.drain(lease).await, [None], "{column}");
        store.release(lease).await.unwrap();
    }
    let lease = a.take().await;
    a.queue(r#"{"drop_table":"games"}"#).await;
    a.drain(lease).await;
    let lease = b.take().await;
    b.queue(&row("three")).await;
    assert_eq!(b.drain(lease).await, [None]);
    let tables = b.tables().await.unwrap();
    assert_eq!((tables[0].columns.len(), tables[0].rows), (1, 1));
}
