//! Names are data: any of them names its own table and column, and no other.

use proptest::prelude::*;

use super::*;

const HOSTILE: [&str; 14] = [
    "a",
    "A",
    "\"",
    "a\"; DROP TABLE activity_queue; --",
    "'",
    "[a]",
    "`a`",
    "activity_queue",
    "ACTIVITY_ROWS_1",
    "sqlite_schema",
    "SQLITE_x",
    "idempotency_keys",
    "select",
    " \n\u{feff}\u{202e}é",
];

fn name() -> impl Strategy<Value = String> {
    let any = "[^\\x00]{1,15}";
    prop_oneof![any, proptest::sample::select(&HOSTILE[..]).prop_map(str::to_owned)]
}

/// Inserts a row in each table, and tells what each holds.
async fn inserted(tables: &[(String, String)]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.take().await;
    for (n, (table, column)) in tables.iter().enumerate() {
        store.queue(&message(&[insert(table, &[(column, "INTEGER", n.into())])])).await;
    }
    for outcome in store.drain(lease).await {
        prop_assert_eq!(outcome, None);
    }
    let status = store.tables().await.unwrap();
    prop_assert_eq!(status.iter().map(|table| table.rows).sum::<u64>(), tables.len() as u64);
    let other = other_program(folder.path());
    for (n, (table, column)) in tables.iter().enumerate() {
        let table = Name::parse(table).unwrap();
        let rows = store.rows(&table, None, 100).await.unwrap().unwrap();
        let place = rows.columns.iter().position(|name| name.as_str() == column).unwrap();
        let value = Value::Integer(n as i64);
        prop_assert_eq!(rows.rows.iter().filter(|row| row[place] == value).count(), 1);
    }
    let views = "SELECT group_concat(name, char(0)) FROM sqlite_schema WHERE type = 'view'";
    let views: Option<String> = other.query_row(views, (), |row| row.get(0)).unwrap();
    for view in views.unwrap_or_default().split('\0').filter(|view| !view.is_empty()) {
        let sql = format!("SELECT count(*) FROM \"{}\"", view.replace('"', "\"\""));
        let rows: i64 = other.query_row(&sql, (), |row| row.get(0)).unwrap();
        let expected = tables.iter().filter(|(table, _)| table == view).count();
        prop_assert_eq!(rows, expected as i64, "{}", view);
    }
    let check: String = other.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    prop_assert_eq!(check, "ok");
    Ok(())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

#[test]
fn hostile_names_are_only_names() {
    let each = HOSTILE.iter().flat_map(|table| HOSTILE.iter().map(move |column| (*table, *column)));
    let tables: Vec<_> =
        each.map(|(table, column)| (table.to_owned(), column.to_owned())).collect();
    block_on(inserted(&tables)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_name_is_only_a_name(tables in proptest::collection::vec((name(), name()), 1..12)) {
        block_on(inserted(&tables))?;
    }
}
