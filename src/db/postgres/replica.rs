//! A streaming replica: a read goes to it once it has replayed what the caller has seen.
//!
//! Here: positions in the write-ahead log, and the reads. Not here: which reads are sent to a replica
//! ([`crate::db::read_routing`]), and whether it has the same rows ([`super::replica_check`]).

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio_postgres::Error;
use tokio_postgres::types::PgLsn;

use super::batch::{self, Batch, Batcher};
use super::connection::Connector;
use super::error;
use super::overview::{Finder, page};
use super::pool::Pool;
use super::replica_check::compare;
use super::session::{PgSession, Prepared, Sql};
use crate::db::storage::{
    ActContext, Cursor, ErrorKind, Page, ReadToken, Replica, ReplicaCheck, ReplicaReport,
    StorageError,
};
use crate::overview::model::{GameId, Overview};

/// A position past the commits of all transactions that have ended.
const WRITTEN: &str = "SELECT pg_current_wal_insert_lsn()";
/// Null on a server that never was a replica.
const REPLAYED: &str = "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')";
const IS_REPLICA: &str = "SELECT pg_is_in_recovery()";

pub(super) struct PostgresReplica {
    written: Batcher<Lsn>,
    replayed: Batcher<Lsn>,
    /// A position that the replica has reached; it never goes back.
    known: AtomicU64,
    find: Finder,
    pool: Pool,
    /// To the primary and to the replica.
    ends: [Connector; 2],
}

impl PostgresReplica {
    /// A replica that cannot be reached now is used as soon as it can be. `pool` is how many
    /// connections it gets for pages.
    pub(super) async fn open(
        primary: &Connector,
        replica: &Connector,
        pool: usize,
    ) -> Result<Self, StorageError> {
        if let Err(error) = check(replica).await {
            if error.kind() == ErrorKind::Invalid {
                return Err(error);
            }
            tracing::warn!(%error, "reads go to the primary until the replica can be reached");
        }
        Ok(Self {
            written: batch::start(primary, Lsn(WRITTEN)),
            replayed: batch::start(replica, Lsn(REPLAYED)),
            known: AtomicU64::new(0),
            find: Finder::start(replica),
            pool: Pool::new(replica, pool)?,
            ends: [primary.clone(), replica.clone()],
        })
    }

    /// Whether the replica has replayed what the caller has seen.
    async fn has(&self, seen: Option<ReadToken>) -> bool {
        let Some(ReadToken(position)) = seen else { return true };
        if self.known.load(Ordering::Relaxed) >= position {
            return true;
        }
        // Asked before the read, which then sees at least what was replayed by now.
        let Ok(replayed) = self.replayed.submit(ActContext::new(), ()).await else { return false };
        self.known.fetch_max(replayed, Ordering::Relaxed);
        replayed >= position
    }
}

async fn check(replica: &Connector) -> Result<(), StorageError> {
    let failed = |e: Error| error::open_error(replica.redacted(), e);
    let client = replica.connect().await.map_err(|e| error::open_error(replica.redacted(), e))?;
    let is_replica: bool = client.query_typed_one(IS_REPLICA, &[]).await.map_err(failed)?.get(0);
    if is_replica {
        return Ok(());
    }
    let text =
        format!("{} is not a replica; give --replica-url one, or leave it out", replica.redacted());
    Err(StorageError::new(ErrorKind::Invalid, text))
}

#[async_trait]
impl Replica for PostgresReplica {
    async fn read_token(&self) -> Result<ReadToken, StorageError> {
        self.written.submit(ActContext::new(), ()).await.map(ReadToken)
    }

    async fn find(&self, id: GameId, seen: Option<ReadToken>) -> Option<Option<Overview>> {
        if self.has(seen).await { self.find.game(id).await.ok() } else { None }
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        seen: Option<ReadToken>,
    ) -> Option<Page> {
        if self.has(seen).await { page(&self.pool, after, limit).await.ok() } else { None }
    }
}

#[async_trait]
impl ReplicaCheck for PostgresReplica {
    /// Compares once the replica has replayed what the primary has now.
    async fn compare(&self) -> Result<ReplicaReport, StorageError> {
        let [primary, replica] = &self.ends;
        compare(primary, replica).await
    }

    async fn repair(&self) -> Result<ReplicaReport, StorageError> {
        Err(cannot_be_repaired())
    }
}

/// A replica accepts no writes, and what made it differ may be in more than was compared.
pub(in crate::db) fn cannot_be_repaired() -> StorageError {
    let text = "--repair repairs replicas on Cassandra; a PostgreSQL replica that differs must be made \
                again from its primary (pg_basebackup)";
    StorageError::new(ErrorKind::Invalid, text)
}

/// A server's position in the log, the same for all who ask at the time.
struct Lsn(&'static str);

#[async_trait]
impl Batch for Lsn {
    type Request = ();
    type Response = u64;
    type Statements = Prepared;
    const LIMIT: usize = 1_024;

    async fn prepare(&self, client: &PgSession) -> Result<Prepared, Error> {
        client.prepare(Sql { text: self.0, types: &[] }).await
    }

    async fn run(
        &self,
        client: &PgSession,
        statement: &Prepared,
        _requests: &[&()],
        responses: &mut [Option<u64>],
    ) -> Result<(), Error> {
        for row in client.query(statement, &[]).await? {
            let lsn: PgLsn = row.try_get(0)?;
            responses.fill(Some(lsn.into()));
        }
        Ok(())
    }
}
