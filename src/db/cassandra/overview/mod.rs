//! The game pages in Cassandra.
//!
//! Pages are in the order of the tokens of the ids, which looks like no order at all but is fixed:
//! a game keeps its place as long as it exists.

mod id_batcher;
pub(super) mod id_claims;
pub(super) mod row;

use std::sync::Arc;

use async_trait::async_trait;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;

use self::id_batcher::{IdBatcher, next_free_id};
use self::id_claims::{ClaimTtl, IdClaims};
use self::row::columns;
use crate::db::cassandra::act::act;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::metadata::MetadataTable;
use crate::db::storage::{
    ActContext, Create, Cursor, ErrorKind, OverviewStore, Page, ReadToken, Remove, StorageError,
    Update,
};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

const FIND: &str = concat!("SELECT ", columns!(), " FROM $.overviews WHERE game_id = ?");
const FIRST: &str = concat!("SELECT ", columns!(), " FROM $.overviews LIMIT ?");
const AFTER: &str =
    concat!("SELECT ", columns!(), " FROM $.overviews WHERE token(game_id) > token(?) LIMIT ?");
const EXISTS: &str = "SELECT game_id FROM $.overviews WHERE game_id = ?";
const UPDATE: &str = "UPDATE $.overviews SET game_name = ?, description = ?, release_date = ?, \
                      developer = ?, publisher = ?, tags = ? WHERE game_id = ? IF EXISTS";
const REMOVE: &str = "DELETE FROM $.overviews WHERE game_id = ? IF EXISTS";

/// Taken ids in a row that are tried one by one.
const TRIES_BEFORE_SEARCH: u32 = 32;
/// How often an insert whose outcome was unknown, and which turned out not to have happened, is
/// tried again.
const ATTEMPTS: usize = 3;

pub(super) struct CassandraOverviews {
    games: Arc<Games>,
}

/// What a task needs to run an act.
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
    ) -> Result<Self, StorageError> {
        let games = Games {
            cluster: Arc::clone(cluster),
            metadata: Arc::clone(metadata),
            claims: Arc::clone(claims),
            ids: IdBatcher::start(Arc::clone(metadata), Arc::clone(claims)),
            find: cluster.prepare(FIND, StatementKind::Read).await?,
            find_serial: cluster.prepare(FIND, StatementKind::SerialRead).await?,
            first: cluster.prepare(FIRST, StatementKind::Read).await?,
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
        _token: Option<ReadToken>,
    ) -> Result<Option<Overview>, StorageError> {
        row::one(self.games.cluster.execute(&self.games.find, (id.0,)).await?)
    }

    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        _token: Option<ReadToken>,
    ) -> Result<Page, StorageError> {
        let mut games = self.games.page(after, limit.saturating_add(1)).await?;
        let more = games.len() > limit as usize;
        games.truncate(limit as usize);
        let last = games.last().map(|game| Cursor(game.game_id)).or(after);
        Ok(Page { games, next: last.filter(|_| more) })
    }

    async fn create(&self, context: ActContext, game: NewOverview) -> Result<Create, StorageError> {
        let games = Arc::clone(&self.games);
        act(context, async move { games.create(game).await }).await
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
        let removed =
            act(
                context,
                async move { applied(games.cluster.execute(&games.remove, (id.0,)).await?) },
            );
        Ok(if removed.await? { Remove::Removed } else { Remove::Missing })
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.games.exists(1).await.map(drop)
    }
}

impl Games {
    async fn page(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<Overview>, StorageError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let result = match after {
            Some(Cursor(id)) => self.cluster.execute(&self.after, (id.0, limit)).await?,
            None => self.cluster.execute(&self.first, (limit,)).await?,
        };
        row::all(result)
    }

    async fn exists(&self, id: i32) -> Result<bool, StorageError> {
        let result = self.cluster.execute(&self.exists, (id,)).await?;
        Ok(result.into_rows_result().map_err(crate::db::cassandra::error::shape)?.rows_num() > 0)
    }

    async fn create(&self, new: NewOverview) -> Result<Create, StorageError> {
        let wanted = new.game_id;
        let mut game = with_id(wanted.unwrap_or(GameId(0)), new);
        let Some(id) = wanted else { return self.create_under_next(&mut game).await };
        let ids = i64::from(id.0)..i64::from(id.0) + 1;
        self.claims.claim(ids, ClaimTtl::Forever).await.map_err(nothing_stored)?;
        Ok(if self.insert(&game).await? { Create::Created(id) } else { Create::Taken })
    }

    async fn create_under_next(&self, game: &mut Overview) -> Result<Create, StorageError> {
        for tried in 1.. {
            let Some(id) = self.ids.next().await? else { break };
            game.game_id = GameId(id);
            if self.insert(game).await? {
                return Ok(Create::Created(game.game_id));
            }
            if tried % TRIES_BEFORE_SEARCH == 0 {
                let free = next_free_id(id, |id| self.exists(id)).await?;
                self.metadata.advance_counter(free).await?;
            }
        }
        Ok(Create::Exhausted)
    }

    /// Whether the game could be stored under its id. An unknown outcome is cleared up where that
    /// is possible: what a serial read does not see has not happened and will not.
    async fn insert(&self, game: &Overview) -> Result<bool, StorageError> {
        for _ in 1..ATTEMPTS {
            match self.cluster.execute(&self.insert, row::values(game)).await {
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    let id = (game.game_id.0,);
                    let found = self.cluster.execute(&self.find_serial, id).await?;
                    match row::one(found)? {
                        None => {}
                        // Ours, or the same game by somebody else.
                        Some(found) if found == *game => return Err(error),
                        Some(_) => return Ok(false),
                    }
                }
                result => return applied(result?),
            }
        }
        applied(self.cluster.execute(&self.insert, row::values(game)).await?)
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

/// The game under an id.
fn with_id(game_id: GameId, new: NewOverview) -> Overview {
    let NewOverview { game_name, description, release_date, developer, publisher, tags, .. } = new;
    Overview { game_id, game_name, description, release_date, developer, publisher, tags }
}

/// The failure of what comes before an act, which has therefore not happened.
fn nothing_stored(error: StorageError) -> StorageError {
    let kind =
        if error.kind() == ErrorKind::Timeout { ErrorKind::Unavailable } else { error.kind() };
    StorageError::with_source(kind, "the id could not be noted", error)
}
