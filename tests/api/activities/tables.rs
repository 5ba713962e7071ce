//! Tables and rows on the wire.

use serde_json::{Value, json};

use super::{delete, insert, number, send_and_wait};
use crate::client::Request;
use crate::helpers::TestStore;

#[tokio::test]
async fn tables_and_rows_are_shown_as_they_were_sent() {
    let store = TestStore::start().await;
    assert_eq!(store.get("/api/activities/tables").await.json(), json!([]));
    let names = json!(["i", "t", "f", "b", "d"]);
    let types = json!(["integer", "VARCHAR(5)", "FLOAT", "Boolean", "decimal(5, 2)"]);
    let activities = json!([
        insert(
            "a b",
            names.clone(),
            types.clone(),
            json!([9_007_199_254_740_993_i64, "é", 0.1, true, 1.5])
        ),
        insert("a b", names.clone(), types.clone(), json!([null, null, null, null, null])),
        insert("a b", json!(["i", "late"]), json!(["INTEGER", "TEXT"]), json!([-1, ""])),
    ]);
    assert_eq!(send_and_wait(&store, activities).await["state"], "applied");
    let tables = store.get("/api/activities/tables").await.json();
    let table = &tables[0];
    let keys: Vec<_> = table.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["table", "columns", "rows", "last_applied_at"]);
    assert_eq!((&table["table"], &table["rows"]), (&"a b".into(), &3.into()));
    assert!(table["last_applied_at"].as_str().unwrap().ends_with('Z'));
    let columns: Vec<_> = table["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap(), column["type"].as_str().unwrap()))
        .collect();
    let expected = [
        ("i", "INTEGER"),
        ("t", "TEXT"),
        ("f", "DOUBLE"),
        ("b", "BOOLEAN"),
        ("d", "DECIMAL(5,2)"),
        ("late", "TEXT"),
    ];
    assert_eq!(columns, expected);
    let answer = store.get("/api/activities/rows?table=a%20b").await;
    let rows = answer.json();
    assert_eq!(rows["next"], Value::Null);
    let mut rows: Vec<_> = rows["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            r#"{"i":-1,"t":null,"f":null,"b":null,"d":null,"late":""}"#,
            r#"{"i":9007199254740993,"t":"é","f":0.1,"b":true,"d":"1.50","late":null}"#,
            r#"{"i":null,"t":null,"f":null,"b":null,"d":null,"late":null}"#,
        ]
    );
}

#[tokio::test]
async fn rows_are_shown_in_pages() {
    let store = TestStore::start().await;
    let all: Vec<_> = (0..25).map(|n| number("t", n)).collect();
    send_and_wait(&store, json!(all)).await;
    let (mut numbers, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.get(&format!("/api/activities/rows?table=t&limit=10{after}")).await.json();
        numbers
            .extend(page["rows"].as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..25).collect::<Vec<_>>());
    // Base64 of a text that is no cursor of any store.
    let foreign = store.get("/api/activities/rows?table=t&after=YWJj").await;
    assert!(matches!(foreign.status, 200 | 400), "{}", foreign.golden());
    store.get("/api/activities/rows?table=none").await.problem(404);
    for query in ["", "table=t&limit=0", "table=t&after=%20", "table=%00"] {
        store.get(&format!("/api/activities/rows?{query}")).await.problem(400);
    }
}

#[tokio::test]
async fn a_table_can_be_dropped() {
    let store = TestStore::start().await;
    send_and_wait(&store, json!([number("t u", 1)])).await;
    let drop = Request::new("DELETE", "/api/activities/tables?table=t%20u");
    store.send(drop.clone()).await.is_text(200, "The table was dropped.");
    assert_eq!(store.get("/api/activities/tables").await.json(), json!([]));
    store.send(drop).await.problem(404);
    store.send(Request::new("DELETE", "/api/activities/tables")).await.problem(400);
    let hostile = json!({ "activities": [number("t u", 2)], "drop_table": "t u" });
    let answer = super::send(&store, hostile.to_string()).await.json();
    assert_eq!(super::ended(&store, &super::id_of(&answer)).await["state"], "applied");
    let rows = store.get("/api/activities/rows?table=t%20u").await.json();
    assert_eq!(rows["rows"], json!([{ "n": 2 }]), "a client's message drops nothing");
    assert_eq!(
        store.send(Request::new("DELETE", "/api/activities/tables?table=t%20u")).await.status,
        200
    );
    let gone = delete("t u", json!(["n"]), json!(["INTEGER"]), json!([1]));
    assert_eq!(send_and_wait(&store, json!([gone])).await["state"], "rejected");
    send_and_wait(&store, json!([insert("t u", json!(["n"]), json!(["TEXT"]), json!(["x"]))]))
        .await;
    let rows = store.get("/api/activities/rows?table=t%20u").await.json();
    assert_eq!(rows["rows"], json!([{ "n": "x" }]));
}
