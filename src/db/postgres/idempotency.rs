//! Keys of requests: a key is claimed at the beginning of the transaction of its request, and what the
//! request made is recorded at its end.
//!
//! The row of a claimed key makes a second request under the key, on any server, wait for the end of the
//! first. Keys are locked before all other rows, those of a batch in ascending order, so that no two
//! transactions wait for each other. A refused request gives its key back.
//!
//! Here: claims of a batch, and writes of several statements. A write of the cart that is one statement
//! does the same in one round trip, by `storefront_once` of the schema.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::join;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::pool::{Pool, with_client};
use super::session::{PgSession, Sql, Values};
use crate::db::storage::{ActContext, IdempotencyKey, Recorded, StorageError};

/// Returns those keys that are the transaction's own now. A key that has expired counts as new.
const CLAIM: Sql<'_> = Sql {
    text: "INSERT INTO storefront_idempotency_keys AS k (key, fingerprint, expires_at) \
           SELECT key, fingerprint, now() + kept_for * interval '1 millisecond' \
           FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS given (key, fingerprint, kept_for) \
           ORDER BY key COLLATE \"C\" \
           ON CONFLICT (key) DO UPDATE \
           SET fingerprint = excluded.fingerprint, record = NULL, expires_at = excluded.expires_at \
           WHERE k.expires_at <= now() RETURNING key",
    types: &[Type::TEXT_ARRAY, Type::BYTEA_ARRAY, Type::INT8_ARRAY],
};
/// A statement of its own, which sees what was committed while the claim waited.
const FIND: Sql<'_> = Sql {
    text: "SELECT key, fingerprint, record FROM storefront_idempotency_keys \
           WHERE key = ANY($1) AND expires_at > now() AND record IS NOT NULL",
    types: &[Type::TEXT_ARRAY],
};
/// A null record gives the key back.
const RECORD: Sql<'_> = Sql {
    text: "WITH given AS MATERIALIZED ( \
             SELECT * FROM unnest($1::text[], $2::text[]) AS given (key, record) \
           ), recorded AS ( \
             UPDATE storefront_idempotency_keys AS k SET record = given.record \
             FROM given WHERE k.key = given.key AND given.record IS NOT NULL \
           ) DELETE FROM storefront_idempotency_keys AS k USING given \
             WHERE k.key = given.key AND given.record IS NULL",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
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

/// What a key tells of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is new, or there is no key: to be carried out.
    New,
    /// It was carried out before, and made this.
    Recorded(String),
    /// Another request had the key.
    Reused,
    /// Another request of this batch has it, or one that has just given it back: to be tried again.
    Busy,
}

/// Claims the keys of a batch, in a transaction that has just begun.
pub(super) async fn claim(
    client: &PgSession,
    keys: &[Option<&IdempotencyKey>],
) -> Result<Vec<Claim>, Error> {
    let mut given = HashSet::new();
    let first: Vec<bool> =
        keys.iter().map(|key| key.is_some_and(|key| given.insert(key.text()))).collect();
    let wanted: Vec<&IdempotencyKey> =
        keys.iter().zip(&first).filter(|(_, first)| **first).filter_map(|(key, _)| *key).collect();
    let own = claim_new(client, &wanted).await?;
    let others: Vec<&str> =
        wanted.iter().map(|key| key.text()).filter(|key| !own.contains(*key)).collect();
    let known = if others.is_empty() { HashMap::new() } else { find(client, &others).await? };
    let claim = |(key, first): (&Option<&IdempotencyKey>, &bool)| match key {
        None => Claim::New,
        Some(key) if own.contains(key.text()) => {
            if *first {
                Claim::New
            } else {
                Claim::Busy
            }
        }
        Some(key) => match known.get(key.text()) {
            None => Claim::Busy,
            Some((fingerprint, _)) if *fingerprint != key.fingerprint() => Claim::Reused,
            Some((_, record)) => Claim::Recorded(record.clone()),
        },
    };
    Ok(keys.iter().zip(&first).map(claim).collect())
}

async fn claim_new(client: &PgSession, keys: &[&IdempotencyKey]) -> Result<HashSet<String>, Error> {
    let texts: Vec<&str> = keys.iter().map(|key| key.text()).collect();
    let fingerprints: Vec<_> = keys.iter().map(|key| key.fingerprint()).collect();
    let fingerprints: Vec<&[u8]> = fingerprints.iter().map(<[u8; 16]>::as_slice).collect();
    let kept_for: Vec<i64> = keys.iter().map(|key| milliseconds(key.kept_for())).collect();
    let statement = client.prepare_cached(CLAIM).await?;
    let rows = client.query(&statement, &[&texts, &fingerprints, &kept_for]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn find(
    client: &PgSession,
    keys: &[&str],
) -> Result<HashMap<String, (Vec<u8>, String)>, Error> {
    let statement = client.prepare_cached(FIND).await?;
    let rows = client.query(&statement, &[&keys]).await?;
    let known =
        |row: &tokio_postgres::Row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
    rows.iter().map(known).collect()
}

/// Records what the requests of claimed keys made, and commits. A key without a record is given back.
pub(super) async fn record_and_commit(
    client: &PgSession,
    records: Vec<(&IdempotencyKey, Option<String>)>,
) -> Result<(), Error> {
    let (keys, records): (Vec<&str>, Vec<Option<String>>) =
        records.into_iter().map(|(key, record)| (key.text(), record)).unzip();
    if keys.is_empty() {
        return client.commit().await;
    }
    let statement = client.prepare_cached(RECORD).await?;
    // Both are sent at once: if the first fails, the server rolls back at the second.
    let values: Values<'_> = &[&keys, &records];
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
        client.begin().await?;
        let replayed = match (claim(client, &[key]).await?.pop(), key) {
            (Some(Claim::Recorded(record)), Some(key)) => {
                key.set_replayed();
                T::replay(&record)
            }
            (Some(Claim::Reused), _) => Some(T::key_reused()),
            (Some(Claim::Busy), _) => None,
            _ => {
                let outcome = statements(client).await?;
                let records = key.into_iter().map(|key| (key, outcome.record()));
                record_and_commit(client, records.collect()).await?;
                return Ok(outcome);
            }
        };
        client.roll_back().await?;
        if let Some(outcome) = replayed {
            return Ok(outcome);
        }
    }
}

/// The outcome that is stored under a key.
pub(super) async fn find_outcome<T: Recorded + Send + 'static>(
    pool: &Pool,
    key: &IdempotencyKey,
) -> Result<Option<T>, StorageError> {
    let key = key.clone();
    with_client(pool, ActContext::new(), move |client| async move {
        let known = find(&client, &[key.text()]).await?.remove(key.text());
        let Some((fingerprint, record)) = known else { return Ok(None) };
        if fingerprint != key.fingerprint() {
            return Ok(Some(T::key_reused()));
        }
        key.set_replayed();
        Ok(T::replay(&record))
    })
    .await
}

/// Removes expired keys for ever, a bounded number by each statement.
pub(super) async fn prune(pool: &Pool) {
    loop {
        match prune_some(pool).await {
            Ok(PRUNED_AT_ONCE..) => continue,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot remove expired idempotency keys"),
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
