//! Activities on PostgreSQL: workers that were replaced, catalogues that others changed, messages that fail
//! among others, locks of other transactions, and names that PostgreSQL does not like.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde_json::{Value as Json, json};
use storefront::activities::model::{MessageId, Name, RejectionKind, Value};
use storefront::db::MigrationPolicy;
use storefront::db::storage::{
    Accept, ActContext, ActivityStore, Applied, ErrorKind, MessageState, NewMessage, QueuedMessage,
    StorageError, WorkerLease,
};
use testkit::database::OwnDatabase;
use testkit::postgres::OpenTransaction;
use testkit::postgres_database::PostgresDatabase;
use testkit::proxy::{Mode, Proxy};
use testkit::wait::{eventually, until};
use tokio::task::JoinHandle;

const SERVERS: [&str; 2] = ["postgres", "postgres15"];
const REQUIRE: MigrationPolicy = MigrationPolicy::Require;

async fn store(database: &OwnDatabase) -> Arc<dyn ActivityStore> {
    database.open().await.activities.unwrap()
}

/// Makes this store's worker the one that applies messages.
async fn become_worker(store: &Arc<dyn ActivityStore>) -> WorkerLease {
    let seen = store.worker().await.unwrap();
    store.take_over(&seen, "a test").await.unwrap().unwrap()
}

async fn accept(store: &Arc<dyn ActivityStore>, activities: Json) -> MessageId {
    let body = json!({ "activities": activities }).to_string();
    let message = NewMessage { id: MessageId::new(), body: body.into() };
    let id = message.id;
    let accepted = store.accept(ActContext::new(), message).await.unwrap();
    assert_eq!(accepted, Accept::Queued(id));
    id
}

fn insert(table: &str, column: &str, column_type: &str, value: Json) -> Json {
    json!({"operation": "insert", "table": table, "col_names": [column], "col_types": [column_type],
           "col_values": [value]})
}

fn delete(table: &str, column: &str, column_type: &str, value: Json) -> Json {
    json!({"operation": "delete", "table": table, "value_to_delete":
           {"col_names": [column], "col_types": [column_type], "col_values": [value]}})
}

async fn apply_all(store: &Arc<dyn ActivityStore>, lease: WorkerLease) -> Applied {
    let messages = store.next(lease, 1_000).await.unwrap();
    store.apply(lease, messages).await.unwrap()
}

