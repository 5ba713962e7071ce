//! Deletes by hashes: whatever has its hashes already, a delete finds what a scan finds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const COLUMNS: [(&str, &str); 3] = [("a", "INTEGER"), ("b", "TEXT"), ("c", "DOUBLE")];

/// The values of a row; few, so that deletes find some.
type Values = [Option<i64>; 3];

#[derive(Debug, Clone)]
enum Step {
    Insert(Values),
    /// By the columns that are not none.
    Delete(Values),
    /// Applies what is queued.
    Apply,
    /// Another process goes on.
    Change,
    Prune,
}

fn cells(values: &Values) -> Vec<(&'static str, &'static str, serde_json::Value)> {
    let cells = COLUMNS.iter().zip(values).enumerate();
    let cells = cells.filter_map(|(n, ((name, of), value))| {
        let value = (*value)?;
        let json = match n {
            0 => value.into(),
            1 => format!("text {value}").into(),
            _ => (value as f64 / 2.0).into(),
        };
        Some((*name, *of, json))
    });
    cells.collect()
}

fn values() -> impl Strategy<Value = Values> {
    let value = || proptest::option::weighted(0.7, 0..4_i64);
    [value(), value(), value()].prop_filter("at least one", |v| v.iter().any(Option::is_some))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => values().prop_map(Step::Insert),
        6 => values().prop_map(Step::Delete),
        4 => Just(Step::Apply),
        1 => Just(Step::Change),
        1 => Just(Step::Prune),
    ]
}

/// What is stored, as pairs of values and how often they occur.
fn counted(rows: &[Values]) -> BTreeMap<Values, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(*row).or_default() += 1;
    }
    counts
}

