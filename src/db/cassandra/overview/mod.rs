//! The game pages in Cassandra.
//!
//! In this module: the storage trait over the table `overviews`, the assignment of ids
//! ([`id_batcher`]), the claims of ids that keep creates and bulk loads apart ([`id_claims`]) and the
//! table's rows ([`row`]). Not here: loads and the counter of ids ([`super::loads`],
//! [`super::metadata`]).
//!
//! Clients write by LWT only. Pages are in the order of the ids' tokens, which is not ascending but
//! fixed: a game keeps its place as long as it exists.

mod id_batcher;
pub(super) mod id_claims;
pub(super) mod row;

use std::sync::Arc;

use async_trait::async_trait;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use tokio::time::Instant;

use self::id_batcher::IdBatcher;
use self::id_claims::{ClaimTtl, IdClaims};
use self::row::columns;
use crate::db::cassandra::act::act;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::MetadataTable;
use crate::db::cassandra::query_result::optional_row;
use crate::db::common::id_search::{IdSearch, TRIES_BEFORE_SEARCH};
use crate::db::common::page;
use crate::db::storage::{
    ActContext, Create, Cursor, ErrorKind, OverviewStore, Page, ReadToken, Remove, StorageError,
    Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};
use crate::telemetry::Registry;

const AFTER: &str =
    concat!("SELECT ", columns!(), " FROM $.overviews WHERE token(game_id) > token(?) LIMIT ?");
const EXISTS: &str = "SELECT game_id FROM $.overviews WHERE game_id = ?";
// An update is an insert in CQL, so that without its condition it would restore a removed game.
const UPDATE: &str = "UPDATE $.overviews SET game_name = ?, description = ?, release_date = ?, \
                      developer = ?, publisher = ?, tags = ? WHERE game_id = ? IF EXISTS";
const REMOVE: &str = "DELETE FROM $.overviews WHERE game_id = ? IF EXISTS";

pub(super) struct CassandraOverviews {
    games: Arc<Games>,
}

/// What the task of a write needs.
struct Games {
    cluster: Arc<Cluster>,
    metadata: Arc<MetadataTable>,
    claims: Arc<IdClaims>,
    ids: IdBatcher,
    find: PreparedStatement,
    find_serial: PreparedStatement,
    first: PreparedStatement,
    after: PreparedStatement,
    exists: PreparedStatement,
    insert: PreparedStatement,
    update: PreparedStatement,
    remove: PreparedStatement,
}

impl CassandraOverviews {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metadata: &Arc<MetadataTable>,
        claims: &Arc<IdClaims>,
        registry: &Registry,
    ) -> Result<Self, StorageError> {
        let games = Games {
            cluster: Arc::clone(cluster),
            metadata: Arc::clone(metadata),
            claims: Arc::clone(claims),
            ids: IdBatcher::start(Arc::clone(metadata), Arc::clone(claims), registry),
            find: cluster.prepare(row::FIND, StatementKind::Read).await?,
            find_serial: cluster.prepare(row::FIND, StatementKind::SerialRead).await?,
            first: cluster.prepare(row::FIRST, StatementKind::Read).await?,
            after: cluster.prepare(AFTER, StatementKind::Read).await?,
            exists: cluster.prepare(EXISTS, StatementKind::Read).await?,
            insert: cluster.prepare(row::INSERT, StatementKind::Conditional).await?,
            update: cluster.prepare(UPDATE, StatementKind::Conditional).await?,
            remove: cluster.prepare(REMOVE, StatementKind::Conditional).await?,
        };
        Ok(Self { games: Arc::new(games) })
    }
}

#[async_trait]
impl OverviewStore for CassandraOverviews {
    async fn find(
        &self,
        id: GameId,
        _seen: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        row::one(self.games.cluster.execute(&self.games.find, (id.0,)).await?)
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        _seen: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        let games = self.games.read_after(after, limit.saturating_add(1)).await?;
        Ok(page::cut(games, after, limit))
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        let games = Arc::clone(&self.games);
        act(context.clone(), async move { games.create(&context, game).await }).await
    }

    async fn update(
        &self,
        context: ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        let games = Arc::clone(&self.games);
        let found = act(context, async move { games.update(id, changes).await }).await?;
        Ok(if found { Update::Updated } else { Update::Missing })
    }

    async fn remove(&self, context: ActContext, id: GameId) -> Result<Remove, StorageError> {
        let games = Arc::clone(&self.games);
        let remove = async move { applied(games.cluster.execute(&games.remove, (id.0,)).await?) };
        let found = act(context, remove).await?;
        Ok(if found { Remove::Removed } else { Remove::Missing })
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.games.exists(1).await.map(drop)
    }
}

