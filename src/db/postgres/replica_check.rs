//! Whether a replica has the rows of its primary: both servers compute digests of ranges of every
//! table, and the digests are compared.
//!
//! Servers may write meanwhile. The primary is read before and after the replica, so that a range
//! that changed in between is told from one that differs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::types::{PgLsn, Type};
use tokio_postgres::{Client, Error};

use super::connection::Connector;
use super::error::{self, Failure};
use crate::db::storage::{ErrorKind, ReplicaReport, StorageError};

/// Tables, their keys and the types of their keys.
const TABLES: [[&str; 3]; 4] = [
    ["overviews", "game_id", "integer"],
    ["cart_users", "user_id", "text"],
    ["cart_items", "item_id", "text"],
    ["cart_orders", "order_id", "text"],
];
/// Rows in a range.
const RANGE: u32 = 10_000;
/// How often a table is read while ranges of it change.
const TRIES: u32 = 5;
/// How long the replica may take to replay what the primary has written.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

const WRITTEN: &str = "SELECT pg_current_wal_flush_lsn()";
const REPLAYED: &str = "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')";

/// Rows and their digest by the number of the range; empty ranges have no entry.
type Digests = BTreeMap<i32, (i64, String)>;

pub(super) async fn compare(
    primary: &Connector,
    replica: &Connector,
) -> Result<ReplicaReport, StorageError> {
    let primary = Server::connect(primary).await?;
    let replica = Server::connect(replica).await?;
    let mut compared = ReplicaReport::default();
    for table in TABLES {
        compare_table(&primary, &replica, table, &mut compared).await?;
    }
    Ok(compared)
}

async fn compare_table(
    primary: &Server<'_>,
    replica: &Server<'_>,
    table: [&str; 3],
    compared: &mut ReplicaReport,
) -> Result<(), StorageError> {
    let bounds = primary.bounds(table).await?;
    let mut ranges = Ranges::default();
    for _ in 0..TRIES {
        let before = primary.digests(table, &bounds).await?;
        wait(primary, replica).await?;
        let found = replica.digests(table, &bounds).await?;
        ranges = Ranges::of(&before, &found, &primary.digests(table, &bounds).await?);
        if ranges.unsettled.is_empty() {
            break;
        }
    }
    compared.ranges += bounds.len() as u64 + 1;
    compared.rows += ranges.rows;
    compared.unsettled += ranges.unsettled.len() as u64;
    compared
        .different
        .extend(ranges.different.iter().map(|number| described(table, &bounds, *number)));
    Ok(())
}

/// What one comparison of all ranges found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ranges {
    rows: u64,
    different: Vec<i32>,
    /// Ranges that changed on the primary while the replica was read, and differ.
    unsettled: Vec<i32>,
}

impl Ranges {
    fn of(before: &Digests, replica: &Digests, after: &Digests) -> Self {
        let rows = replica.values().map(|(rows, _)| rows.cast_unsigned()).sum();
        let mut ranges = Self { rows, ..Self::default() };
        let mut numbers: Vec<_> = before.keys().chain(replica.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let [was, found, is] = [before, replica, after].map(|digests| digests.get(&number));
            if was != is && found != was && found != is {
                ranges.unsettled.push(number);
            } else if found != was && found != is {
                ranges.different.push(number);
            }
        }
        ranges
    }
}

/// A range by its keys, for an operator.
fn described([table, key, _]: [&str; 3], bounds: &[String], number: i32) -> String {
    let bound = |number: i32| usize::try_from(number).ok().and_then(|n| bounds.get(n));
    match (bound(number - 1), bound(number)) {
        (None, None) => table.to_owned(),
        (None, Some(end)) => format!("{table} with {key} before {end}"),
        (Some(begin), None) => format!("{table} with {key} from {begin}"),
        (Some(begin), Some(end)) => format!("{table} with {key} from {begin} to before {end}"),
    }
}

/// One of the two servers.
struct Server<'a> {
    client: Client,
    connector: &'a Connector,
}

impl<'a> Server<'a> {
    async fn connect(connector: &'a Connector) -> Result<Self, StorageError> {
        let failed = |e: Failure| error::open_error(connector.redacted(), e);
        Ok(Self { client: connector.connect().await.map_err(failed)?, connector })
    }

    fn failed(&self) -> impl Fn(Error) -> StorageError {
        |e| error::open_error(self.connector.redacted(), e)
    }

    /// The first keys of all ranges but the first.
    async fn bounds(&self, [table, key, _]: [&str; 3]) -> Result<Vec<String>, StorageError> {
        let sql = format!(
            "SELECT {key}::text FROM \
             (SELECT {key}, row_number() OVER (ORDER BY {key}) AS n FROM {table}) AS rows \
             WHERE n % {RANGE} = 0 ORDER BY {key}"
        );
        let rows = self.client.query_typed(&sql, &[]).await.map_err(self.failed())?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(self.failed())
    }

    /// Digests of all ranges: sums of hashes, because a sum does not depend on the order of rows.
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
        let rows = self
            .client
            .query_typed(&sql, &[(bounds, Type::TEXT_ARRAY)])
            .await
            .map_err(self.failed())?;
        let range =
            |row: &tokio_postgres::Row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
        rows.iter().map(range).collect::<Result<_, _>>().map_err(self.failed())
    }

    async fn position(&self, sql: &str) -> Result<PgLsn, StorageError> {
        let row = self.client.query_typed_one(sql, &[]).await.map_err(self.failed())?;
        row.try_get(0).map_err(self.failed())
    }
}

/// Waits until the replica has replayed what the primary has flushed by now: what lags is not
/// different.
async fn wait(primary: &Server<'_>, replica: &Server<'_>) -> Result<(), StorageError> {
    let (written, begun) = (primary.position(WRITTEN).await?, Instant::now());
    while replica.position(REPLAYED).await? < written {
        if begun.elapsed() > REPLAY_TIMEOUT {
            let redacted = replica.connector.redacted();
            let text = format!("{redacted} has not replayed {written} within {REPLAY_TIMEOUT:?}");
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
    fn only_a_range_that_did_not_change_can_differ() {
        let before = digests(&[(0, "a"), (1, "b"), (2, "c"), (3, "d")]);
        let after = digests(&[(0, "a"), (1, "b2"), (2, "c2"), (3, "d")]);
        let replica = digests(&[(0, "x"), (1, "b2"), (2, "c1"), (4, "e")]);
        let found = Ranges::of(&before, &replica, &after);
        let (different, unsettled) = (vec![0, 3, 4], vec![2]);
        assert_eq!(found, Ranges { rows: 4, different, unsettled });
    }

    #[test]
    fn a_range_is_described_by_its_keys() {
        let (table, bounds) = (TABLES[1], ["b", "d"].map(str::to_owned));
        for (number, name) in [
            (0, "cart_users with user_id before b"),
            (1, "cart_users with user_id from b to before d"),
            (2, "cart_users with user_id from d"),
        ] {
            assert_eq!(described(table, &bounds, number), name);
        }
        assert_eq!(described(table, &[], 0), "cart_users");
    }
}
