//! The journal of bulk loads: the ids that they reserved, the chunks that are stored, and the mark of
//! the demo games. Every change is part of the transaction that stores the rows.

use std::ops::Range;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, GenericClient, Transaction};

use crate::db::common::load_plan::remaining;
use crate::db::storage::{Digest, Load, NewLoad};

const OPEN: &str = "SELECT id, seed, wanted, target FROM storefront_loads WHERE NOT finished";
const RANGES: &str =
    "SELECT first_id, end_id FROM storefront_load_ranges WHERE load = $1 ORDER BY first_id";
const CHUNKS: &str =
    "SELECT first_id, end_id, stored FROM storefront_load_chunks WHERE load = $1 ORDER BY first_id";
const START: &str =
    "INSERT INTO storefront_loads (seed, wanted, target) VALUES ($1, $2, $3) RETURNING id";
const ADD_RANGE: &str =
    "INSERT INTO storefront_load_ranges (load, first_id, end_id) VALUES ($1, $2, $3)";
/// Fails by the primary key if the chunk is stored, and by the foreign key if the load is deleted.
const CLAIM: &str =
    "INSERT INTO storefront_load_chunks (load, first_id, end_id, stored) VALUES ($1, $2, $3, 0)";
const TARGET: &str = "SELECT target FROM storefront_loads WHERE id = $1 AND NOT finished";
const STORED: &str =
    "UPDATE storefront_load_chunks SET stored = $3 WHERE load = $1 AND first_id = $2";
const FINISH: &str = "UPDATE storefront_loads SET finished = true \
                      WHERE id = $1 AND NOT finished RETURNING target";
const DELETE_OPEN: &str = "DELETE FROM storefront_loads WHERE NOT finished; \
                      DELETE FROM storefront_marks WHERE name = 'demo'";
const DEMO: &str = "SELECT value FROM storefront_marks WHERE name = 'demo'";
const SET_DEMO: &str = "INSERT INTO storefront_marks (name, value) VALUES ('demo', $1) \
                        ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value";

/// Where a load's games go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadTarget {
    /// Into the table `overviews`, in addition to what it has.
    Append,
    /// Into a new table that replaces `overviews` at the end.
    Replace,
    /// The same; games that were created meanwhile are copied into it.
    ReplaceMerging,
}

const TARGETS: [(LoadTarget, &str); 3] = [
    (LoadTarget::Append, "append"),
    (LoadTarget::Replace, "replace"),
    (LoadTarget::ReplaceMerging, "replace-merging"),
];

impl LoadTarget {
    fn of(name: &str) -> Self {
        // A CHECK allows no other name.
        TARGETS.iter().find(|(_, known)| *known == name).map_or(Self::Append, |(target, _)| *target)
    }

    fn name(self) -> &'static str {
        TARGETS.iter().find(|(target, _)| *target == self).map_or("append", |(_, name)| *name)
    }
}

fn numbers(values: &[i64]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::INT8)).collect()
}

/// The load that is not finished.
pub(super) async fn open(t: &impl GenericClient) -> Result<Option<(Load, LoadTarget)>, Error> {
    let Some(row) = t.query_typed_opt(OPEN, &[]).await? else { return Ok(None) };
    let (id, seed, rows): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let reserved: Vec<Range<i64>> = t
        .query_typed(RANGES, &numbers(&[id]))
        .await?
        .iter()
        .map(|row| row.get(0)..row.get(1))
        .collect();
    let chunks = t.query_typed(CHUNKS, &numbers(&[id])).await?;
    let done: Vec<Range<i64>> = chunks.iter().map(|row| row.get(0)..row.get(1)).collect();
    let written: i64 = chunks.iter().map(|row| row.get::<_, i64>(2)).sum();
    let load = Load {
        id,
        seed: seed.cast_unsigned(),
        rows: rows.cast_unsigned(),
        written: written.cast_unsigned(),
        pending: remaining(&reserved, &done),
    };
    Ok(Some((load, LoadTarget::of(row.get(3)))))
}

/// Records a new load that has reserved the range.
pub(super) async fn start(
    t: &Transaction<'_>,
    load: NewLoad,
    target: LoadTarget,
    range: Range<i64>,
) -> Result<Load, Error> {
    let NewLoad { seed, rows, .. } = load;
    let values = (seed.cast_signed(), rows.cast_signed(), target.name());
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&values.0, Type::INT8), (&values.1, Type::INT8), (&values.2, Type::TEXT)];
    let id = t.query_typed_one(START, &values).await?.get(0);
    add_range(t, id, &range).await?;
    Ok(Load { id, seed, rows, written: 0, pending: vec![range] })
}

/// Records one more reserved range.
pub(super) async fn add_range(
    t: &Transaction<'_>,
    load: i64,
    range: &Range<i64>,
) -> Result<(), Error> {
    t.execute_typed(ADD_RANGE, &numbers(&[load, range.start, range.end])).await.map(drop)
}

/// Records the chunk as stored and returns where its games go. A second transaction that claims the
/// same chunk waits for the first one's end and then fails, so that no chunk is stored twice.
pub(super) async fn claim(
    t: &Transaction<'_>,
    load: i64,
    range: &Range<i64>,
) -> Result<LoadTarget, Error> {
    t.execute_typed(CLAIM, &numbers(&[load, range.start, range.end])).await?;
    Ok(LoadTarget::of(t.query_typed_one(TARGET, &numbers(&[load])).await?.get(0)))
}

/// Records how many of the chunk's games were stored.
pub(super) async fn stored(
    t: &Transaction<'_>,
    load: i64,
    range: &Range<i64>,
    rows: u64,
) -> Result<(), Error> {
    t.execute_typed(STORED, &numbers(&[load, range.start, rows.cast_signed()])).await.map(drop)
}

/// Closes the load and returns where its games went. Fails if it is closed already.
pub(super) async fn finish(t: &Transaction<'_>, load: i64) -> Result<LoadTarget, Error> {
    Ok(LoadTarget::of(t.query_typed_one(FINISH, &numbers(&[load])).await?.get(0)))
}

/// Deletes an open load and the mark of the demo games.
pub(super) async fn delete_open(t: &Transaction<'_>) -> Result<(), Error> {
    t.batch_execute(DELETE_OPEN).await
}

/// The number of demo games and their checksum as they were installed.
pub(super) async fn demo(t: &Transaction<'_>) -> Result<Option<(u64, String)>, Error> {
    let Some(row) = t.query_typed_opt(DEMO, &[]).await? else { return Ok(None) };
    let mark: &str = row.get(0);
    let split = mark.split_once(' ').and_then(|(rows, sum)| Some((rows.parse().ok()?, sum)));
    Ok(split.map(|(rows, sum)| (rows, sum.to_owned())))
}

/// Records the demo games as they are installed.
pub(super) async fn set_demo(t: &Transaction<'_>, digest: Digest) -> Result<(), Error> {
    let mark = format!("{} {digest}", digest.rows);
    t.execute_typed(SET_DEMO, &[(&mark, Type::TEXT)]).await.map(drop)
}
