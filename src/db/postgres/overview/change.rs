//! Changing and removing games, many by one statement: a commit costs a sync to disk, however many it
//! holds.

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::create::COLUMNS;
use super::refusal::refusal;
use crate::db::postgres::batch::Batch;
use crate::db::postgres::session::{PgSession, Prepared, Sql};
use crate::db::postgres::text_array::text_array;
use crate::db::storage::{Remove, Update, WriteRefusal};
use crate::overview::model::{Changes, GameId};

/// Changes what is given, a null of `given` being nothing, and returns the ids that were found. The
/// rows are locked in ascending order of their ids first: an UPDATE alone locks them in any order, and
/// two servers that change the same games would deadlock. (It then changes the newest version of each.)
const UPDATE: Sql<'_> = Sql {
    text: "WITH given AS MATERIALIZED ( \
             SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[], \
                                  $6::text[], $7::text[]) \
               AS given (game_id, game_name, description, release_date, developer, publisher, tags) \
           ), locked AS MATERIALIZED ( \
             SELECT game_id FROM overviews JOIN given USING (game_id) \
             ORDER BY game_id FOR NO KEY UPDATE OF overviews \
           ) UPDATE overviews AS game SET \
             game_name = coalesce(given.game_name, game.game_name::text), \
             description = coalesce(given.description, game.description::text), \
             release_date = coalesce(given.release_date, game.release_date::text), \
             developer = coalesce(given.developer, game.developer::text), \
             publisher = coalesce(given.publisher, game.publisher::text), \
             tags = coalesce(given.tags::text[], game.tags::text[]) \
           FROM locked JOIN given USING (game_id) WHERE game.game_id = locked.game_id \
           RETURNING game.game_id",
    types: &COLUMNS,
};
/// Removes the games, and returns the ids that were found; locked in the same order.
const REMOVE: Sql<'_> = Sql {
    text: "WITH locked AS MATERIALIZED ( \
             SELECT game_id FROM overviews WHERE game_id = ANY($1) ORDER BY game_id FOR UPDATE \
           ) DELETE FROM overviews AS game USING locked WHERE game.game_id = locked.game_id \
           RETURNING game.game_id",
    types: &[Type::INT4_ARRAY],
};

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
    Refused(WriteRefusal),
}

pub(super) struct Statements {
    update: Prepared,
    remove: Prepared,
}

#[async_trait]
impl Batch for ChangeGames {
    type Request = Change;
    type Response = Changed;
    type Statements = Statements;
    const LIMIT: usize = 256;

    async fn prepare(&self, client: &PgSession) -> Result<Statements, Error> {
        Ok(Statements {
            update: client.prepare(UPDATE).await?,
            remove: client.prepare(REMOVE).await?,
        })
    }

    /// A statement changes a row once, so requests of the same game go in rounds, each in its turn.
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
            for (numbers, is_update) in [(updates, true), (removals, false)] {
                let changes = numbers.iter().map(|n| requests[*n]);
                let found = match is_update {
                    _ if numbers.is_empty() => continue,
                    true => update(client, &statements.update, changes).await,
                    false => remove(client, &statements.remove, changes).await,
                };
                match found {
                    Ok(rows) => record(&rows, &numbers, requests, responses)?,
                    // The error is this request's own: no other was in the statement.
                    Err(error) if requests.len() == 1 => {
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

impl Change {
    const fn id(&self) -> GameId {
        match self {
            Self::Update(id, _) | Self::Remove(id) => *id,
        }
    }
}

impl From<Changed> for Update {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::Found => Self::Updated,
            Changed::Missing => Self::Missing,
            Changed::Refused(why) => Self::Refused(why),
        }
    }
}

impl From<Changed> for Remove {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::Found => Self::Removed,
            Changed::Missing => Self::Missing,
            Changed::Refused(why) => Self::Refused(why),
        }
    }
}

/// Of requests in ascending order of their games, takes the first of each game.
fn take_first_of_each_game(left: &mut Vec<usize>, requests: &[&Change]) -> Vec<usize> {
    let mut last = None;
    left.extract_if(.., |n| last.replace(requests[*n].id()) != Some(requests[*n].id())).collect()
}

async fn update<'a>(
    client: &PgSession,
    statement: &Prepared,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<Vec<Row>, Error> {
    let given: Vec<_> = changes
        .filter_map(|change| match change {
            Change::Update(id, changes) => Some((id.0, changes)),
            Change::Remove(_) => None,
        })
        .collect();
    let ids: Vec<i32> = given.iter().map(|(id, _)| *id).collect();
    let texts = |of: fn(&Changes) -> &Option<String>| -> Vec<Option<&str>> {
        given.iter().map(|(_, changes)| of(changes).as_deref()).collect()
    };
    let tags: Vec<Option<String>> =
        given.iter().map(|(_, changes)| changes.tags.as_ref().map(text_array)).collect();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
        &ids,
        &texts(|changes| &changes.game_name),
        &texts(|changes| &changes.description),
        &texts(|changes| &changes.release_date),
        &texts(|changes| &changes.developer),
        &texts(|changes| &changes.publisher),
        &tags,
    ];
    client.query(statement, &values).await
}

async fn remove<'a>(
    client: &PgSession,
    statement: &Prepared,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<Vec<Row>, Error> {
    let ids: Vec<i32> = changes.map(|change| change.id().0).collect();
    client.query(statement, &[&ids]).await
}

/// The responses of the requests of those numbers, given the rows with the ids that were found.
fn record(
    rows: &[Row],
    numbers: &[usize],
    requests: &[&Change],
    responses: &mut [Option<Changed>],
) -> Result<(), Error> {
    let mut found: Vec<i32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    found.sort_unstable();
    for n in numbers {
        let is_found = found.binary_search(&requests[*n].id().0).is_ok();
        responses[*n] = Some(if is_found { Changed::Found } else { Changed::Missing });
    }
    Ok(())
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
