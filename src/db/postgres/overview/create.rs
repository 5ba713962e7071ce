//! Creating games, many in one transaction: a commit costs a sync to disk, however many are in it.

use async_trait::async_trait;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Statement};

use crate::db::postgres::batch::Batch;
use crate::db::postgres::sequence::Sequence;
use crate::db::storage::Create;
use crate::overview::model::{GameId, NewOverview};

/// Rounds of taken ids before the counter leaps.
const ROUNDS_BEFORE_SEARCH: u32 = 8;
const EXISTS: &str = "SELECT EXISTS (SELECT FROM overviews WHERE game_id = $1)";

/// Creates.
pub(super) struct CreateGames {
    pub(super) sequence: Sequence,
}

pub(super) struct Statements {
    create: Statement,
    exists: Statement,
}

/// Stores what is free of the given games and gives the numbers and ids of those. Ascending ids,
/// so that two servers who store the same ones never wait for each other in a circle. Ids that a
/// load has reserved for a table of its own are taken.
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
    type Statements = Statements;
    const LIMIT: usize = 256;

    async fn prepare(&self, client: &Client) -> Result<Statements, Error> {
        let create = client.prepare(&create_sql(&self.sequence)).await?;
        Ok(Statements { create, exists: client.prepare(EXISTS).await? })
    }

    async fn run(
        &self,
        client: &Client,
        statements: &Statements,
        requests: &[NewOverview],
    ) -> Result<Vec<Create>, Error> {
        let mut outcomes = vec![Create::Taken; requests.len()];
        let mut left: Vec<usize> = (0..requests.len()).collect();
        for round in 1.. {
            match store(client, statements, requests, &left).await {
                Ok(stored) => {
                    for (n, id) in stored {
                        outcomes[n] = Create::Created(id);
                    }
                }
                // Alone, it is this one that found no further id.
                Err(error) if is_exhausted(&error) && requests.len() == 1 => {
                    return Ok(vec![Create::Exhausted]);
                }
                Err(error) => return Err(error),
            }
            // An id that was asked for is tried once, one that was assigned until it is free.
            left.retain(|n| requests[*n].game_id.is_none() && outcomes[*n] == Create::Taken);
            if left.is_empty() {
                break;
            }
            if round % ROUNDS_BEFORE_SEARCH == 0 {
                self.search_free_id(client, &statements.exists).await?;
            }
        }
        Ok(outcomes)
    }
}

/// Tries to store those of the given numbers; gives those that are stored now.
async fn store(
    client: &Client,
    statements: &Statements,
    requests: &[NewOverview],
    numbers: &[usize],
) -> Result<Vec<(usize, GameId)>, Error> {
    let texts = |of: fn(&NewOverview) -> &str| -> Vec<&str> {
        numbers.iter().map(|n| of(&requests[*n])).collect()
    };
    let ids: Vec<Option<i32>> =
        numbers.iter().map(|n| requests[*n].game_id.map(|id| id.0)).collect();
    let tags: Vec<String> = numbers.iter().map(|n| array(&requests[*n].tags)).collect();
    let rows = client
        .query(
            &statements.create,
            &[
                &ids,
                &texts(|game| &game.game_name),
                &texts(|game| &game.description),
                &texts(|game| &game.release_date),
                &texts(|game| &game.developer),
                &texts(|game| &game.publisher),
                &tags,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let number: i64 = row.try_get(0)?;
            let number = usize::try_from(number - 1).unwrap_or_default();
            Ok((numbers[number], GameId(row.try_get(1)?)))
        })
        .collect()
}

/// The sequence is at its end.
fn is_exhausted(error: &Error) -> bool {
    error.code() == Some(&SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED)
}

/// An array as SQL writes it: arrays of different lengths cannot be sent as one array of arrays.
pub(in crate::db::postgres) fn array(tags: &[String]) -> String {
    let mut text = String::from("{");
    for (n, tag) in tags.iter().enumerate() {
        text.push_str(if n > 0 { ",\"" } else { "\"" });
        for c in tag.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}

impl CreateGames {
    /// Moves the counter behind the run of taken ids that it is in, in as many steps as the run's
    /// length has binary digits: millions of games may have been created under ids of their own.
    /// Free ids on the way may be passed over.
    async fn search_free_id(&self, client: &Client, exists: &Statement) -> Result<(), Error> {
        client.batch_execute("BEGIN").await?;
        let found = self.search_in_transaction(client, exists).await;
        client.batch_execute(if found.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        found
    }

    async fn search_in_transaction(
        &self,
        client: &Client,
        exists: &Statement,
    ) -> Result<(), Error> {
        let next = self.sequence.lock(client).await?;
        let last = i64::from(i32::MAX);
        let is_taken = async |id: i64| -> Result<bool, Error> {
            let id = i32::try_from(id).unwrap_or(i32::MAX);
            client.query_one(exists, &[&id]).await?.try_get(0)
        };
        let (mut taken, mut stride) = (next - 1, 1);
        let mut free = loop {
            let id = taken.saturating_add(stride).min(last);
            if id <= taken {
                return Ok(());
            }
            if !is_taken(id).await? {
                break id;
            }
            (taken, stride) = (id, stride.saturating_mul(2));
        };
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2;
            *(if is_taken(middle).await? { &mut taken } else { &mut free }) = middle;
        }
        self.sequence.advance_to(client, free).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_quoted_throughout() {
        let tags = ["a", "", "b,c", "{}", "q\"\\", "NULL"].map(str::to_owned);
        assert_eq!(array(&tags), r#"{"a","","b,c","{}","q\"\\","NULL"}"#);
        assert_eq!(array(&[]), "{}");
    }
}