async fn stored(store: &EmbeddedActivities) -> Vec<Values> {
    let mut rows = Vec::new();
    let table = Name::parse("t").unwrap();
    let mut after = None;
    loop {
        let page = store.rows(&table, after, 1_000).await.unwrap().unwrap();
        let places = COLUMNS.map(|(name, _)| {
            page.columns.iter().position(|column| column.as_str() == name).unwrap()
        });
        for row in &page.rows {
            rows.push(places.map(|place| match &row[place] {
                Value::Null => None,
                Value::Integer(value) => Some(*value),
                Value::Text(text) => text.strip_prefix("text ").unwrap().parse().ok(),
                Value::Float(value) => Some((value * 2.0) as i64),
                other => panic!("{other:?}"),
            }));
        }
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

/// Each row has one hash for each set that is full and of whose columns none is null, and no other.
fn hashes_are_right(folder: &Path) {
    let other = other_program(folder);
    let check = |sql: &str| other.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    let has_hashes = "SELECT count(*) FROM sqlite_schema WHERE name = 'activity_hashes_1'";
    if check(has_hashes) == 0 {
        return;
    }
    let orphans = "SELECT count(*) FROM activity_hashes_1 WHERE row NOT IN \
                   (SELECT row FROM activity_rows_1)";
    assert_eq!(check(orphans), 0);
    let sets = "SELECT number, columns FROM activity_column_sets WHERE filled_to >= declared_at";
    let mut sets = other.prepare(sets).unwrap();
    let mut sets = sets.query(()).unwrap();
    while let Some(set) = sets.next().unwrap() {
        let (number, columns): (i64, String) = (set.get(0).unwrap(), set.get(1).unwrap());
        let present: Vec<_> =
            columns.split(',').map(|column| format!("c{column} IS NOT NULL")).collect();
        let rows = format!("SELECT count(*) FROM activity_rows_1 WHERE {}", present.join(" AND "));
        let hashes = format!("SELECT count(*) FROM activity_hashes_1 WHERE column_set = {number}");
        assert_eq!(check(&hashes), check(&rows), "{columns}");
    }
}

async fn run(before: Vec<Values>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let stores = [open(folder.path()), open(folder.path())];
    let mut lease = stores[0].take().await;
    let mut turn = 0;
    let all = [Some(0), Some(0), Some(0)];
    let mut model = before;
    model.push(all);
    let rows: Vec<_> = model.iter().map(|row| insert("t", &cells(row))).collect();
    stores[0].queue(&message(&rows)).await;
    stores[0].drain(lease).await;
    for step in steps.into_iter().chain([Step::Apply]) {
        let store = &stores[turn];
        match step {
            Step::Insert(row) => {
                store.queue(&message(&[insert("t", &cells(&row))])).await;
                model.push(row);
            }
            Step::Delete(by) => {
                store.queue(&message(&[delete("t", &cells(&by))])).await;
                model.retain(|row| by.iter().zip(row).any(|(by, row)| by.is_some() && by != row));
            }
            Step::Apply => prop_assert!(store.drain(lease).await.iter().all(Option::is_none)),
            Step::Change => {
                turn = 1 - turn;
                lease = stores[turn].take().await;
            }
            Step::Prune => {
                store.prune(lease, Duration::ZERO, 10).await.unwrap();
            }
        }
    }
    let found = stored(&stores[turn]).await;
    prop_assert_eq!(counted(&found), counted(&model));
    prop_assert_eq!(stores[turn].tables().await.unwrap()[0].rows, model.len() as u64);
    hashes_are_right(folder.path());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The table is longer than a few slices, so that sets stay partly filled for some steps.
    #[test]
    fn a_delete_removes_what_a_scan_finds(
        before in proptest::collection::vec(values(), 0..400),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(run(before, steps))?;
    }
}

#[tokio::test]
async fn a_large_table_gets_its_hashes_in_slices() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.take().await;
    let row = |n: i64| insert("t", &[("n", "INTEGER", n.into())]);
    let rows: Vec<_> = (0..10_000).map(row).collect();
    store.queue(&message(&rows)).await;
    store.drain(lease).await;
    let other = other_program(folder.path());
    let hashes = || -> (i64, bool) {
        let sql = "SELECT (SELECT count(*) FROM activity_hashes_1), filled_to >= declared_at \
                   FROM activity_column_sets";
        other.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let mut jobs = 0;
    let mut last = 0;
    for n in (0..10_000).rev() {
        store.queue(&message(&[delete("t", &[("n", "INTEGER", n.into())]), row(n + 10_000)])).await;
        store.drain(lease).await;
        jobs += 1;
        let (stored, is_full) = hashes();
        assert!(stored - last <= 101, "a slice at the declaration and one at the end of a job");
        last = stored;
        if is_full {
            break;
        }
    }
    assert!((50..=200).contains(&jobs), "{jobs}");
    assert_eq!(hashes(), (10_000, true));
    assert_eq!(store.tables().await.unwrap()[0].rows, 10_000);
    hashes_are_right(folder.path());
}

#[tokio::test]
async fn columns_beyond_the_eighth_set_are_found_by_a_scan() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = store.take().await;
    let names: Vec<_> = (0..10).map(|n| format!("n{n}")).collect();
    let cell = |n: usize, value: i64| (names[n].as_str(), "INTEGER", value.into());
    let row = |value: i64| insert("t", &(0..10).map(|n| cell(n, value)).collect::<Vec<_>>());
    store.queue(&message(&(0..20).map(row).collect::<Vec<_>>())).await;
    for n in 0..10 {
        store.queue(&message(&[delete("t", &[cell(n, n as i64)]), row(100)])).await;
    }
    store.drain(lease).await;
    assert_eq!(store.tables().await.unwrap()[0].rows, 20);
    let sets = "SELECT count(*) FROM activity_column_sets";
    let other = other_program(folder.path());
    let sets: i64 = other.query_row(sets, (), |row| row.get(0)).unwrap();
    assert_eq!(sets, 8);
    hashes_are_right(folder.path());
}
