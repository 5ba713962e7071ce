//! Changing and removing games, many by one statement: a commit costs a sync to disk, however many it
//! holds.
//!
//! A row that another transaction has locked is passed over, and its requests are tried again a moment
//! later ([`Batch::run`]): so it delays nothing but them, however long it stays locked. Because no lock is
//! waited for, servers that change the same games cannot deadlock either.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::columns::{Columns, Given, TYPES};
use super::refusal::refusal;
use super::row::overview;
use crate::db::postgres::batch::{Batch, recorded};
use crate::db::postgres::session::{PgSession, Prepared, Sql};
use crate::db::storage::{Precondition, Recorded, Remove, Update, WriteRefusal};
use crate::overview::model::{Changes, GameId};

/// Changes what is given, a null of `given` being nothing. (It changes the newest version of each row.)
const UPDATE: &str = "WITH given AS MATERIALIZED ( \
         SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[], \
                              $6::text[], $7::text[]) \
           AS given (game_id, game_name, description, release_date, developer, publisher, tags) \
     ), locked AS MATERIALIZED ( \
         SELECT game_id FROM overviews WHERE game_id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED \
     ), changed AS ( \
         UPDATE overviews AS game SET \
           game_name = coalesce(given.game_name, game.game_name::text), \
           description = coalesce(given.description, game.description::text), \
           release_date = coalesce(given.release_date, game.release_date::text), \
           developer = coalesce(given.developer, game.developer::text), \
           publisher = coalesce(given.publisher, game.publisher::text), \
           tags = coalesce(given.tags::text[], game.tags::text[]) \
         FROM locked JOIN given USING (game_id) WHERE game.game_id = locked.game_id \
         RETURNING game.game_id)";
const REMOVE: &str = "WITH locked AS MATERIALIZED ( \
         SELECT game_id FROM overviews WHERE game_id = ANY($1) FOR UPDATE SKIP LOCKED \
     ), changed AS ( \
         DELETE FROM overviews AS game USING locked WHERE game.game_id = locked.game_id \
         RETURNING game.game_id)";
/// For a condition on the game.
const LOCK: Sql<'_> = Sql {
    text: "SELECT game_id, game_name, description, release_date, developer, publisher, tags \
           FROM overviews WHERE game_id = $1 FOR UPDATE",
    types: &[Type::INT4],
};
/// The ids that were changed, and those of rows that are there and were passed over. These are only
/// looked for if there are fewer locked rows than ids. Also a row that was removed since the statement
/// began is one of them: the next try will not find it.
const OUTCOME: &str = "SELECT game_id, true FROM changed UNION ALL \
     SELECT game_id, false FROM overviews \
     WHERE (SELECT count(*) FROM locked) < cardinality($1) AND game_id = ANY($1) \
       AND game_id NOT IN (SELECT game_id FROM locked)";

/// Changes and removes games in batches.
pub(super) struct ChangeGames;

/// What is to be done to one game.
pub(super) enum Change {
    /// Something is given in the changes.
    Update(GameId, Changes),
    Remove(GameId),
}

pub(super) enum Changed {
    Found,
    Missing,
    PreconditionFailed,
    Refused(WriteRefusal),
}

pub(super) struct Statements {
    update: Statement,
    remove: Statement,
}

struct Statement {
    prepared: Prepared,
    /// So many of the columns are its parameters.
    parameters: usize,
}

#[async_trait]
impl Batch for ChangeGames {
    type Request = Change;
    type Response = Changed;
    type Statements = Statements;
    const LIMIT: usize = 256;
    recorded!();

    async fn prepare(&self, client: &PgSession) -> Result<Statements, Error> {
        Ok(Statements {
            update: Statement::prepare(client, UPDATE, &TYPES).await?,
            remove: Statement::prepare(client, REMOVE, &TYPES[..1]).await?,
        })
    }

