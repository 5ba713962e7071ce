//! Keys of requests: a key is claimed at the beginning of the transaction of its request, and recorded at
//! its end with what the request made.
//!
//! A claim takes the key's advisory lock first. A second request under the key waits for the end of
//! the first: a call of the cart in the database, a batch by trying again, so that it delays no others. So
//! no batch ever waits for a key. A refused request records nothing.
//!
//! Here: claims of a batch, and writes of several statements. A write of the cart that is one statement
//! does the same in one round trip, by `storefront_once` of the schema.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::{join, join3};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::pool::{Pool, with_client};
use super::session::{PgSession, Sql, Values};
use crate::db::storage::{ActContext, IdempotencyKey, Recorded, StorageError};

/// Returns those keys that are the transaction's own now: not those that another transaction has. The
/// first number of the lock is that of `storefront_once`.
const LOCK: Sql<'_> = Sql {
    text: "SELECT key FROM unnest($1::text[]) AS given (key) \
           WHERE pg_try_advisory_xact_lock(1937010546, hashtext(key))",
    types: &[Type::TEXT_ARRAY],
};
/// A statement of its own, behind the lock: it sees what the transaction before has committed.
const FIND: Sql<'_> = Sql {
    text: "SELECT key, fingerprint, record FROM storefront_idempotency_keys \
           WHERE key = ANY($1) AND expires_at > now()",
    types: &[Type::TEXT_ARRAY],
};
/// A key that is there has expired.
const RECORD: Sql<'_> = Sql {
    text: "INSERT INTO storefront_idempotency_keys AS k (key, fingerprint, record, expires_at) \
           SELECT key, fingerprint, record, now() + kept_for * interval '1 millisecond' \
           FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[]) \
                AS given (key, fingerprint, record, kept_for) \
           ORDER BY key COLLATE \"C\" \
           ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, \
               record = excluded.record, expires_at = excluded.expires_at",
    types: &[Type::TEXT_ARRAY, Type::BYTEA_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY],
};
/// Rows that another server is removing are passed over.
const PRUNE: Sql<'_> = Sql {
    text: "DELETE FROM storefront_idempotency_keys WHERE key IN ( \
             SELECT key FROM storefront_idempotency_keys WHERE expires_at <= now() \
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
    types: &[Type::INT8],
};
/// Expired keys that one statement removes.
const PRUNED_AT_ONCE: i64 = 1_000;
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// Before a key is tried again that another request has claimed.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What a key tells of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is new, or there is no key: to be carried out.
    New,
    /// It was carried out before, and made this.
    Recorded(String),
    /// Another request had the key.
    Reused,
    /// A request that has not ended has it, of this batch or of another transaction: to be tried again.
    Busy,
}

/// A fingerprint and what was made, by key.
type Known = HashMap<String, (Vec<u8>, String)>;

/// Begins a transaction and claims the keys of a batch, all of it in one round trip.
pub(super) async fn begin_and_claim(
    client: &PgSession,
    keys: &[Option<&IdempotencyKey>],
) -> Result<Vec<Claim>, Error> {
    let texts: Vec<&str> = keys.iter().flatten().map(|key| key.text()).collect();
    if texts.is_empty() {
        client.begin().await?;
        return Ok(keys.iter().map(|_| Claim::New).collect());
    }
    let (lock, find) = (client.prepare_cached(LOCK).await?, client.prepare_cached(FIND).await?);
    let values: Values<'_> = &[&texts];
    let (begun, locked, known) =
        join3(client.begin(), client.query(&lock, values), client.query(&find, values)).await;
    begun?;
    let locked: HashSet<String> =
        locked?.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let known = known?.iter().map(known_row).collect::<Result<Known, _>>()?;
    let mut first = HashSet::new();
    let claims = keys.iter().copied().map(|key| {
        let Some(key) = key else { return Claim::New };
        match known.get(key.text()) {
            Some((fingerprint, _)) if *fingerprint != key.fingerprint() => Claim::Reused,
            Some((_, record)) => Claim::Recorded(record.clone()),
            None if locked.contains(key.text()) && first.insert(key.text()) => Claim::New,
            None => Claim::Busy,
        }
    });
    Ok(claims.collect())
}

fn known_row(row: &Row) -> Result<(String, (Vec<u8>, String)), Error> {
    Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))
}

