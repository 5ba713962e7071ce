//! What messages do to the tables.

use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use storefront::activities::model::{ColumnType, Value};

use super::{
    accept, are_applied, delete, insert, is_rejected, name, number, numbers, remove_number, rows,
    store, work,
};
use crate::world::{World, at_once};

/// Names that betray wrong quoting, case folding or cutting.
const NAMES: [&str; 22] = [
    "a",
    "A",
    "select",
    "\"",
    "'; DROP TABLE overviews; --",
    "a b",
    "a.b",
    "[x]",
    "`",
    "%s$1?",
    "ü\u{301}",
    "😀",
    "\n\t",
    " ",
    "xmin",
    "ctid",
    "rowid",
    "sqlite_master",
    "activity_queue",
    "overviews",
    "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij111",
    "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij112",
];

pub async fn values_come_back_as_they_were_sent(world: World) {
    let store = store(&world.stores);
    let cells = |values: [Json; 5]| {
        let [integer, text, float, boolean, decimal] = values;
        insert(
            "t",
            &[
                ("i", "integer", integer),
                ("t", "VarChar(10)", text),
                ("f", "FLOAT", float),
                ("b", "BOOLEAN", boolean),
                ("d", "DECIMAL(28,3)", decimal),
            ],
        )
    };
    let decimal = |text: &str| Value::Decimal(text.parse::<Decimal>().unwrap());
    let sent = [
        cells([i64::MIN.into(), "".into(), 0.1.into(), true.into(), json!(0)]),
        cells([i64::MAX.into(), "'é\"\\\n😀".into(), f64::MAX.into(), false.into(), json!("-1.5")]),
        cells([
            0.into(),
            "null".into(),
            json!(-0.0),
            true.into(),
            json!("9999999999999999999999999.999"),
        ]),
        cells([Json::Null, Json::Null, f64::MIN_POSITIVE.into(), Json::Null, Json::Null]),
        cells([1.into(), "x".into(), Json::Null, false.into(), json!("0.001")]),
    ];
    let id = accept(&store, &sent).await;
    work(&store).await;
    are_applied(&store, [id]).await;
    let expected = [
        [
            Value::Integer(i64::MIN),
            Value::Text("".into()),
            Value::Float(0.1),
            Value::Boolean(true),
            decimal("0.000"),
        ],
        [
            Value::Integer(i64::MAX),
            Value::Text("'é\"\\\n😀".into()),
            Value::Float(f64::MAX),
            Value::Boolean(false),
            decimal("-1.500"),
        ],
        [
            Value::Integer(0),
            Value::Text("null".into()),
            Value::Float(0.0),
            Value::Boolean(true),
            decimal("9999999999999999999999999.999"),
        ],
        [Value::Null, Value::Null, Value::Float(f64::MIN_POSITIVE), Value::Null, Value::Null],
        [
            Value::Integer(1),
            Value::Text("x".into()),
            Value::Null,
            Value::Boolean(false),
            decimal("0.001"),
        ],
    ];
    let found = rows(&store, "t").await;
    assert_eq!(found.len(), expected.len());
    for row in expected {
        let row: Vec<_> =
            ["i", "t", "f", "b", "d"].map(str::to_owned).into_iter().zip(row).collect();
        assert!(found.contains(&row), "{row:?} in {found:?}");
        // With its scale.
        let shown = |row: &[(String, Value)]| format!("{row:?}");
        assert!(found.iter().any(|other| shown(other) == shown(&row)), "{row:?} in {found:?}");
    }
    let [table] = store.tables().await.unwrap().try_into().unwrap();
    assert_eq!((table.name, table.rows), (name("t"), 5));
    let types: Vec<_> = table.columns.into_iter().map(|(_, column_type)| column_type).collect();
    let decimal = ColumnType::Decimal { precision: 28, scale: 3 };
    use ColumnType::{Boolean, Float, Integer, Text};
    assert_eq!(types, [Integer, Text, Float, Boolean, decimal]);
}