    /// A statement changes a row once, so requests of the same game go in rounds, each in its turn; those
    /// of a locked row wait together.
    async fn run(
        &self,
        client: &PgSession,
        statements: &Statements,
        requests: &[&Change],
        responses: &mut [Option<Changed>],
    ) -> Result<(), Error> {
        let mut left: Vec<usize> = (0..requests.len()).collect();
        left.sort_by_key(|n| requests[*n].id().0);
        while !left.is_empty() {
            let round = take_first_of_each_game(&mut left, requests);
            let (updates, removals): (Vec<_>, Vec<_>) =
                round.into_iter().partition(|n| matches!(requests[*n], Change::Update(..)));
            for (statement, numbers) in
                [(&statements.update, updates), (&statements.remove, removals)]
            {
                match statement.run(client, requests, &numbers).await {
                    Ok(outcomes) => {
                        let locked = record(&outcomes, &numbers, requests, responses);
                        left.retain(|n| !locked.contains(&requests[*n].id()));
                    }
                    // The error is this request's own: no other was in the statement.
                    Err(error) if requests.len() == 1 => {
                        client.roll_back().await?;
                        let refused = refused(client, error, requests[0]).await?;
                        responses[0] = Some(Changed::Refused(refused));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Makes one change if a condition holds for the game, in an open transaction of its own. Waits for the
/// lock of the row: it is on a connection of the pool, where it delays no others.
pub(super) async fn change_if(
    client: &PgSession,
    change: &Change,
    precondition: &Precondition,
) -> Result<Changed, Error> {
    let locked = client.prepare_cached(LOCK).await?;
    let Some(row) = client.query_opt(&locked, &[&change.id().0]).await? else {
        return Ok(Changed::Missing);
    };
    if !precondition.holds(&overview(&row)?) {
        return Ok(Changed::PreconditionFailed);
    }
    let statement = match change {
        Change::Update(..) => Statement::prepare(client, UPDATE, &TYPES).await?,
        Change::Remove(_) => Statement::prepare(client, REMOVE, &TYPES[..1]).await?,
    };
    match statement.run(client, &[change], &[0]).await {
        Ok(_) => Ok(Changed::Found),
        Err(error) => {
            client.roll_back().await?;
            refused(client, error, change).await.map(Changed::Refused)
        }
    }
}

impl Statement {
    async fn prepare(client: &PgSession, change: &str, types: &[Type]) -> Result<Self, Error> {
        let text = format!("{change} {OUTCOME}");
        let prepared = client.prepare_cached(Sql { text: &text, types }).await?;
        Ok(Self { prepared, parameters: types.len() })
    }

    /// Carries out the requests of those numbers. Of each row that is there: whether it was changed; it
    /// was not if another transaction has locked it.
    async fn run(
        &self,
        client: &PgSession,
        requests: &[&Change],
        numbers: &[usize],
    ) -> Result<HashMap<i32, bool>, Error> {
        if numbers.is_empty() {
            return Ok(HashMap::new());
        }
        let columns: Columns<'_> = numbers.iter().map(|n| requests[*n].given()).collect();
        let values = &columns.values()[..self.parameters];
        let rows = client.query(&self.prepared, values).await?;
        let outcome = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(outcome).collect()
    }
}

impl Change {
    const fn id(&self) -> GameId {
        match self {
            Self::Update(id, _) | Self::Remove(id) => *id,
        }
    }

    fn given(&self) -> Given<'_> {
        match self {
            Self::Update(id, changes) => Given::changes(*id, changes),
            Self::Remove(id) => Given::only_id(*id),
        }
    }
}

impl Recorded for Changed {
    fn record(&self) -> Option<String> {
        matches!(self, Self::Found).then(String::new)
    }

    fn replay(_record: &str) -> Option<Self> {
        Some(Self::Found)
    }

    fn key_reused() -> Self {
        Self::Refused(WriteRefusal::KeyReused)
    }
}

impl From<Changed> for Update {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::Found => Self::Updated,
            Changed::Missing => Self::Missing,
            Changed::PreconditionFailed => Self::PreconditionFailed,
            Changed::Refused(why) => Self::Refused(why),
        }
    }
}

impl From<Changed> for Remove {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::Found => Self::Removed,
            Changed::Missing => Self::Missing,
            Changed::PreconditionFailed => Self::PreconditionFailed,
            Changed::Refused(why) => Self::Refused(why),
        }
    }
}

/// Of requests in ascending order of their games, takes the first of each game.
fn take_first_of_each_game(left: &mut Vec<usize>, requests: &[&Change]) -> Vec<usize> {
    let mut last = None;
    left.extract_if(.., |n| last.replace(requests[*n].id()) != Some(requests[*n].id())).collect()
}

/// The responses of the requests of those numbers; returns the ids of the rows that are locked.
fn record(
    outcomes: &HashMap<i32, bool>,
    numbers: &[usize],
    requests: &[&Change],
    responses: &mut [Option<Changed>],
) -> Vec<GameId> {
    let mut locked = Vec::new();
    for n in numbers {
        let id = requests[*n].id();
        match outcomes.get(&id.0) {
            Some(true) => responses[*n] = Some(Changed::Found),
            Some(false) => locked.push(id),
            None => responses[*n] = Some(Changed::Missing),
        }
    }
    locked
}

/// The outcome that the error of a single change stands for.
async fn refused(client: &PgSession, error: Error, change: &Change) -> Result<WriteRefusal, Error> {
    match change {
        Change::Update(_, changes) => refusal(client, error, changes).await,
        Change::Remove(_) => refusal(client, error, &Changes::default()).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_game_go_in_rounds_in_their_order() {
        let changes = [5, 3, 5, 3, 3, 9].map(|id| Change::Remove(GameId(id)));
        let requests: Vec<&Change> = changes.iter().collect();
        let mut left: Vec<usize> = (0..requests.len()).collect();
        left.sort_by_key(|n| requests[*n].id().0);
        let mut rounds = Vec::new();
        while !left.is_empty() {
            rounds.push(take_first_of_each_game(&mut left, &requests));
        }
        assert_eq!(rounds, [vec![1, 0, 5], vec![3, 2], vec![4]]);
    }
}