impl Games {
    async fn read_after(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<Overview>, StorageError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let result = match after {
            Some(Cursor(id)) => self.cluster.execute(&self.after, (id.0, limit)).await?,
            None => self.cluster.execute(&self.first, (limit,)).await?,
        };
        row::all(result)
    }

    async fn exists(&self, id: i32) -> Result<bool, StorageError> {
        let found = self.cluster.execute(&self.exists, (id,)).await?;
        Ok(optional_row::<(i32,)>(found)?.is_some())
    }

    async fn create(&self, context: &ActContext, new: NewOverview) -> Result<Create, StorageError> {
        let chosen = new.game_id;
        let mut game = with_id(chosen.unwrap_or(GameId(0)), new);
        let Some(id) = chosen else { return self.create_under_next_id(context, &mut game).await };
        // The claim precedes the game: see `id_claims`.
        let ids = i64::from(id.0)..i64::from(id.0) + 1;
        self.claims.claim(ids, ClaimTtl::Forever).await.map_err(not_stored)?;
        let inserted = self.insert(&game, context.deadline()).await?;
        Ok(if inserted { Create::Created(id) } else { Create::Taken })
    }

    /// Retries under the next id where one is taken; the queue of the ids ends it at the deadline.
    async fn create_under_next_id(
        &self,
        context: &ActContext,
        game: &mut Overview,
    ) -> Result<Create, StorageError> {
        for tried in 1.. {
            let id = self.ids.next(context.clone()).await.map_err(not_stored)?;
            let Some(id) = id else { break };
            game.game_id = GameId(id);
            if self.insert(game, context.deadline()).await? {
                return Ok(Create::Created(game.game_id));
            }
            if tried % TRIES_BEFORE_SEARCH == 0 {
                self.pass_taken_ids(id).await?;
            }
        }
        Ok(Create::Exhausted)
    }

    /// Moves the counter behind the run of taken ids that begins at this one.
    async fn pass_taken_ids(&self, taken: i32) -> Result<(), StorageError> {
        let mut search = IdSearch::after(taken);
        while let Some(id) = search.probe() {
            search.record(id, self.exists(id).await?);
        }
        self.metadata.advance_counter(search.next_free_id()).await
    }

    /// Whether the game was stored under its id. After a timeout a SERIAL read tells the outcome: it
    /// completes or discards an LWT that is in progress, so a game that it does not see is not
    /// stored later either, and the insert may be retried until the deadline.
    async fn insert(&self, game: &Overview, deadline: Instant) -> Result<bool, StorageError> {
        loop {
            let inserted = self.cluster.execute(&self.insert, row::values(game)).await;
            let unknown = match inserted {
                Err(error) if error.kind() == ErrorKind::Timeout => error,
                result => return applied(result?),
            };
            let found = self.cluster.execute(&self.find_serial, (game.game_id.0,)).await;
            let Ok(found) = found else { return Err(unknown) };
            match row::one(found)? {
                // This insert's, or an equal game of another client: still unknown.
                Some(found) if found == *game => return Err(unknown),
                Some(_) => return Ok(false),
                None if Instant::now() >= deadline => return Err(not_stored(unknown)),
                None => {}
            }
        }
    }

    async fn update(&self, id: GameId, changes: Changes) -> Result<bool, StorageError> {
        if changes == Changes::default() {
            return self.exists(id.0).await;
        }
        let Changes { game_name, description, release_date, developer, publisher, tags } = changes;
        let values = (
            MaybeUnset::from_option(game_name),
            MaybeUnset::from_option(description),
            MaybeUnset::from_option(release_date),
            MaybeUnset::from_option(developer),
            MaybeUnset::from_option(publisher),
            MaybeUnset::from_option(tags),
            id.0,
        );
        applied(self.cluster.execute(&self.update, values).await?)
    }
}

/// The game with its id.
fn with_id(game_id: GameId, new: NewOverview) -> Overview {
    let NewOverview { game_name, description, release_date, developer, publisher, tags, .. } = new;
    Overview { game_id, game_name, description, release_date, developer, publisher, tags }
}

/// A failure before or without the write of the game: its outcome is known, so it is no timeout.
fn not_stored(error: StorageError) -> StorageError {
    let kind =
        if error.kind() == ErrorKind::Timeout { ErrorKind::Unavailable } else { error.kind() };
    StorageError::with_source(kind, "the game was not stored", error)
}