pub async fn a_message_is_applied_as_one(world: World) {
    let store = store(&world.stores);
    let before = accept(&store, &[number("t", 1), number("other", 1)]).await;
    let missing_table =
        [number("t", 2), number("new", 2), remove_number("missing", 1), number("t", 3)];
    let missing_table = accept(&store, &missing_table).await;
    let other_type = [remove_number("t", 1), insert("t", &[("n", "TEXT", "x".into())])];
    let other_type = accept(&store, &other_type).await;
    let missing_column = [
        insert("t", &[("added", "TEXT", "x".into())]),
        delete("other", &[("added", "TEXT", "x".into())]),
    ];
    let missing_column = accept(&store, &missing_column).await;
    let after = accept(&store, &[number("t", 4)]).await;
    work(&store).await;
    are_applied(&store, [before, after]).await;
    assert!(is_rejected(&store, missing_table, 2).await.contains("`missing` does not exist"));
    assert!(is_rejected(&store, other_type, 1).await.contains("has the type INTEGER, not TEXT"));
    assert!(is_rejected(&store, missing_column, 1).await.contains("no column `added`"));
    assert_eq!(numbers(&store, "t", "n").await, [1, 4]);
    let tables = store.tables().await.unwrap();
    let mut counts: Vec<_> =
        tables.iter().map(|t| (t.name.as_str(), t.columns.len(), t.rows)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [("other", 1, 1), ("t", 1, 2)]);
    assert_eq!(store.rows(&name("new"), None, 10).await.unwrap(), None);
}

pub async fn later_activities_see_earlier_ones(world: World) {
    let store = store(&world.stores);
    let activities = [
        number("t", 1),
        number("t", 2),
        remove_number("t", 1),
        insert("t", &[("n", "INTEGER", 3.into()), ("m", "TEXT", "x".into())]),
        delete("t", &[("m", "TEXT", "x".into())]),
        number("t", 1),
    ];
    let id = accept(&store, &activities).await;
    work(&store).await;
    are_applied(&store, [id]).await;
    assert_eq!(numbers(&store, "t", "n").await, [1, 2]);
    let added_later = [
        delete("t", &[("late", "TEXT", "x".into())]),
        insert("t", &[("late", "TEXT", "x".into())]),
    ];
    let id = accept(&store, &added_later).await;
    work(&store).await;
    is_rejected(&store, id, 0).await;
}

pub async fn columns_are_added_and_are_null_in_older_rows(world: World) {
    let store = store(&world.stores);
    let first = accept(&store, &[insert("t", &[("a", "INTEGER", 1.into())])]).await;
    let second = insert("t", &[("b", "INTEGER", 2.into()), ("c", "INTEGER", Json::Null)]);
    let second = accept(&store, &[second]).await;
    let third = accept(&store, &[insert("t", &[("a", "INTEGER", 3.into())])]).await;
    work(&store).await;
    are_applied(&store, [first, second, third]).await;
    assert_eq!(numbers(&store, "t", "a").await, [-1, 1, 3]);
    assert_eq!(numbers(&store, "t", "b").await, [-1, -1, 2]);
    assert_eq!(numbers(&store, "t", "c").await, [-1, -1, -1]);
}

pub async fn a_delete_removes_the_rows_with_all_the_values(world: World) {
    let store = store(&world.stores);
    let row = |n: i64, text: Json, price: Json| {
        insert(
            "t",
            &[("n", "INTEGER", n.into()), ("s", "TEXT", text), ("p", "DECIMAL(9,2)", price)],
        )
    };
    let filled = [
        row(1, "x".into(), json!("1.50")),
        row(2, "x".into(), json!(1.5)),
        row(3, "x".into(), json!("2")),
        row(4, "y".into(), json!("1.5")),
        row(5, Json::Null, json!("1.5")),
        row(6, "X".into(), Json::Null),
    ];
    let filled = accept(&store, &filled).await;
    let by_both =
        [delete("t", &[("s", "VARCHAR", "x".into()), ("p", "DECIMAL(9,2)", json!("1.5"))])];
    let by_both = accept(&store, &by_both).await;
    let nothing = accept(&store, &[delete("t", &[("s", "TEXT", "none".into())])]).await;
    work(&store).await;
    are_applied(&store, [filled, by_both, nothing]).await;
    assert_eq!(numbers(&store, "t", "n").await, [3, 4, 5, 6]);
    let by_price = accept(&store, &[delete("t", &[("p", "DECIMAL(9,2)", json!("1.50"))])]).await;
    let other_scale = accept(&store, &[delete("t", &[("p", "DECIMAL(9,1)", json!("1.5"))])]).await;
    let float = [
        insert("f", &[("n", "INTEGER", 1.into()), ("x", "DOUBLE", json!(0.1))]),
        insert("f", &[("n", "INTEGER", 2.into()), ("x", "FLOAT", json!(-0.0))]),
        insert("f", &[("n", "INTEGER", 3.into()), ("x", "FLOAT", json!(1e300))]),
        delete("f", &[("x", "FLOAT", json!(0))]),
        delete("f", &[("x", "DOUBLE", json!(0.1))]),
    ];
    let float = accept(&store, &float).await;
    work(&store).await;
    are_applied(&store, [by_price, float]).await;
    is_rejected(&store, other_scale, 0).await;
    assert_eq!(numbers(&store, "t", "n").await, [3, 6]);
    assert_eq!(numbers(&store, "f", "n").await, [3]);
    let tables = store.tables().await.unwrap();
    assert_eq!(tables.iter().map(|table| table.rows).sum::<u64>(), 3);
}

