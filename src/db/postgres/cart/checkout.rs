//! Checkouts, many in one transaction: a commit costs a sync to disk, however many it holds.

use async_trait::async_trait;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::changed;
use crate::cart::model::OrderId;
use crate::db::postgres::batch::{Batch, fill, recorded};
use crate::db::postgres::session::{PgSession, Prepared, Sql};
use crate::db::storage::Recorded;

const CHECKOUT: Sql<'_> = Sql {
    text: "SELECT refused FROM cart_checkout($1, $2)",
    types: &[Type::TEXT_ARRAY, Type::INT8_ARRAY],
};

pub(super) struct Checkout;

/// An order, and the version for which its checkout is meant.
pub(super) struct Request {
    pub(super) order: OrderId,
    pub(super) version: i64,
}

pub(super) enum Response {
    /// It is paid, or why not.
    Ended(Option<String>),
    /// Nothing was done: the order has this version.
    Changed(OrderId, i64),
}

impl Recorded for Response {
    fn record(&self) -> Option<String> {
        matches!(self, Self::Ended(None)).then(String::new)
    }

    fn replay(_record: &str) -> Option<Self> {
        Some(Self::Ended(None))
    }

    fn key_reused() -> Self {
        Self::Ended(Some("key-reused".to_owned()))
    }
}

#[async_trait]
impl Batch for Checkout {
    type Request = Request;
    type Response = Response;
    type Statements = Prepared;
    const LIMIT: usize = 64;
    recorded!();

    async fn prepare(&self, client: &PgSession) -> Result<Prepared, Error> {
        client.prepare(CHECKOUT).await
    }

    async fn run(
        &self,
        client: &PgSession,
        statement: &Prepared,
        requests: &[&Request],
        responses: &mut [Option<Response>],
    ) -> Result<(), Error> {
        let orders: Vec<&str> = requests.iter().map(|request| request.order.as_str()).collect();
        let versions: Vec<i64> = requests.iter().map(|request| request.version).collect();
        let rows = client.query(statement, &[&orders, &versions]).await?;
        let refused: Vec<Option<String>> =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let ended = requests.iter().zip(refused).map(|(request, refused)| {
            match refused.as_deref().and_then(changed) {
                Some(version) => Response::Changed(request.order.clone(), version),
                None => Response::Ended(refused),
            }
        });
        fill(responses, ended);
        Ok(())
    }
}
