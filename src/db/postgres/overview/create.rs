//! Creating games, many by one statement: a commit costs a sync to disk, however many it holds.

use async_trait::async_trait;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::columns::{Columns, Given, TYPES};
use super::refusal::refusal;
use crate::db::common::id_search::{IdSearch, TRIES_BEFORE_SEARCH};
use crate::db::postgres::batch::{Batch, recorded};
use crate::db::postgres::lock::{LOCK_TIMEOUT, is_lock_timeout};
use crate::db::postgres::sequence::Sequence;
use crate::db::postgres::session::{PgSession, Prepared, Sql};
use crate::db::storage::Create;
use crate::overview::model::{Changes, GameId, NewOverview};

const EXISTS: &str = "SELECT EXISTS (SELECT FROM overviews WHERE game_id = $1)";
/// Ids that one statement takes from a sequence that may not be locked.
const TAKEN_AT_ONCE: i64 = 10_000;

/// Creates games in batches; the sequence assigns their ids.
pub(super) struct CreateGames {
    pub(super) sequence: Sequence,
}

/// Stores those of the given games whose ids are free and returns their numbers and ids. Ids that an
/// open load has reserved for a table of its own count as taken. Rows are inserted in ascending
/// order of their ids, because an INSERT waits for another transaction's row of the same id, and two
/// servers that insert the same ids in different orders would deadlock.
fn create_sql(sequence: &Sequence) -> String {
    format!(
        "WITH given AS MATERIALIZED ( \
             SELECT coalesce(id, {next}::integer) AS game_id, given.* \
             FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[], \
                         $6::text[], $7::text[]) WITH ORDINALITY \
                  AS given (id, game_name, description, release_date, developer, publisher, \
                            tags, number) \
         ), firsts AS MATERIALIZED ( \
             SELECT DISTINCT ON (game_id) * FROM given ORDER BY game_id, number \
         ), stored AS ( \
             INSERT INTO overviews (game_id, game_name, description, release_date, developer, \
                                    publisher, tags) \
             SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags::text[] \
             FROM firsts WHERE NOT EXISTS ( \
                 SELECT FROM storefront_loads l JOIN storefront_load_ranges r ON r.load = l.id \
                 WHERE NOT l.finished AND l.target <> 'append' \
                 AND firsts.game_id >= r.first_id AND firsts.game_id < r.end_id) \
             ORDER BY game_id ON CONFLICT (game_id) DO NOTHING RETURNING game_id \
         ) SELECT number, game_id FROM firsts JOIN stored USING (game_id)",
        next = sequence.next_value()
    )
}

#[async_trait]
impl Batch for CreateGames {
    type Request = NewOverview;
    type Response = Create;
    type Statements = Prepared;
    const LIMIT: usize = 256;
    recorded!();

    async fn prepare(&self, client: &PgSession) -> Result<Prepared, Error> {
        client.prepare(Sql { text: &create_sql(&self.sequence), types: &TYPES }).await
    }

    async fn run(
        &self,
        client: &PgSession,
        statement: &Prepared,
        requests: &[&NewOverview],
        responses: &mut [Option<Create>],
    ) -> Result<(), Error> {
        let mut left: Vec<usize> = (0..requests.len()).collect();
        let mut tries = 0;
        loop {
            match store(client, statement, requests, &left).await {
                Ok(stored) => {
                    for (n, id) in stored {
                        responses[n] = Some(Create::Created(id));
                    }
                }
                // The error is this request's own: no other was in the statement.
                Err(error) if left.len() == 1 => {
                    client.roll_back().await?;
                    let refused = refused(client, error, requests[left[0]]).await?;
                    responses[left[0]] = Some(refused);
                }
                Err(error) => return Err(error),
            }
            // An id that was asked for is tried once, an assigned one until one is free.
            left.retain(|n| {
                if requests[*n].game_id.is_some() {
                    responses[*n].get_or_insert(Create::Taken);
                }
                responses[*n].is_none()
            });
            if left.is_empty() {
                return Ok(());
            }
            tries += left.len();
            if tries >= TRIES_BEFORE_SEARCH as usize {
                self.pass_taken_ids(client).await?;
                tries = 0;
            }
        }
    }
}

/// Tries to store the requests of the given numbers; returns the numbers and ids of those stored.
async fn store(
    client: &PgSession,
    statement: &Prepared,
    requests: &[&NewOverview],
    numbers: &[usize],
) -> Result<Vec<(usize, GameId)>, Error> {
    let columns: Columns<'_> = numbers.iter().map(|n| Given::new_game(requests[*n])).collect();
    let rows = client.query(statement, &columns.values()).await?;
    rows.iter()
        .map(|row| {
            let number: i64 = row.try_get(0)?;
            let number = usize::try_from(number - 1).unwrap_or_default();
            Ok((numbers[number], GameId(row.try_get(1)?)))
        })
        .collect()
}

/// The outcome that the error of a single create stands for.
async fn refused(client: &PgSession, error: Error, game: &NewOverview) -> Result<Create, Error> {
    if error.code() == Some(&SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED) {
        return Ok(Create::Exhausted);
    }
    let NewOverview { game_name, description, release_date, developer, publisher, tags, .. } = game;
    let [game_name, description, release_date, developer, publisher] =
        [game_name, description, release_date, developer, publisher].map(|text| Some(text.clone()));
    let tags = Some(tags.clone());
    let values = Changes { game_name, description, release_date, developer, publisher, tags };
    refusal(client, error, &values).await.map(Create::Refused)
}

impl CreateGames {
    /// Moves the sequence past the run of taken ids that it is in: clients may have created millions
    /// of games under ids of their own. In a transaction, so that the sequence's lock is held from
    /// its reading to its change, and no id that another server takes meanwhile is assigned twice.
    async fn pass_taken_ids(&self, client: &PgSession) -> Result<(), Error> {
        let locked = client.transaction(async |client| {
            client.batch_execute(LOCK_TIMEOUT).await?;
            let last = self.sequence.lock(client).await? - 1;
            let next = next_free_id(client, last).await?;
            self.sequence.advance_to(client, next).await
        });
        match locked.await {
            // Another transaction has assigned ids and goes on. Until it ends ids are tried one by one.
            Err(error) if is_lock_timeout(&error) => Ok(()),
            // Only the owner of a sequence may lock it.
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                self.take_taken_ids(client).await
            }
            result => result,
        }
    }

    /// The same without the lock: takes the ids up to the next free one, a bounded number by each
    /// statement, because another server may be taking them too.
    async fn take_taken_ids(&self, client: &PgSession) -> Result<(), Error> {
        let sql = self.sequence.take_sql();
        let take = Sql { text: &sql, types: &[Type::INT8] };
        let taken = async |ids: i64| -> Result<i64, Error> {
            let rows = client.query_once(take, &[&ids]).await?;
            rows.first().map_or(Ok(i64::MAX), |row| row.try_get(0))
        };
        let mut last = taken(1).await?;
        let next = client.transaction(async |client| next_free_id(client, last).await).await?;
        while last < next - 1 {
            last = taken((next - 1 - last).min(TAKEN_AT_ONCE)).await?;
        }
        Ok(())
    }
}

/// The first id after `last` that is free, found in few probes.
async fn next_free_id(client: &Client, last: i64) -> Result<i64, Error> {
    let mut search = IdSearch::after(i32::try_from(last).unwrap_or(i32::MAX));
    while let Some(id) = search.probe() {
        let exists = client.query_typed_one(EXISTS, &[(&id, Type::INT4)]).await?;
        search.record(id, exists.try_get(0)?);
    }
    Ok(search.next_free_id())
}
