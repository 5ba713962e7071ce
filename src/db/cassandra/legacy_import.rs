//! Carrying over the games of the earlier service.
//!
//! It kept each game as one frozen value: table `overview`, type `overview`, in a keyspace that was
//! usually `overviews`.
//! ImportReport games are written plainly with timestamp 0, older than any other: a game that is there
//! already, or was removed, stays as it is. So the whole may be repeated, and goes on where it was
//! interrupted simply by beginning anew.

use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;
use scylla::{DeserializeRow, DeserializeValue};

use super::act::act;
use super::adaptive_limiter::AdaptiveLimiter;
use super::connection::{Cluster, StatementKind};
use super::error::next_row;
use super::overview::id_claims::{ClaimTtl, IdClaims};
use super::overview::row::{self, columns};
use super::{migrate, token_ranges};
use crate::config::database::cassandra::Cassandra;
use crate::db::MigrationPolicy;
use crate::db::storage::{ActContext, ErrorKind, StorageError};
use crate::overview::model::{GameId, Overview};

const LEGACY_TABLE: &str = "overview";
const WRITE: &str = concat!(
    "INSERT INTO $.overviews (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP 0"
);
/// Parts of the ring, and how many of them are read at once.
const RANGES: i64 = 64;
const CONCURRENCY: usize = 4;
/// Games of one part that are written at once.
const WRITES: usize = 64;
const PAGE: i32 = 1_000;

/// What was carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportReport {
    /// Games of the earlier service; each of them has its id in the store now, unless it was
    /// removed from it.
    pub games: u64,
}

/// A row of the earlier service.
#[derive(DeserializeRow)]
struct LegacyRow {
    game_id: i32,
    #[scylla(default_when_null)]
    game: LegacyGame,
}

/// Its frozen value. Later fields were added by hand in some installations.
#[derive(Debug, Default, DeserializeValue)]
struct LegacyGame {
    #[scylla(allow_missing, default_when_null)]
    game_name: String,
    #[scylla(allow_missing, default_when_null)]
    description: String,
    #[scylla(allow_missing, default_when_null)]
    release_date: String,
    #[scylla(allow_missing, default_when_null)]
    developer: String,
    #[scylla(allow_missing, default_when_null)]
    publisher: String,
    #[scylla(allow_missing, default_when_null)]
    tags: Vec<String>,
}

impl From<LegacyRow> for Overview {
    fn from(LegacyRow { game_id, game }: LegacyRow) -> Self {
        let LegacyGame { game_name, description, release_date, developer, publisher, tags } = game;
        let game_id = GameId(game_id);
        Self { game_id, game_name, description, release_date, developer, publisher, tags }
    }
}

/// Copies every game of the earlier service from its keyspace in the same cluster, creating the
/// schema where there is none. Games that the earlier service writes while this runs may be left
/// out.
///
/// # Errors
/// [`ErrorKind::Invalid`] where there is no earlier service's table; otherwise what stopped it, and
/// repeating it goes on.
pub async fn import_legacy(
    settings: &Cassandra,
    legacy_keyspace: &str,
) -> Result<ImportReport, StorageError> {
    let cluster = Cluster::connect(settings).await?;
    let tables = migrate::tables(&cluster, legacy_keyspace).await?;
    if !tables.iter().any(|name| name == LEGACY_TABLE) {
        return Err(no_legacy_table(settings, legacy_keyspace));
    }
    migrate::run(&cluster, MigrationPolicy::Migrate).await?;
    let importer = Arc::new(Importer::open(&cluster, legacy_keyspace).await?);
    let part = |(after, to)| act(ActContext::new(), Arc::clone(&importer).part(after, to));
    let parts = stream::iter(token_ranges::parts(RANGES)).map(part).buffer_unordered(CONCURRENCY);
    let games = parts.try_fold(0, |all, games| ready(Ok(all + games))).await?;
    Ok(ImportReport { games })
}

struct Importer {
    cluster: Arc<Cluster>,
    claims: Arc<IdClaims>,
    limiter: AdaptiveLimiter,
    read: PreparedStatement,
    write: PreparedStatement,
}

impl Importer {
    async fn open(cluster: &Arc<Cluster>, legacy_keyspace: &str) -> Result<Self, StorageError> {
        // It is a name that the cluster knows.
        let text = format!(
            "SELECT game_id, game FROM \"{legacy_keyspace}\".{LEGACY_TABLE} \
             WHERE token(game_id) > ? AND token(game_id) <= ?"
        );
        let mut read = cluster.prepare(&text, StatementKind::Read).await?;
        read.set_page_size(PAGE);
        Ok(Self {
            claims: IdClaims::open(cluster).await?,
            limiter: AdaptiveLimiter::new(),
            write: cluster.prepare(WRITE, StatementKind::Plain).await?,
            cluster: Arc::clone(cluster),
            read,
        })
    }

    /// Carries a part of the ring; how many games it has.
    async fn part(self: Arc<Self>, after: i64, to: i64) -> Result<u64, StorageError> {
        let rows = self.cluster.rows::<LegacyRow>(&self.read, (after, to)).await?;
        let write = |row| self.one(row);
        let written = rows.map_err(next_row).map_ok(write).try_buffer_unordered(WRITES);
        let games = written.try_fold(0, |games, ()| ready(Ok(games + 1))).await?;
        tracing::debug!(games, after, "a part of the earlier service's games is carried over");
        Ok(games)
    }

    /// A later bulk load must not take the id for a free one.
    async fn one(&self, row: LegacyRow) -> Result<(), StorageError> {
        let game = Overview::from(row);
        self.limiter.run(|| self.write(&game)).await
    }

    async fn write(&self, game: &Overview) -> Result<(), StorageError> {
        let id = i64::from(game.game_id.0);
        self.claims.claim(id..id + 1, ClaimTtl::Forever).await?;
        self.cluster.execute(&self.write, row::values(game)).await.map(drop)
    }
}

fn no_legacy_table(settings: &Cassandra, legacy_keyspace: &str) -> StorageError {
    let text = format!(
        "there is no table {legacy_keyspace}.{LEGACY_TABLE} of the earlier service in the cluster at {}: \
         name its keyspace, --from-node-schema=KEYSPACE, or its cluster by --database-url",
        settings.hosts.join(", ")
    );
    StorageError::new(ErrorKind::Invalid, text)
}