/// All rows of a table, each as its values.
async fn rows(store: &Arc<dyn ActivityStore>, table: &str) -> Vec<Vec<Value>> {
    let table = Name::parse(table).unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.rows(&table, after, 100).await.unwrap().unwrap();
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn integers(values: impl IntoIterator<Item = i64>) -> Vec<Vec<Value>> {
    values.into_iter().map(|value| vec![Value::Integer(value)]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_replaced_changes_nothing() {
    let database = OwnDatabase::on("postgres").await;
    let (old, new) = (store(&database).await, store(&database).await);
    let old_lease = become_worker(&old).await;
    accept(&old, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    let messages = old.next(old_lease, 10).await.unwrap();
    let new_lease = become_worker(&new).await;
    assert_eq!(old.apply(old_lease, messages.clone()).await.unwrap(), Applied::LeaseLost);
    assert!(old.next(old_lease, 10).await.unwrap().is_empty());
    assert!(!old.renew(old_lease).await.unwrap());
    assert_eq!(old.note_attempt(old_lease, messages[0].id).await.unwrap(), None);
    assert!(new.tables().await.unwrap().is_empty());
    assert_eq!(new.queue_status().await.unwrap().messages, 1);
    assert_eq!(apply_all(&new, new_lease).await, Applied::Outcomes(vec![None]));
    new.release(new_lease).await.unwrap();
    assert_eq!(new.apply(new_lease, messages).await.unwrap(), Applied::LeaseLost);
}

/// Opens a transaction that makes the next insert into the table `t` wait, which begins here.
async fn insert_behind_a_lock(
    database: &OwnDatabase,
    worker: &Arc<dyn ActivityStore>,
    lease: WorkerLease,
) -> (OpenTransaction, JoinHandle<Result<Applied, StorageError>>) {
    let messages = worker.next(lease, 10).await.unwrap();
    let schema = database.column("SELECT data_schema FROM activity_catalogue").await;
    let lock = format!("LOCK TABLE {}.t IN SHARE MODE", schema[0]);
    let operator = OpenTransaction::begin(database.url(), "an operator", &lock).await;
    let worker = worker.clone();
    let applying = tokio::spawn(async move { worker.apply(lease, messages).await });
    let is_waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IN \
                      (SELECT c.oid FROM pg_class c JOIN activity_catalogue \
                       ON relnamespace = to_regnamespace(data_schema))";
    eventually("the insert waits", async || database.column(is_waiting).await == ["1"]).await;
    (operator, applying)
}

/// The transaction of a worker that is between its statements when it is to be replaced: until it has
/// ended the next worker does not begin, and is told so at once. It does not wait for the lock: nothing
/// bounds how long a statement of that transaction takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_over_when_the_open_transaction_of_the_previous_one_has_ended() {
    let database = OwnDatabase::on("postgres").await;
    let (old, new) = (store(&database).await, store(&database).await);
    let old_lease = become_worker(&old).await;
    accept(&old, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    assert_eq!(apply_all(&old, old_lease).await, Applied::Outcomes(vec![None]));
    accept(&old, json!([insert("t", "a", "INTEGER", json!(2))])).await;
    let (operator, applying) = insert_behind_a_lock(&database, &old, old_lease).await;
    let seen = new.worker().await.unwrap();
    for _ in 0..3 {
        let taking_over = new.take_over(&seen, "a test");
        let taken = tokio::time::timeout(Duration::from_secs(1), taking_over).await;
        assert_eq!(taken.expect("it does not wait").unwrap(), None);
    }
    assert_eq!(new.worker().await.unwrap(), seen);
    operator.commit().await;
    assert_eq!(applying.await.unwrap().unwrap(), Applied::Outcomes(vec![None]));
    let new_lease = become_worker(&new).await;
    assert_eq!(rows(&new, "t").await, integers([1, 2]));
    assert_eq!(apply_all(&new, new_lease).await, Applied::Outcomes(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_over_while_requests_have_all_connections() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lock = "LOCK TABLE activity_messages IN ACCESS EXCLUSIVE MODE";
    let operator = OpenTransaction::begin(database.url(), "an operator", lock).await;
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.find(MessageId::new()).await })
        })
        .collect();
    let waiting = "SELECT count(*) > 1 FROM pg_locks WHERE NOT granted \
                   AND relation = 'activity_messages'::regclass";
    eventually("requests wait", async || database.column(waiting).await == ["t"]).await;
    let taken = tokio::time::timeout(Duration::from_secs(2), become_worker(&store)).await;
    let lease = taken.expect("the worker does not wait for requests");
    assert!(store.renew(lease).await.unwrap());
    operator.commit().await;
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), None);
    }
}

