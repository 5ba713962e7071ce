//! Changes and removals of games: as they are, under a precondition, and once for each idempotency key.
//!
//! A precondition is tested on the game as it was read, and the LWT applies only if every column is
//! still as it was read. For a removal, and for a change under a precondition, a key is claimed only
//! if the game was there and met the precondition: a repeat that finds the claim unfinished and the
//! game as the request makes it takes the request for done.

use std::sync::Arc;
use std::time::Duration;

use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use tokio::time::Instant;

use super::Games;
use super::row::Row;
use crate::db::cassandra::connection::{Cluster, StatementKind};
use crate::db::cassandra::idempotency::{Claim, IdempotencyKeys};
use crate::db::cassandra::lwt::applied;
use crate::db::cassandra::query_result::optional_row;
use crate::db::common::retry::Backoff;
use crate::db::storage::{ActContext, ErrorKind, Precondition, Remove, StorageError, Update};
use crate::overview::model::{Changes, GameId, Overview};

/// An update is an insert in CQL, so that without a condition it would restore a removed game.
macro_rules! update {
    () => {
        "UPDATE $.overviews SET game_name = ?, description = ?, release_date = ?, developer = ?, \
         publisher = ?, tags = ? WHERE game_id = ? IF "
    };
}
macro_rules! remove {
    () => {
        "DELETE FROM $.overviews WHERE game_id = ? IF "
    };
}
macro_rules! unchanged {
    () => {
        "game_name = ? AND description = ? AND release_date = ? AND developer = ? AND publisher = ? \
         AND tags = ?"
    };
}
const UPDATE: &str = concat!(update!(), "EXISTS");
const UPDATE_UNCHANGED: &str = concat!(update!(), unchanged!());
const REMOVE: &str = concat!(remove!(), "EXISTS");
const REMOVE_UNCHANGED: &str = concat!(remove!(), unchanged!());
/// Pauses after another write to the game came between.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(4), Duration::from_millis(250));

pub(super) struct Statements {
    update: PreparedStatement,
    update_unchanged: PreparedStatement,
    remove: PreparedStatement,
    remove_unchanged: PreparedStatement,
}

impl Statements {
    pub(super) async fn prepare(cluster: &Cluster) -> Result<Self, StorageError> {
        let prepare = |text| cluster.prepare(text, StatementKind::Conditional);
        Ok(Self {
            update: prepare(UPDATE).await?,
            update_unchanged: prepare(UPDATE_UNCHANGED).await?,
            remove: prepare(REMOVE).await?,
            remove_unchanged: prepare(REMOVE_UNCHANGED).await?,
        })
    }
}

/// What a precondition says of a game as it was read.
enum Tested {
    Holds(Row),
    Fails,
    Missing,
}

impl Games {
    pub(super) async fn update_once(
        self: &Arc<Self>,
        keys: &IdempotencyKeys,
        context: &ActContext,
        id: GameId,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        let Some(precondition) = context.precondition() else {
            let update = |_| async {
                Ok(match self.update(id, changes).await? {
                    true => Update::Updated,
                    false => Update::Missing,
                })
            };
            return keys.once(context, String::new(), update).await;
        };
        let check = async {
            Ok(match self.test(id, Some(precondition)).await? {
                Tested::Holds(_) => Ok(String::new()),
                Tested::Fails => Err(Update::PreconditionFailed),
                Tested::Missing => Err(Update::Missing),
            })
        };
        let update = |claim| self.update_if(keys, context, claim, id, precondition, changes);
        keys.once_checked(context, check, update).await
    }

    pub(super) async fn remove_once(
        self: &Arc<Self>,
        keys: &IdempotencyKeys,
        context: &ActContext,
        id: GameId,
    ) -> Result<Remove, StorageError> {
        let precondition = context.precondition();
        let check = async {
            Ok(match self.test(id, precondition).await? {
                Tested::Holds(_) => Ok(String::new()),
                Tested::Fails => Err(Remove::PreconditionFailed),
                Tested::Missing => Err(Remove::Missing),
            })
        };
        let remove = |claim: Option<Claim>| async move {
            let claim = claim.as_ref();
            let removed = match precondition {
                None => self.remove(id).await?,
                Some(precondition) => self.remove_if(context.deadline(), id, precondition).await?,
            };
            match claim.filter(|_| removed == Remove::Missing) {
                // It was there when the key was claimed.
                Some(claim) if keys.is_shared(claim).await? => {
                    claim.found_done();
                    Ok(Remove::Removed)
                }
                _ => Ok(removed),
            }
        };
        keys.once_checked(context, check, remove).await
    }