pub async fn any_name_is_a_name_and_nothing_else(world: World) {
    let store = store(&world.stores);
    let mut ids = Vec::new();
    for (n, table) in NAMES.into_iter().enumerate() {
        let mut cells = vec![("n", "INTEGER", Json::from(n))];
        cells.extend(
            NAMES.map(|column| (column, "TEXT", Json::from(format!("{column} of {table}")))),
        );
        ids.push(accept(&store, &[insert(table, &cells)]).await);
        ids.push(accept(&store, &[number(table, 100), remove_number(table, 100)]).await);
        let by_text = ("a", "TEXT", Json::from("a of nothing"));
        ids.push(accept(&store, &[delete(table, &[by_text, cells[2].clone()])]).await);
    }
    work(&store).await;
    are_applied(&store, ids).await;
    assert_eq!(store.tables().await.unwrap().len(), NAMES.len());
    for (n, table) in NAMES.into_iter().enumerate() {
        let mut expected = vec![("n".to_owned(), Value::Integer(n as i64))];
        let text = |column: &str| Value::Text(format!("{column} of {table}").into());
        expected.extend(NAMES.map(|column| (column.to_owned(), text(column))));
        assert_eq!(rows(&store, table).await, [expected], "{table}");
    }
    // The store's own tables are as they were.
    assert_eq!(world.stores.overviews.page(None, 1, None).await.unwrap().games, []);
}

pub async fn of_many_messages_one_that_is_bad_harms_no_other(world: World) {
    let store = store(&world.stores);
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for n in 0..120 {
        good.push(accept(&store, &[number("t", n)]).await);
        if n % 40 == 7 {
            bad.push(accept(&store, &[number("t", -n), remove_number("missing", n)]).await);
        }
    }
    work(&store).await;
    are_applied(&store, good).await;
    for id in bad {
        is_rejected(&store, id, 1).await;
    }
    assert_eq!(numbers(&store, "t", "n").await, (0..120).collect::<Vec<_>>());
}

pub async fn messages_that_create_one_table_give_it_the_union_of_their_columns(world: World) {
    let servers = [world.stores.clone(), world.another_server().await].map(|s| store(&s));
    let sent = (0..64_i64).map(|n| {
        let store = servers[n as usize % 2].clone();
        async move {
            let own = format!("c{n}");
            let cells = [("n", "INTEGER", n.into()), (own.as_str(), "INTEGER", Json::from(n))];
            accept(&store, &[insert("fresh", &cells)]).await
        }
    });
    let ids = at_once(sent).await;
    work(&servers[1]).await;
    are_applied(&servers[0], ids).await;
    assert_eq!(numbers(&servers[0], "fresh", "n").await, (0..64).collect::<Vec<_>>());
    let [table] = servers[0].tables().await.unwrap().try_into().unwrap();
    assert_eq!((table.columns.len(), table.rows), (65, 64));
    for n in [0, 31, 63] {
        let column = numbers(&servers[0], "fresh", &format!("c{n}")).await;
        assert_eq!(column.last(), Some(&n));
    }
}

