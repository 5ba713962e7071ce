//! Whether a replica has what the primary has, by digests of ranges of every table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::types::PgLsn;
use tokio_postgres::{Client, Error};

use super::connection::Connector;
use super::error::{self, Failure};
use crate::db::storage::{ErrorKind, ReplicaReport, StorageError};

/// Tables with their keys and the types of these.
const TABLES: [[&str; 3]; 4] = [
    ["overviews", "game_id", "integer"],
    ["cart_users", "user_id", "text"],
    ["cart_items", "item_id", "text"],
    ["cart_orders", "order_id", "text"],
];
/// Rows in a range.
const RANGE: u32 = 10_000;
/// How often ranges that change meanwhile are looked at.
const TRIES: u32 = 5;
/// How long the replica may take to replay what the primary has written.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

const WRITTEN: &str = "SELECT pg_current_wal_flush_lsn()";
const REPLAYED: &str = "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')";

/// Rows and their digest, by the number of the range; empty ranges are not there.
type Digests = BTreeMap<i32, (i64, String)>;

pub(super) async fn compare(
    primary: &Connector,
    replica: &Connector,
) -> Result<ReplicaReport, StorageError> {
    let here = Side::connect(primary).await?;
    let there = Side::connect(replica).await?;
    let mut compared = ReplicaReport::default();
    for table in TABLES {
        compare_table(&here, &there, table, &mut compared).await?;
    }
    Ok(compared)
}

async fn compare_table(
    here: &Side<'_>,
    there: &Side<'_>,
    table: [&str; 3],
    compared: &mut ReplicaReport,
) -> Result<(), StorageError> {
    let bounds = here.bounds(table).await?;
    let mut ranges = Ranges::default();
    for _ in 0..TRIES {
        let before = here.digests(table, &bounds).await?;
        wait(here, there).await?;
        let copy = there.digests(table, &bounds).await?;
        ranges = Ranges::of(&before, &copy, &here.digests(table, &bounds).await?);
        if ranges.unsettled.is_empty() {
            break;
        }
    }
    compared.ranges += bounds.len() as u64 + 1;
    compared.rows += ranges.rows;
    compared.unsettled += ranges.unsettled.len() as u64;
    compared.different.extend(ranges.different.iter().map(|number| named(table, &bounds, *number)));
    Ok(())
}

/// What a look at all ranges found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ranges {
    rows: u64,
    different: Vec<i32>,
    /// Those that changed on the primary while the replica was looked at, and differ.
    unsettled: Vec<i32>,
}

impl Ranges {
    fn of(before: &Digests, copy: &Digests, after: &Digests) -> Self {
        let rows = copy.values().map(|(rows, _)| rows.cast_unsigned()).sum();
        let mut ranges = Self { rows, ..Self::default() };
        let mut numbers: Vec<_> = before.keys().chain(copy.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let [was, found, is] = [before, copy, after].map(|digests| digests.get(&number));
            if was != is && found != was && found != is {
                ranges.unsettled.push(number);
            } else if found != was && found != is {
                ranges.different.push(number);
            }
        }
        ranges
    }
}

/// A range as a person finds it.
fn named([table, key, _]: [&str; 3], bounds: &[String], number: i32) -> String {
    let bound = |number: i32| usize::try_from(number).ok().and_then(|n| bounds.get(n));
    match (bound(number - 1), bound(number)) {
        (None, None) => table.to_owned(),
        (None, Some(end)) => format!("{table} with {key} before {end}"),
        (Some(begin), None) => format!("{table} with {key} from {begin}"),
        (Some(begin), Some(end)) => format!("{table} with {key} from {begin} to before {end}"),
    }
}

/// One of the two servers.
struct Side<'a> {
    client: Client,
    connector: &'a Connector,
}

impl<'a> Side<'a> {
    async fn connect(connector: &'a Connector) -> Result<Self, StorageError> {
        let failed = |e: Failure| error::at(connector.shown(), e);
        Ok(Self { client: connector.connect().await.map_err(failed)?, connector })
    }

    fn failed(&self) -> impl Fn(Error) -> StorageError {
        |e| error::at(self.connector.shown(), e)
    }

    /// Where ranges begin, but for the first.
    async fn bounds(&self, [table, key, _]: [&str; 3]) -> Result<Vec<String>, StorageError> {
        let sql = format!(
            "SELECT {key}::text FROM \
             (SELECT {key}, row_number() OVER (ORDER BY {key}) AS n FROM {table}) AS rows \
             WHERE n % {RANGE} = 0 ORDER BY {key}"
        );
        let rows = self.client.query(&sql, &[]).await.map_err(self.failed())?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(self.failed())
    }

    /// A sum of hashes does not depend on the order of rows.
    async fn digests(
        &self,
        [table, key, kind]: [&str; 3],
        bounds: &Vec<String>,
    ) -> Result<Digests, StorageError> {
        let sql = format!(
            "SELECT width_bucket({key}, $1::text[]::{kind}[]), count(*), \
                    sum(hashtextextended(t::text, 0)::numeric)::text \
             FROM {table} AS t GROUP BY 1"
        );
        let rows = self.client.query(&sql, &[bounds]).await.map_err(self.failed())?;
        let range =
            |row: &tokio_postgres::Row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
        rows.iter().map(range).collect::<Result<_, _>>().map_err(self.failed())
    }

    async fn position(&self, sql: &str) -> Result<PgLsn, StorageError> {
        let row = self.client.query_one(sql, &[]).await.map_err(self.failed())?;
        row.try_get(0).map_err(self.failed())
    }
}

/// Waits until the replica has replayed what the primary has written by now.
async fn wait(here: &Side<'_>, there: &Side<'_>) -> Result<(), StorageError> {
    let (written, begun) = (here.position(WRITTEN).await?, Instant::now());
    while there.position(REPLAYED).await? < written {
        if begun.elapsed() > PATIENCE {
            let shown = there.connector.shown();
            let text = format!("{shown} has not replayed {written} within {PATIENCE:?}");
            return Err(StorageError::new(ErrorKind::Timeout, text));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(of: &[(i32, &str)]) -> Digests {
        of.iter().map(|(number, digest)| (*number, (1, (*digest).to_owned()))).collect()
    }

    #[test]
    fn only_what_stands_still_can_differ() {
        let before = digests(&[(0, "a"), (1, "b"), (2, "c"), (3, "d")]);
        let after = digests(&[(0, "a"), (1, "b2"), (2, "c2"), (3, "d")]);
        let copy = digests(&[(0, "x"), (1, "b2"), (2, "c1"), (4, "e")]);
        let found = Ranges::of(&before, &copy, &after);
        let (different, unsettled) = (vec![0, 3, 4], vec![2]);
        assert_eq!(found, Ranges { rows: 4, different, unsettled });
    }

    #[test]
    fn a_range_is_named_by_its_keys() {
        let (table, bounds) = (TABLES[1], ["b", "d"].map(str::to_owned));
        for (number, name) in [
            (0, "cart_users with user_id before b"),
            (1, "cart_users with user_id from b to before d"),
            (2, "cart_users with user_id from d"),
        ] {
            assert_eq!(named(table, &bounds, number), name);
        }
        assert_eq!(named(table, &[], 0), "cart_users");
    }
}