    /// Whether there is such a game.
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
        applied(self.cluster.execute(&self.changes.update, values).await?)
    }

    async fn remove(&self, id: GameId) -> Result<Remove, StorageError> {
        let removed = applied(self.cluster.execute(&self.changes.remove, (id.0,)).await?)?;
        Ok(if removed { Remove::Removed } else { Remove::Missing })
    }

    async fn update_if(
        &self,
        keys: &IdempotencyKeys,
        context: &ActContext,
        claim: Option<Claim>,
        id: GameId,
        precondition: &Precondition,
        changes: Changes,
    ) -> Result<Update, StorageError> {
        let mut backoff = BACKOFF;
        loop {
            let row = match self.test(id, Some(precondition)).await? {
                Tested::Missing => return Ok(Update::Missing),
                Tested::Holds(row) => row,
                Tested::Fails => match &claim {
                    // The request's own change may be why it fails.
                    Some(claim)
                        if self.has_all(id, &changes).await? && keys.is_shared(claim).await? =>
                    {
                        claim.found_done();
                        return Ok(Update::Updated);
                    }
                    _ => return Ok(Update::PreconditionFailed),
                },
            };
            if changes == Changes::default() || self.update_unchanged(&row, &changes).await? {
                return Ok(Update::Updated);
            }
            pause(&mut backoff, context.deadline()).await?;
        }
    }

    async fn remove_if(
        &self,
        deadline: Instant,
        id: GameId,
        precondition: &Precondition,
    ) -> Result<Remove, StorageError> {
        let mut backoff = BACKOFF;
        loop {
            match self.test(id, Some(precondition)).await? {
                Tested::Missing => return Ok(Remove::Missing),
                Tested::Fails => return Ok(Remove::PreconditionFailed),
                Tested::Holds(row) if self.remove_unchanged(&row).await? => {
                    return Ok(Remove::Removed);
                }
                Tested::Holds(_) => pause(&mut backoff, deadline).await?,
            }
        }
    }

    /// Tests a precondition on the game as the last write left it; without one whether it is there.
    async fn test(
        &self,
        id: GameId,
        precondition: Option<&Precondition>,
    ) -> Result<Tested, StorageError> {
        let found = self.cluster.execute(&self.find_serial, (id.0,)).await?;
        let Some(row) = optional_row::<Row>(found)? else { return Ok(Tested::Missing) };
        let holds = precondition.is_none_or(|it| it.holds(&Overview::from(row.clone())));
        Ok(if holds { Tested::Holds(row) } else { Tested::Fails })
    }

    /// Whether the game has all values of a change.
    async fn has_all(&self, id: GameId, changes: &Changes) -> Result<bool, StorageError> {
        let Some(game) = self.read_serial(id).await? else { return Ok(false) };
        fn has<T: PartialEq>(change: Option<&T>, value: &T) -> bool {
            change.is_none_or(|change| change == value)
        }
        Ok(has(changes.game_name.as_ref(), &game.game_name)
            && has(changes.description.as_ref(), &game.description)
            && has(changes.release_date.as_ref(), &game.release_date)
            && has(changes.developer.as_ref(), &game.developer)
            && has(changes.publisher.as_ref(), &game.publisher)
            && has(changes.tags.as_ref(), &game.tags))
    }

    /// Whether the game was as it was read, and is changed now.
    async fn update_unchanged(&self, row: &Row, changes: &Changes) -> Result<bool, StorageError> {
        let values = (
            MaybeUnset::from_option(changes.game_name.as_ref()),
            MaybeUnset::from_option(changes.description.as_ref()),
            MaybeUnset::from_option(changes.release_date.as_ref()),
            MaybeUnset::from_option(changes.developer.as_ref()),
            MaybeUnset::from_option(changes.publisher.as_ref()),
            MaybeUnset::from_option(changes.tags.as_ref()),
            row.game_id,
            &row.game_name,
            &row.description,
            &row.release_date,
            &row.developer,
            &row.publisher,
            &row.tags,
        );
        applied(self.cluster.execute(&self.changes.update_unchanged, values).await?)
    }

    /// Whether the game was as it was read, and is gone now.
    async fn remove_unchanged(&self, row: &Row) -> Result<bool, StorageError> {
        let values = (
            row.game_id,
            &row.game_name,
            &row.description,
            &row.release_date,
            &row.developer,
            &row.publisher,
            &row.tags,
        );
        applied(self.cluster.execute(&self.changes.remove_unchanged, values).await?)
    }
}

async fn pause(backoff: &mut Backoff, deadline: Instant) -> Result<(), StorageError> {
    if Instant::now() > deadline {
        let text = "other writes to the same game did not leave it time to end";
        return Err(StorageError::new(ErrorKind::Conflict, text));
    }
    backoff.wait().await;
    Ok(())
}
