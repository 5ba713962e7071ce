//! Checkouts, many in one transaction: a commit costs a sync to disk, however many it holds.

use async_trait::async_trait;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::cart::model::OrderId;
use crate::db::postgres::batch::{Batch, fill};
use crate::db::postgres::session::{PgSession, Prepared, Sql};

const CHECKOUT: Sql<'_> =
    Sql { text: "SELECT number, refused FROM cart_checkout($1)", types: &[Type::TEXT_ARRAY] };

/// A response is why the checkout was refused, if it was.
pub(super) struct Checkout;

#[async_trait]
impl Batch for Checkout {
    type Request = OrderId;
    type Response = Option<String>;
    type Statements = Prepared;
    const LIMIT: usize = 64;

    async fn prepare(&self, client: &PgSession) -> Result<Prepared, Error> {
        client.prepare(CHECKOUT).await
    }

    async fn run(
        &self,
        client: &PgSession,
        statement: &Prepared,
        requests: &[&OrderId],
        responses: &mut [Option<Option<String>>],
    ) -> Result<(), Error> {
        let orders: Vec<&str> = requests.iter().map(|order| order.as_str()).collect();
        let rows = client.query(statement, &[&orders]).await?;
        let refused: Vec<_> = rows.iter().map(|row| row.try_get(1)).collect::<Result<_, _>>()?;
        fill(responses, refused);
        Ok(())
    }
}