/// Records what the requests of claimed keys made, and commits. Without a record a key is free again.
pub(super) async fn record_and_commit(
    client: &PgSession,
    records: Vec<(&IdempotencyKey, String)>,
) -> Result<(), Error> {
    if records.is_empty() {
        return client.commit().await;
    }
    let texts: Vec<&str> = records.iter().map(|(key, _)| key.text()).collect();
    let fingerprints: Vec<_> = records.iter().map(|(key, _)| key.fingerprint()).collect();
    let fingerprints: Vec<&[u8]> = fingerprints.iter().map(<[u8; 16]>::as_slice).collect();
    let kept_for: Vec<i64> = records.iter().map(|(key, _)| milliseconds(key.kept_for())).collect();
    let made: Vec<&str> = records.iter().map(|(_, record)| record.as_str()).collect();
    let statement = client.prepare_cached(RECORD).await?;
    // Both are sent at once: if the first fails, the server rolls back at the second.
    let values: Values<'_> = &[&texts, &fingerprints, &made, &kept_for];
    let (recorded, committed) = join(client.execute(&statement, values), client.commit()).await;
    recorded?;
    committed
}

/// Runs the statements of one write in a transaction, once for its key. On an error nothing was changed,
/// unless the connection broke.
pub(super) async fn once<T: Recorded>(
    client: &PgSession,
    key: Option<&IdempotencyKey>,
    statements: impl AsyncFnOnce(&PgSession) -> Result<T, Error>,
) -> Result<T, Error> {
    let outcome = try_once(client, key, statements).await;
    client.roll_back().await?;
    outcome
}

async fn try_once<T: Recorded>(
    client: &PgSession,
    key: Option<&IdempotencyKey>,
    statements: impl AsyncFnOnce(&PgSession) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let replayed = match (begin_and_claim(client, &[key]).await?.pop(), key) {
            (Some(Claim::Recorded(record)), Some(key)) => Some(replay(key, &record)),
            (Some(Claim::Reused), _) => Some(T::key_reused()),
            (Some(Claim::Busy), _) => None,
            _ => {
                let outcome = statements(client).await?;
                // A refusal by the database has taken the transaction back, and the key with it.
                if !client.is_open() {
                    return Ok(outcome);
                }
                let records = key.zip(outcome.record());
                record_and_commit(client, records.into_iter().collect()).await?;
                return Ok(outcome);
            }
        };
        client.roll_back().await?;
        if let Some(outcome) = replayed {
            return Ok(outcome);
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}

/// The outcome of a repeat. A record that this build cannot read is that of another request.
fn replay<T: Recorded>(key: &IdempotencyKey, record: &str) -> T {
    T::replay(record).inspect(|_| key.set_replayed()).unwrap_or_else(T::key_reused)
}

/// The outcome that is stored under a key.
pub(super) async fn find_outcome<T: Recorded + Send + 'static>(
    pool: &Pool,
    key: &IdempotencyKey,
) -> Result<Option<T>, StorageError> {
    let key = key.clone();
    with_client(pool, ActContext::new(), move |client| async move {
        let find = client.prepare_cached(FIND).await?;
        let row = client.query_opt(&find, &[&[key.text()].as_slice()]).await?;
        let Some((_, (fingerprint, record))) = row.as_ref().map(known_row).transpose()? else {
            return Ok(None);
        };
        if fingerprint != key.fingerprint() {
            return Ok(Some(T::key_reused()));
        }
        Ok(Some(replay(&key, &record)))
    })
    .await
}

/// Removes expired keys for ever, a bounded number by each statement.
pub(super) async fn prune(pool: &Pool) {
    loop {
        match prune_some(pool).await {
            Ok(PRUNED_AT_ONCE..) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot remove expired idempotency keys"),
        }
        tokio::time::sleep(PRUNE_INTERVAL).await;
    }
}

async fn prune_some(pool: &Pool) -> Result<i64, StorageError> {
    with_client(pool, ActContext::new(), |client| async move {
        let statement = client.prepare_cached(PRUNE).await?;
        let removed = client.execute(&statement, &[&PRUNED_AT_ONCE]).await?;
        Ok(removed.cast_signed())
    })
    .await
}

/// As the database takes a time.
pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
