//! Creating a game, under an id of the client's or the next one of the counter.
//!
//! Under an idempotency key the claim of the key has the id, and it is made only while no game has that
//! id: an equal game that a repeat finds under it is its own.

use tokio::time::Instant;

use super::Games;
use super::id_claims::ClaimTtl;
use super::row;
use crate::db::cassandra::error::shape;
use crate::db::cassandra::idempotency::{Claim, IdempotencyKeys};
use crate::db::cassandra::lwt::applied;
use crate::db::common::id_search::{IdSearch, TRIES_BEFORE_SEARCH};
use crate::db::storage::{ActContext, Create, ErrorKind, StorageError};
use crate::overview::model::{GameId, NewOverview, Overview};

/// What became of the insert of a game whose key is claimed.
enum Inserted {
    /// It is there now.
    New,
    /// An equal one is there.
    Equal,
    /// Another game has the id.
    Taken,
}

impl Games {
    pub(super) async fn create_once(
        &self,
        keys: &IdempotencyKeys,
        context: &ActContext,
        new: NewOverview,
    ) -> Result<Create, StorageError> {
        let new_id = self.new_id(context, new.game_id);
        let create = |claim: Option<Claim>| async {
            match claim {
                None => self.create(context, new).await,
                Some(claim) => self.create_claimed(keys, context, claim, new).await,
            }
        };
        keys.once_checked(context, new_id, create).await
    }

    /// The id under which a game is to be created, as text, or why it cannot be.
    async fn new_id(
        &self,
        context: &ActContext,
        chosen: Option<GameId>,
    ) -> Result<Result<String, Create>, StorageError> {
        let Some(id) = chosen else {
            let next = self.ids.next(context.clone()).await.map_err(not_stored)?;
            return Ok(next.map(|id| id.to_string()).ok_or(Create::Exhausted));
        };
        let found = self.read_serial(id).await.map_err(not_stored)?;
        Ok(if found.is_some() { Err(Create::Taken) } else { Ok(id.0.to_string()) })
    }

    async fn create(&self, context: &ActContext, new: NewOverview) -> Result<Create, StorageError> {
        let chosen = new.game_id;
        let mut game = with_id(chosen.unwrap_or(GameId(0)), new);
        let Some(id) = chosen else { return self.create_under_next_id(context, &mut game).await };
        self.claim_id(id, ClaimTtl::Forever).await?;
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

    /// The same for a request whose key is claimed: under the claimed id, and if another game has it
    /// since, under one that the claim is changed to before.
    async fn create_claimed(
        &self,
        keys: &IdempotencyKeys,
        context: &ActContext,
        mut claim: Claim,
        new: NewOverview,
    ) -> Result<Create, StorageError> {
        let (chosen, mut game) = (new.game_id, with_id(GameId(0), new));
        for tried in 1.. {
            game.game_id = claimed_id(&claim)?;
            // That of an id that the counter assigned may have expired before a repeat.
            let ttl = chosen.map_or(ClaimTtl::OneHour, |_| ClaimTtl::Forever);
            if chosen.is_some() || claim.is_repeat() {
                self.claim_id(game.game_id, ttl).await?;
            }
            match self.insert_claimed(&game, context.deadline()).await? {
                Inserted::New => return Ok(Create::Created(game.game_id)),
                Inserted::Equal if keys.is_shared(&claim).await? => {
                    claim.found_done();
                    return Ok(Create::Created(game.game_id));
                }
                Inserted::Equal | Inserted::Taken if chosen.is_some() => return Ok(Create::Taken),
                Inserted::Equal | Inserted::Taken => {}
            }
            if tried % TRIES_BEFORE_SEARCH == 0 {
                self.pass_taken_ids(game.game_id.0).await?;
            }
            let next = self.ids.next(context.clone()).await.map_err(not_stored)?;
            let Some(next) = next else { break };
            claim = keys.change_new_id(&claim, &next.to_string()).await?;
        }
        Ok(Create::Exhausted)
    }

    /// Claims an id before its game: see [`super::id_claims`].
    async fn claim_id(&self, id: GameId, ttl: ClaimTtl) -> Result<(), StorageError> {
        let ids = i64::from(id.0)..i64::from(id.0) + 1;
        self.claims.claim(ids, ttl).await.map_err(not_stored)
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
            let unknown = match self.try_insert(game).await {
                Err(error) if error.kind() == ErrorKind::Timeout => error,
                result => return result,
            };
            let Ok(found) = self.read_serial(game.game_id).await else { return Err(unknown) };
            match found {
                // This insert's, or an equal game of another client: still unknown.
                Some(found) if found == *game => return Err(unknown),
                Some(_) => return Ok(false),
                None if Instant::now() >= deadline => return Err(not_stored(unknown)),
                None => {}
            }
        }
    }

    /// The same; an equal game may be the request's own.
    async fn insert_claimed(
        &self,
        game: &Overview,
        deadline: Instant,
    ) -> Result<Inserted, StorageError> {
        loop {
            let unknown = match self.try_insert(game).await {
                Ok(true) => return Ok(Inserted::New),
                Ok(false) => None,
                Err(error) if error.kind() == ErrorKind::Timeout => Some(error),
                Err(error) => return Err(error),
            };
            match (self.read_serial(game.game_id).await?, unknown) {
                // This insert's, or another's: a repeat tells.
                (Some(found), Some(unknown)) if found == *game => return Err(unknown),
                (Some(found), None) if found == *game => return Ok(Inserted::Equal),
                (Some(_), _) => return Ok(Inserted::Taken),
                (None, Some(unknown)) if Instant::now() >= deadline => {
                    return Err(not_stored(unknown));
                }
                (None, _) => {}
            }
        }
    }

    async fn try_insert(&self, game: &Overview) -> Result<bool, StorageError> {
        applied(self.cluster.execute(&self.insert, row::values(game)).await?)
    }
}

fn claimed_id(claim: &Claim) -> Result<GameId, StorageError> {
    GameId::parse(claim.new_id_text()).ok_or_else(|| shape("a claimed id is no number"))
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