pub async fn a_table_has_a_thousand_columns_at_most(world: World) {
    let store = store(&world.stores);
    let names: Vec<_> = (0..1_001).map(|n| format!("column {n}")).collect();
    let cell = |n: usize| (names[n].as_str(), "INTEGER", Json::from(n));
    let mut ids = Vec::new();
    for begin in (0..1_000).step_by(250) {
        let cells: Vec<_> = (begin..begin + 250).map(cell).collect();
        ids.push(accept(&store, &[insert("wide", &cells)]).await);
    }
    let more = accept(&store, &[number("t", 1), insert("wide", &[cell(1_000)])]).await;
    work(&store).await;
    are_applied(&store, ids).await;
    assert!(is_rejected(&store, more, 1).await.contains("at most 1000"));
    assert_eq!(rows(&store, "wide").await.len(), 4);
    let all: Vec<_> = (0..1_000).map(cell).collect();
    let by_all = accept(&store, &[delete("wide", &all)]).await;
    let after = accept(&store, &[number("t", 2)]).await;
    work(&store).await;
    // PostgreSQL 15 cannot index so many columns and refuses it. On no backend it stops the queue.
    let by_all = super::find(&store, by_all).await;
    assert!(by_all.applied_at.is_some() || by_all.error.is_some(), "{by_all:?}");
    are_applied(&store, [after]).await;
    assert_eq!(rows(&store, "wide").await.len(), 4, "no row has all the values");
}

pub async fn a_dropped_table_is_gone_in_its_turn(world: World) {
    use storefront::activities::model::Work;
    let store = store(&world.stores);
    let before = accept(&store, &[insert("t", &[("n", "TEXT", "x".into())])]).await;
    let drop = super::accept_text(&store, Work::drop_table(&name("t")).into()).await;
    let again = super::accept_text(&store, Work::drop_table(&name("t")).into()).await;
    let deleted = accept(&store, &[remove_number("t", 1)]).await;
    let after = accept(&store, &[number("t", 2)]).await;
    work(&store).await;
    are_applied(&store, [before, drop, after]).await;
    let again = super::find(&store, again).await;
    assert_eq!((again.activity, again.error.is_some()), (None, true), "{again:?}");
    is_rejected(&store, deleted, 0).await;
    assert_eq!(numbers(&store, "t", "n").await, [2]);
}

/// Many rows and deletes by several sets of columns: what is removed does not depend on how rows are
/// found.
pub async fn deletes_find_their_rows_in_a_large_table(world: World) {
    let store = store(&world.stores);
    let row = |n: i64| {
        let cells = [
            ("n", "INTEGER", Json::from(n)),
            ("mod7", "INTEGER", (n % 7).into()),
            ("text", "TEXT", format!("text {}", n % 11).into()),
        ];
        insert("t", &cells)
    };
    let mut ids = Vec::new();
    for begin in (0..1_000).step_by(100) {
        let all: Vec<_> = (begin..begin + 100).map(row).collect();
        ids.push(accept(&store, &all).await);
    }
    work(&store).await;
    let mut expected: Vec<i64> = (0..1_000).collect();
    for n in 0..7 {
        let text = format!("text {n}");
        let by_both = [("mod7", "INTEGER", Json::from(n)), ("text", "TEXT", text.into())];
        ids.push(accept(&store, &[delete("t", &by_both), row(n)]).await);
        expected.retain(|m| !(m % 7 == n && m % 11 == n));
        expected.push(n);
        let other_order = [("text", "TEXT", "text 9".into()), ("mod7", "INTEGER", Json::from(n))];
        ids.push(accept(&store, &[delete("t", &other_order)]).await);
        expected.retain(|m| !(m % 7 == n && m % 11 == 9));
        ids.push(accept(&store, &[remove_number("t", 500 + n), row(5_000 + n)]).await);
        expected.retain(|m| *m != 500 + n);
        expected.push(5_000 + n);
    }
    work(&store).await;
    are_applied(&store, ids).await;
    expected.sort_unstable();
    assert_eq!(numbers(&store, "t", "n").await, expected);
    let [table] = store.tables().await.unwrap().try_into().unwrap();
    assert_eq!(table.rows, expected.len() as u64);
}