/// As behind a pooler or a firewall that has forgotten the connection: neither an answer nor an error ever
/// comes, while the lease is renewed on another connection.
#[tokio::test(flavor = "multi_thread")]
async fn messages_are_applied_again_when_their_connection_has_gone_silent() {
    let database = OwnDatabase::on("postgres").await;
    let healthy = store(&database).await;
    let lease = become_worker(&healthy).await;
    let (url, proxy) = Proxy::before(database.url()).await;
    let stores = testkit::database::open(&testkit::database::settings(&url), REQUIRE).await;
    let worker = stores.unwrap().activities.unwrap();
    accept(&healthy, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    assert_eq!(apply_all(&worker, lease).await, Applied::Outcomes(vec![None]));
    accept(&healthy, json!([insert("t", "a", "INTEGER", json!(2))])).await;
    // Its transaction is open, and what it is told does not arrive any more.
    let (operator, applying) = insert_behind_a_lock(&database, &worker, lease).await;
    proxy.set(Mode::Swallow);
    proxy.restore();
    operator.commit().await;
    let applied = tokio::time::timeout(Duration::from_secs(60), applying).await;
    let error = applied.expect("it is given up").unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(healthy.renew(lease).await.unwrap(), "the lease is not lost");
    accept(&healthy, json!([insert("t", "b", "INTEGER", json!(3))])).await;
    assert_eq!(apply_all(&worker, lease).await, Applied::Outcomes(vec![None, None]));
    let expected = [[Value::Integer(1), Value::Null], [Value::Integer(2), Value::Null]];
    assert_eq!(rows(&healthy, "t").await[..2], expected);
    assert_eq!(healthy.tables().await.unwrap()[0].rows, 3);
}

/// A worker that lost its lease by its own clock, and is active again: what it gave up does not hold the
/// next messages up for ever.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_a_worker_gave_up_do_not_hold_up_its_next_ones() {
    let database = OwnDatabase::on("postgres").await;
    let healthy = store(&database).await;
    let (url, proxy) = Proxy::before(database.url()).await;
    let stores = testkit::database::open(&testkit::database::settings(&url), REQUIRE).await;
    let worker = stores.unwrap().activities.unwrap();
    let lease = become_worker(&healthy).await;
    accept(&healthy, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    assert_eq!(apply_all(&worker, lease).await, Applied::Outcomes(vec![None]));
    accept(&healthy, json!([insert("t", "a", "INTEGER", json!(2))])).await;
    let messages = healthy.next(lease, 10).await.unwrap();
    proxy.set(Mode::Freeze);
    let given_up = worker.apply(lease, messages.clone());
    assert!(tokio::time::timeout(Duration::from_millis(500), given_up).await.is_err());
    proxy.set(Mode::Swallow);
    proxy.restore();
    // Its transaction may have begun; then the server ends it.
    let lease = until("it takes over", async || {
        let seen = healthy.worker().await.unwrap();
        healthy.take_over(&seen, "a test").await.unwrap()
    })
    .await;
    let applying = worker.apply(lease, messages);
    let applied = tokio::time::timeout(Duration::from_secs(60), applying).await;
    assert_eq!(applied.expect("it is not held up").unwrap(), Applied::Outcomes(vec![None]));
    assert_eq!(rows(&healthy, "t").await, integers([1, 2]));
}

/// A statement may take longer than the worker keeps its lease by its own clock, as an index on a large table
/// does. While it runs nobody can take over, so that it is not given up: it would be begun anew each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_goes_on_though_its_worker_has_lost_its_lease_by_its_own_clock() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lease = become_worker(&store).await;
    accept(&store, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    apply_all(&store, lease).await;
    let schema = &database.column("SELECT data_schema FROM activity_catalogue").await[0];
    let slow = format!(
        "CREATE FUNCTION {schema}.slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(8); RETURN NEW; END $$; \
         CREATE TRIGGER slow BEFORE INSERT ON {schema}.t EXECUTE FUNCTION {schema}.slow()"
    );
    database.execute(&slow).await;
    let id = accept(&store, json!([insert("t", "a", "INTEGER", json!(2))])).await;
    let messages = store.next(lease, 10).await.unwrap();
    let worker = store.clone();
    let applying = tokio::spawn(async move { worker.apply(lease, messages).await });
    let in_schema = "SELECT count(*) FROM pg_locks JOIN pg_class c ON c.oid = relation \
                     JOIN activity_catalogue ON relnamespace = to_regnamespace(data_schema) \
                     WHERE mode = 'RowExclusiveLock'";
    eventually("the statement runs", async || database.column(in_schema).await == ["1"]).await;
    applying.abort();
    let seen = store.worker().await.unwrap();
    assert_eq!(store.take_over(&seen, "a test").await.unwrap(), None, "nobody can take over");
    eventually("the statement ends", async || database.column(in_schema).await == ["0"]).await;
    let found = store.find(id).await.unwrap().unwrap();
    assert_eq!(found.state, MessageState::Applied);
    assert_eq!(rows(&store, "t").await, integers([1, 2]));
}

/// A transaction that its worker has given up may still run: one that the worker begins on another
/// connection waits for it, and uses the catalogue that it leaves.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_one_worker_follow_each_other() {
    let database = OwnDatabase::on("postgres").await;
    let (first, second) = (store(&database).await, store(&database).await);
    let lease = become_worker(&first).await;
    accept(&first, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    apply_all(&first, lease).await;
    accept(&first, json!([insert("t", "a", "INTEGER", json!(2))])).await;
    // Both know the catalogue as it is before the column is added.
    apply_all(&second, lease).await;
    accept(&first, json!([insert("t", "b", "INTEGER", json!(3))])).await;
    let (operator, applying) = insert_behind_a_lock(&database, &first, lease).await;
    accept(&first, json!([insert("t", "b", "TEXT", json!("4"))])).await;
    let messages = second.next(lease, 10).await.unwrap();
    let behind = tokio::spawn(async move { second.apply(lease, messages).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND query LIKE 'SELECT version FROM activity_worker%'";
    eventually("the other waits", async || database.column(waiting).await == ["1"]).await;
    operator.commit().await;
    assert_eq!(applying.await.unwrap().unwrap(), Applied::Outcomes(vec![None]));
    let Applied::Outcomes(outcomes) = behind.await.unwrap().unwrap() else { panic!() };
    assert_eq!(outcomes[0], None);
    assert_eq!(outcomes[1].as_ref().unwrap().kind, RejectionKind::ColumnType);
    assert_eq!(first.tables().await.unwrap()[0].rows, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_while_its_transaction_waits() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lease = become_worker(&store).await;
    accept(&store, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    apply_all(&store, lease).await;
    accept(&store, json!([insert("t", "b", "INTEGER", json!(2))])).await;
    let schema = database.column("SELECT data_schema FROM activity_catalogue").await;
    let lock = format!("LOCK TABLE {}.t IN ACCESS SHARE MODE", schema[0]);
    let reader = OpenTransaction::begin(database.url(), "a dump", &lock).await;
    let applying = tokio::spawn({
        let store = store.clone();
        async move { apply_all(&store, lease).await }
    });
    let is_waiting = "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' \
                      AND NOT granted";
    eventually("the change of the table waits", async || {
        database.column(is_waiting).await == ["t"]
    })
    .await;
    let renewed = tokio::time::timeout(Duration::from_millis(500), store.renew(lease)).await;
    assert!(renewed.expect("it does not wait").unwrap());
    reader.commit().await;
    assert_eq!(applying.await.unwrap(), Applied::Outcomes(vec![None]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_another_worker_changed_is_read_again() {
    let database = OwnDatabase::on("postgres").await;
    let (first, second) = (store(&database).await, store(&database).await);
    let lease = become_worker(&first).await;
    accept(&first, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    apply_all(&first, lease).await;
    let lease = become_worker(&second).await;
    accept(&first, json!([insert("t", "b", "TEXT", json!("x"))])).await;
    apply_all(&second, lease).await;
    let lease = become_worker(&first).await;
    // By a column that its own copy does not have. Alone: when it added the column, the error of the database
    // would make it read the catalogue again.
    accept(&first, json!([delete("t", "b", "TEXT", json!("x"))])).await;
    assert_eq!(apply_all(&first, lease).await, Applied::Outcomes(vec![None]));
    let rejected = accept(&first, json!([insert("t", "b", "INTEGER", json!(3))])).await;
    let Applied::Outcomes(outcomes) = apply_all(&first, lease).await else { panic!() };
    assert_eq!(outcomes[0].as_ref().unwrap().kind, RejectionKind::ColumnType);
    assert_eq!(rows(&first, "t").await, [[Value::Integer(1), Value::Null]]);
    let found = first.find(rejected).await.unwrap().unwrap();
    assert_eq!((found.state, found.activity), (MessageState::Rejected, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_database_refuses_stops_none_of_a_hundred() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lease = become_worker(&store).await;
    accept(&store, json!([insert("t", "a", "INTEGER", json!(0))])).await;
    apply_all(&store, lease).await;
    let schema = database.column("SELECT data_schema FROM activity_catalogue").await;
    database.execute(&format!("ALTER TABLE {}.t ADD CHECK (a <> 50)", schema[0])).await;
    for n in 1..=100 {
        let other = insert("other", "a", "INTEGER", json!(n));
        accept(&store, json!([other, insert("t", "a", "INTEGER", json!(n))])).await;
    }
    let Applied::Outcomes(outcomes) = apply_all(&store, lease).await else { panic!() };
    assert_eq!(outcomes.len(), 100);
    let rejected: Vec<_> = (0..100).filter(|n| outcomes[*n].is_some()).collect();
    assert_eq!(rejected, [49]);
    let rejection = outcomes[49].clone().unwrap();
    assert_eq!((rejection.kind, rejection.activity), (RejectionKind::Refused, Some(1)));
    assert_eq!(rejection.cause(), "refused \"t\"");
    let all: Vec<i64> = (0..=100).filter(|n| *n != 50).collect();
    assert_eq!(rows(&store, "t").await, integers(all.iter().copied()));
    assert_eq!(rows(&store, "other").await, integers(all.into_iter().skip(1)));
    let tables = store.tables().await.unwrap();
    assert_eq!(tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [99, 100]);
    assert_eq!(store.queue_status().await.unwrap(), Default::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_holds_up_its_message_and_those_behind_it() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lease = become_worker(&store).await;
    accept(&store, json!([insert("locked", "a", "INTEGER", json!(0))])).await;
    apply_all(&store, lease).await;
    let schema = database.column("SELECT data_schema FROM activity_catalogue").await;
    let lock = format!("LOCK TABLE {}.locked IN SHARE MODE", schema[0]);
    let operator = OpenTransaction::begin(database.url(), "an operator", &lock).await;
    accept(&store, json!([insert("free", "a", "INTEGER", json!(1))])).await;
    accept(&store, json!([insert("free", "a", "INTEGER", json!(2))])).await;
    accept(&store, json!([insert("locked", "a", "INTEGER", json!(3))])).await;
    accept(&store, json!([insert("free", "a", "INTEGER", json!(4))])).await;
    assert_eq!(apply_all(&store, lease).await, Applied::Outcomes(vec![None, None]));
    assert_eq!(rows(&store, "free").await, integers([1, 2]));
    assert_eq!(apply_all(&store, lease).await, Applied::Outcomes(vec![]));
    operator.commit().await;
    assert_eq!(apply_all(&store, lease).await, Applied::Outcomes(vec![None, None]));
    assert_eq!(rows(&store, "free").await, integers([1, 2, 4]));
    assert_eq!(rows(&store, "locked").await, integers([0, 3]));
}

/// Names that mean something to PostgreSQL, or that look alike.
fn hostile_names() -> Vec<String> {
    let long = "x".repeat(60);
    let names = [
        "a",
        "A",
        "\"",
        "\"\"",
        "a\"; DROP SCHEMA public CASCADE; --",
        "';",
        "$1",
        "\\",
        "%I",
        " ",
        "\n",
        "\u{200b}",
        "ä",
        "a\u{308}",
        "🎮",
        "select",
        "user",
        "null",
        "xmin",
        "xmax",
        "cmin",
        "cmax",
        "ctid",
        "tableoid",
        "oid",
        "storefront row",
        "storefront column 0",
        "storefront table 1",
        "activity_queue",
        "activity_queue_pkey",
        "overviews",
        "pg_class",
        "a_pkey",
        "A_pkey",
        "a_storefront row_seq",
        "given",
        "stored",
        "c0",
        "n",
        "int4",
        "_a",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).into();
    names.extend(["aaa", "aab", "AAA"].map(|end| format!("{long}{end}")));
    let mut random = testkit::random::rng();
    let characters: Vec<char> = "\"'`;-$%\\()[]{}.,: \n\t\u{1}aAßé\u{202e}漢🎮".chars().collect();
    for _ in 0..20 {
        let length = random.random_range(1..16);
        let draw = |_| characters[random.random_range(0..characters.len())];
        let name: String = (0..length).map(draw).collect();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_data() {
    for server in SERVERS {
        let database = OwnDatabase::on(server).await;
        let store = store(&database).await;
        let lease = become_worker(&store).await;
        let names = hostile_names();
        let values: Vec<_> = (0..names.len()).map(|n| n.to_string()).collect();
        let types = vec!["TEXT"; names.len()];
        for table in &names {
            // Each table has a column of each name, and first the one of its own.
            accept(&store, json!([insert(table, table, "TEXT", json!("first"))])).await;
            let cells = json!({"operation": "insert", "table": table, "col_names": names,
                               "col_types": types, "col_values": values});
            accept(&store, json!([cells])).await;
            accept(&store, json!([delete(table, table, "TEXT", json!("first"))])).await;
            let cells = json!({"col_names": names, "col_types": types, "col_values": values});
            let delete = json!({"operation": "delete", "table": table, "value_to_delete": cells});
            accept(&store, json!([cells_twice(table, &names), delete])).await;
        }
        let mut applied = 0;
        loop {
            let Applied::Outcomes(outcomes) = apply_all(&store, lease).await else { panic!() };
            if outcomes.is_empty() {
                break;
            }
            assert!(outcomes.iter().all(Option::is_none), "{server}: {outcomes:?}");
            applied += outcomes.len();
        }
        assert_eq!(applied, 4 * names.len());
        for table in &names {
            let page = store.rows(&Name::parse(table).unwrap(), None, 10).await.unwrap().unwrap();
            assert_eq!(page.rows.len(), 1, "{server}: {table:?}");
            for (name, value) in page.columns.iter().zip(&page.rows[0]) {
                assert_eq!(*value, Value::Text(name.as_str().into()), "{server}: {table:?}");
            }
        }
        let tables = store.tables().await.unwrap();
        assert_eq!(tables.len(), names.len());
        assert!(tables.iter().all(|table| table.rows == 1), "{server}");
        // The store's own tables are as they were.
        assert_eq!(database.column("SELECT count(*) FROM overviews").await, ["0"]);
    }
}

/// A row whose values are the names of its columns.
fn cells_twice(table: &str, names: &[String]) -> Json {
    json!({"operation": "insert", "table": table, "col_names": names,
           "col_types": vec!["TEXT"; names.len()], "col_values": names})
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_deleted_through_an_index() {
    for server in SERVERS {
        let database = OwnDatabase::on(server).await;
        let store = store(&database).await;
        let lease = become_worker(&store).await;
        let long = "long ".repeat(20_000);
        let row = |n: i64| {
            json!({"operation": "insert", "table": "t", "col_names": ["a", "b", "c", "d"],
                   "col_types": ["INTEGER", "TEXT", "DECIMAL(10,2)", "DOUBLE"],
                   "col_values": [n, format!("{long}{n}"), "1.50", 0.1]})
        };
        accept(&store, json!([row(1), row(2), row(3)])).await;
        let cells = json!({"col_names": ["d", "b", "c"], "col_types":
                           ["FLOAT", "VARCHAR", "DECIMAL(10,2)"],
                           "col_values": [0.1, format!("{long}2"), 1.5]});
        let by_three = json!({"operation": "delete", "table": "t", "value_to_delete": cells});
        accept(&store, json!([by_three])).await;
        let outcomes = apply_all(&store, lease).await;
        assert_eq!(outcomes, Applied::Outcomes(vec![None, None]), "{server}");
        let left: Vec<_> = rows(&store, "t").await.into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(left, [Value::Integer(1), Value::Integer(3)]);
        // Nine sets of columns, of which eight get an index.
        for column in ["e", "f", "g", "h", "i", "j", "k", "l"] {
            accept(&store, json!([insert("t", column, "INTEGER", json!(1))])).await;
            accept(&store, json!([delete("t", column, "INTEGER", json!(1))])).await;
        }
        while apply_all(&store, lease).await != Applied::Outcomes(vec![]) {}
        assert_eq!(rows(&store, "t").await.len(), 2);
        let indexes = "SELECT count(*) FROM pg_indexes JOIN activity_catalogue \
                       ON schemaname = data_schema";
        assert_eq!(database.column(indexes).await, ["9"], "the primary key and eight");
    }
}

/// How often PostgreSQL has read all rows of the table `t`, and looked rows up in the indexes for deletes.
const SCANS: &str = "SELECT format('%s %s', t.seq_scan, \
                         (SELECT sum(i.idx_scan) FROM pg_stat_user_indexes i \
                          WHERE i.relid = t.relid AND i.indexrelname LIKE '%hash%')) \
                     FROM pg_stat_user_tables t JOIN activity_catalogue ON schemaname = data_schema";

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_reads_an_index_and_not_the_table() {
    for server in SERVERS {
        let database = OwnDatabase::on(server).await;
        let store = store(&database).await;
        let lease = become_worker(&store).await;
        let row = |n: i64| {
            json!({"operation": "insert", "table": "t", "col_names": ["a", "b"],
                   "col_types": ["INTEGER", "TEXT"], "col_values": [n, n.to_string()]})
        };
        accept(&store, (0..2_000).map(row).collect()).await;
        // Each in a statement of its own: an insert is between them.
        for n in 0..10 {
            accept(&store, json!([delete("t", "a", "INTEGER", json!(n)), row(n)])).await;
            let cells = json!({"col_names": ["b", "a"], "col_types": ["TEXT", "INTEGER"],
                               "col_values": [n.to_string(), n]});
            let delete = json!({"operation": "delete", "table": "t", "value_to_delete": cells});
            accept(&store, json!([delete, row(n)])).await;
        }
        assert_eq!(apply_all(&store, lease).await, Applied::Outcomes(vec![None; 21]));
        assert_eq!(rows(&store, "t").await.len(), 2_000);
        // The statistics are complete when the connection has ended. Making an index reads the table, and there are three.
        drop(store);
        eventually("no scan of the table but of its new indexes, twenty of those", async || {
            database.column(SCANS).await == ["3 20"]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ended_is_passed_over() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lease = become_worker(&store).await;
    accept(&store, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    accept(&store, json!([delete("missing", "a", "INTEGER", json!(1))])).await;
    let messages: Vec<QueuedMessage> = store.next(lease, 10).await.unwrap();
    let first = store.apply(lease, messages.clone()).await.unwrap();
    let Applied::Outcomes(again) = store.apply(lease, messages).await.unwrap() else { panic!() };
    let Applied::Outcomes(first) = first else { panic!() };
    assert_eq!(rows(&store, "t").await, integers([1]));
    let kinds = |all: &[Option<storefront::activities::model::Rejection>]| {
        all.iter().map(|outcome| outcome.as_ref().map(|why| why.kind)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&first), [None, Some(RejectionKind::MissingTable)]);
    assert_eq!(kinds(&again), kinds(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_a_schema_accepts_messages_and_says_why_none_is_applied() {
    let database = PostgresDatabase::create().await;
    let name = &database.name;
    database.administer(&format!("REVOKE CREATE ON DATABASE {name} FROM {name}")).await;
    database.administer(&format!("ALTER DATABASE {name} OWNER TO postgres")).await;
    database.administer_inside(&format!("GRANT CREATE ON SCHEMA public TO {name}")).await;
    let settings = testkit::database::settings(database.url().as_str());
    let migrate = storefront::db::MigrationPolicy::Migrate;
    let stores = testkit::database::open(&settings, migrate).await.unwrap();
    let store = stores.activities.unwrap();
    accept(&store, json!([insert("t", "a", "INTEGER", json!(1))])).await;
    let seen = store.worker().await.unwrap();
    let error = store.take_over(&seen, "a test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let schema = "public_activities";
    let expected = format!(
        "the role {name} may not create the schema {schema}, so messages are accepted and not applied: \
         run `CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{name}\"` as the database's owner"
    );
    assert_eq!(error.to_string(), expected);
    let create = format!("CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{name}\"");
    database.administer_inside(&create).await;
    let lease = become_worker(&store).await;
    assert_eq!(apply_all(&store, lease).await, Applied::Outcomes(vec![None]));
}

/// How often the index of positions was searched, and how many blocks of the queue and of its totals were
/// read.
const READS: &str = "SELECT (SELECT idx_scan FROM pg_stat_user_indexes \
                             WHERE indexrelid = 'activity_queue_pkey'::regclass) || ' ' || \
                            sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) \
                     FROM pg_statio_user_tables \
                     WHERE relid IN ('activity_queue'::regclass, 'activity_queue_totals'::regclass)";

async fn queue_reads(database: &OwnDatabase) -> (i64, i64) {
    let row = database.column(READS).await;
    let (scans, blocks) = row[0].split_once(' ').unwrap();
    (scans.parse().unwrap(), blocks.parse().unwrap())
}

/// Queues so many messages by one statement.
async fn queue_many(database: &OwnDatabase, count: i64) {
    let body = json!({ "activities": [insert("t", "a", "INTEGER", json!(1))] }).to_string();
    let sql = format!(
        "INSERT INTO activity_queue (id, body, bytes) SELECT gen_random_uuid(), '{body}', {} \
         FROM generate_series(1, {count}); \
         INSERT INTO activity_queue_totals (messages, bytes) VALUES ({count}, {count} * {})",
        body.len(),
        body.len()
    );
    database.execute(&sql).await;
}

/// While a dump keeps an old snapshot, the entries of applied messages stay in the index.
#[tokio::test(flavor = "multi_thread")]
async fn the_cost_of_a_look_into_the_queue_does_not_grow_while_a_dump_runs() {
    for server in SERVERS {
        let database = OwnDatabase::on(server).await;
        let first = store(&database).await;
        let lease = become_worker(&first).await;
        let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1";
        let dump = OpenTransaction::begin(database.url(), "a dump", snapshot).await;
        // Its position stays free.
        let taken_back =
            "INSERT INTO activity_queue (id, body, bytes) VALUES (gen_random_uuid(), '', 0)";
        database.execute(&format!("BEGIN; {taken_back}; ROLLBACK")).await;
        let totals = "INSERT INTO activity_queue_totals (messages, bytes) \
                      SELECT 0, 0 FROM generate_series(1, 20000)";
        database.execute(totals).await;
        assert_eq!(first.queue_status().await.unwrap(), Default::default());
        queue_many(&database, 10_000).await;
        let mut applied = 0;
        while applied < 10_000 {
            let Applied::Outcomes(outcomes) = apply_all(&first, lease).await else { panic!() };
            applied += outcomes.len();
        }
        eventually("the queue begins behind them", async || {
            assert!(first.next(lease, 10).await.unwrap().is_empty());
            let is_behind = "SELECT queue_from > 7900 AND totals_from > 20000 FROM activity_worker";
            database.column(is_behind).await == ["t"]
        })
        .await;
        drop(first);
        // As autovacuum does when so much has changed.
        database.execute("ANALYZE activity_queue, activity_queue_totals").await;
        let second = store(&database).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (scans, blocks) = queue_reads(&database).await;
        for _ in 0..50 {
            assert!(second.next(lease, 10).await.unwrap().is_empty());
            assert_eq!(second.queue_status().await.unwrap(), Default::default());
        }
        drop(second);
        eventually("statistics", async || queue_reads(&database).await.0 >= scans + 100).await;
        let blocks = queue_reads(&database).await.1 - blocks;
        // All that was applied has 190 blocks, and the totals that were replaced have 130.
        assert!(blocks < 6_000, "{server}: {blocks} blocks in 100 looks");
        dump.commit().await;
    }
}

/// A message is applied whose transaction took a low position and ended after those with higher ones had
/// been applied.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_does_not_begin_behind_a_message_that_is_still_being_accepted() {
    let database = OwnDatabase::on("postgres").await;
    let store = store(&database).await;
    let lease = become_worker(&store).await;
    store.next(lease, 10).await.unwrap();
    let body = json!({ "activities": [insert("late", "a", "INTEGER", json!(1))] }).to_string();
    let accept = format!(
        "INSERT INTO activity_queue (id, body, bytes) VALUES (gen_random_uuid(), '{body}', 1)"
    );
    let late = OpenTransaction::begin(database.url(), "an accept", &accept).await;
    let from = "SELECT queue_from FROM activity_worker";
    for _ in 0..4 {
        queue_many(&database, 2_500).await;
        while apply_all(&store, lease).await != Applied::Outcomes(vec![]) {}
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(database.column(from).await, ["0"]);
    late.commit().await;
    assert_eq!(store.next(lease, 10).await.unwrap().len(), 1);
    eventually("it moves on, and not past the message", async || {
        store.next(lease, 10).await.unwrap();
        database.column(from).await != ["0"]
    })
    .await;
    assert_eq!(apply_all(&store, lease).await, Applied::Outcomes(vec![None]));
    assert_eq!(rows(&store, "late").await, integers([1]));
}
