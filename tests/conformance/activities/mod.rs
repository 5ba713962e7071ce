//! Cases of activities: every accepted message is applied once, all or none of it, or rejected.

mod nats_queue;
mod operating;
mod queue;
mod tables;
mod transfers;
mod worker;

use std::sync::Arc;

use serde_json::{Value as Json, json};
use storefront::activities::model::{MessageId, Name, Value};
use storefront::db::Stores;
use storefront::db::storage::{
    Accept, ActivityStore, Applied, Message, MessageState, NewMessage, WorkerLease,
};

pub use self::operating::*;
pub use self::queue::*;
pub use self::tables::*;
pub use self::transfers::*;
pub use self::worker::*;
use crate::world::act;

type Store = Arc<dyn ActivityStore>;

fn store(stores: &Stores) -> Store {
    stores.activities.clone().expect("the backend has activities")
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// An activity that inserts a row of columns, types and values.
fn insert(table: &str, cells: &[(&str, &str, Json)]) -> Json {
    let mut activity = columns(cells);
    activity["operation"] = "insert".into();
    activity["table"] = table.into();
    activity
}

/// An activity that removes the rows with those values.
fn delete(table: &str, cells: &[(&str, &str, Json)]) -> Json {
    json!({ "operation": "delete", "table": table, "value_to_delete": columns(cells) })
}

fn columns(cells: &[(&str, &str, Json)]) -> Json {
    let names: Vec<_> = cells.iter().map(|cell| cell.0).collect();
    let types: Vec<_> = cells.iter().map(|cell| cell.1).collect();
    let values: Vec<_> = cells.iter().map(|cell| &cell.2).collect();
    json!({ "col_names": names, "col_types": types, "col_values": values })
}

fn body(activities: &[Json]) -> Arc<str> {
    json!({ "activities": activities }).to_string().into()
}

fn message(activities: &[Json]) -> NewMessage {
    NewMessage { id: MessageId::new(), body: body(activities) }
}

async fn accept(store: &Store, activities: &[Json]) -> MessageId {
    accept_text(store, body(activities)).await
}

async fn accept_text(store: &Store, body: Arc<str>) -> MessageId {
    let id = MessageId::new();
    let accepted = store.accept(act(), NewMessage { id, body }).await.unwrap();
    assert_eq!(accepted, Accept::Queued(id));
    id
}

/// Becomes the worker, whichever was it before.
async fn lease(store: &Store) -> WorkerLease {
    let seen = store.worker().await.unwrap();
    store.take_over(&seen, "a test").await.unwrap().expect("no other worker takes over")
}

/// Applies all that is queued, so many messages at a time.
async fn work_in_batches(store: &Store, lease: WorkerLease, batch: u32) {
    loop {
        let messages = store.next(lease, batch).await.unwrap();
        if messages.is_empty() {
            return;
        }
        let Applied::Outcomes(outcomes) = store.apply(lease, messages).await.unwrap() else {
            panic!("the lease is lost");
        };
        assert!(!outcomes.is_empty(), "nothing is locked");
    }
}

/// Applies all that is queued.
async fn work(store: &Store) {
    let lease = lease(store).await;
    work_in_batches(store, lease, 100).await;
    store.release(lease).await.unwrap();
}

async fn find(store: &Store, id: MessageId) -> Message {
    store.find(id).await.unwrap().expect("the message is there")
}

/// That all of them are applied.
async fn are_applied(store: &Store, ids: impl IntoIterator<Item = MessageId>) {
    for id in ids {
        let found = find(store, id).await;
        assert_eq!(found.state, MessageState::Applied, "{found:?}");
        assert_eq!((found.error, found.activity), (None, None));
        assert!(found.applied_at.is_some_and(|at| at >= found.received_at));
    }
}

/// That it is rejected because of that activity; the error.
async fn is_rejected(store: &Store, id: MessageId, activity: u32) -> String {
    let found = find(store, id).await;
    assert_eq!(found.state, MessageState::Rejected, "{found:?}");
    assert_eq!(found.activity, Some(activity), "{found:?}");
    assert_eq!(found.applied_at, None);
    found.error.expect("it tells why")
}

/// All rows of a table, each with its columns' values; read in small pages.
async fn rows(store: &Store, table: &str) -> Vec<Vec<(String, Value)>> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.rows(&name(table), after, 7).await.unwrap().expect("the table is there");
        assert!(page.rows.len() <= 7);
        for row in page.rows {
            assert_eq!(row.len(), page.columns.len());
            let columns = page.columns.iter().map(|column| column.as_str().to_owned());
            all.push(columns.zip(row).collect());
        }
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// The values of one column of type INTEGER, ascending; -1 stands for null.
async fn numbers(store: &Store, table: &str, column: &str) -> Vec<i64> {
    let number = |row: Vec<(String, Value)>| {
        let found = row.into_iter().find(|(name, _)| name == column);
        match found.expect("the column is there").1 {
            Value::Integer(number) => number,
            Value::Null => -1,
            other => panic!("{other:?}"),
        }
    };
    let mut all: Vec<_> = rows(store, table).await.into_iter().map(number).collect();
    all.sort_unstable();
    all
}

/// An activity that inserts a number into the column `n` of a table.
fn number(table: &str, n: i64) -> Json {
    insert(table, &[("n", "INTEGER", n.into())])
}

/// An activity that removes a number.
fn remove_number(table: &str, n: i64) -> Json {
    delete(table, &[("n", "INTEGER", n.into())])
}
