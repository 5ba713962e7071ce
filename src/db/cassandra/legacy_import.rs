//! Imports the games of the earlier service.
//!
//! It stored each game as one frozen value: table `overview`, type `overview`, in a keyspace that was
//! usually named `overviews`. They are written without conditions at timestamp 0, which is older than
//! every other write: a game that exists in the store, or was removed from it, stays as it is. So the
//! import may be repeated, which also completes one that was interrupted.

use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::statement::prepared::PreparedStatement;
use scylla::{DeserializeRow, DeserializeValue};

use super::act::act_to_end;
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
/// Ranges of tokens, and how many of them are read at once.
const RANGES: i64 = 64;
const CONCURRENCY: usize = 4;
/// Games of one range that are written at once.
const WRITES: usize = 64;
const PAGE: i32 = 1_000;

/// What was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportReport {
    /// Games of the earlier service. The store has a game under each of their ids, unless it was
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

/// Copies every game of the earlier service from its keyspace in the same cluster, and creates the
/// schema where it is missing. Games that the earlier service writes meanwhile may be left out.
///
/// # Errors
/// [`ErrorKind::Invalid`] where the earlier service's table is missing; otherwise what interrupted
/// the import, which may be repeated.
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
    let import = |range| act_to_end(ActContext::new(), Arc::clone(&importer).import(range));
    let ranges =
        stream::iter(token_ranges::parts(RANGES)).map(import).buffer_unordered(CONCURRENCY);
    let games = ranges.try_fold(0, |all, games| ready(Ok(all + games))).await?;
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
        // Not a bind value, but safe: the cluster has listed a keyspace of this name.
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

    /// Imports a range of tokens; returns the number of its games.
    async fn import(self: Arc<Self>, (after, to): (i64, i64)) -> Result<u64, StorageError> {
        let rows = self.cluster.rows::<LegacyRow>(&self.read, (after, to)).await?;
        let write = |row| self.import_one(row);
        let written = rows.map_err(next_row).map_ok(write).try_buffer_unordered(WRITES);
        let games = written.try_fold(0, |games, ()| ready(Ok(games + 1))).await?;
        tracing::debug!(games, after, "imported a range of the earlier service's games");
        Ok(games)
    }

    /// Writes one game, retried as a whole.
    async fn import_one(&self, row: LegacyRow) -> Result<(), StorageError> {
        let game = Overview::from(row);
        self.limiter.run(|| self.write(&game)).await
    }

    async fn write(&self, game: &Overview) -> Result<(), StorageError> {
        // Claimed first: a later bulk load must not take the id for a free one.
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
