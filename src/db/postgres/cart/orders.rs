//! Orders.

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::{ID, IDS, PostgresCart, amount, checkout, damaged, number, outcome, text};
use crate::cart::model::{Amount, ItemId, Line, Order, OrderId, UserId};
use crate::db::postgres::session::Sql;
use crate::db::storage::{ActContext, CartResult, OrderStore, StorageError};

const CREATE_ORDER: Sql<'_> = Sql {
    text: "INSERT INTO cart_orders (order_id, user_id) VALUES ($1, $2) RETURNING NULL::text",
    types: IDS,
};
const ORDER: Sql<'_> = Sql {
    text: "SELECT user_id, paid, items, quantities, costs FROM cart_orders WHERE order_id = $1",
    types: ID,
};
const ADD_ITEM: Sql<'_> =
    Sql { text: "SELECT cart_add_item($1, $2, $3)", types: &[Type::TEXT, Type::TEXT, Type::INT8] };
const REMOVE_ITEM: Sql<'_> = Sql { text: "SELECT cart_remove_item($1, $2)", types: IDS };
const REMOVE_ORDER: Sql<'_> = Sql { text: "SELECT cart_remove_order($1)", types: ID };

#[async_trait]
impl OrderStore for PostgresCart {
    async fn create_order(
        &self,
        context: ActContext,
        order: OrderId,
        user: UserId,
    ) -> CartResult<OrderId> {
        let values = vec![text(order.as_str()), text(user.as_str())];
        self.call(context, CREATE_ORDER, values, order).await
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        let found =
            self.query(ActContext::new(), ORDER, vec![text(id.as_str())], order_row).await?;
        found.map(|found| found.order(id.clone())).transpose()
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        let values = vec![text(order.as_str()), text(item.as_str()), number(quantity)];
        self.edit(context, ADD_ITEM, order, values).await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        let values = vec![text(order.as_str()), text(item.as_str())];
        self.edit(context, REMOVE_ITEM, order, values).await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.versions.forget(&order);
        self.call(context, REMOVE_ORDER, vec![text(order.as_str())], ()).await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        let version = self.versions.seen(&order);
        let mut request = checkout::Request { order, version };
        loop {
            // A repetition is only sent by a server that still has the request, within its deadline.
            match self.checkout.submit(context.clone(), request).await? {
                checkout::Response::Ended(refused) => return outcome(refused.as_deref()),
                checkout::Response::Changed(order, version) => {
                    self.versions.remember(order.clone(), version);
                    request = checkout::Request { order, version };
                }
            }
        }
    }
}

/// An order's row as the driver decodes it.
struct OrderRow {
    user: String,
    paid: bool,
    items: Vec<String>,
    quantities: Vec<i64>,
    costs: Vec<i64>,
}

fn order_row(row: &Row) -> Result<OrderRow, Error> {
    Ok(OrderRow {
        user: row.try_get(0)?,
        paid: row.try_get(1)?,
        items: row.try_get(2)?,
        quantities: row.try_get(3)?,
        costs: row.try_get(4)?,
    })
}

impl OrderRow {
    fn order(self, id: OrderId) -> Result<Order, StorageError> {
        let user = UserId::parse(&self.user).ok_or_else(damaged)?;
        let mut lines = Vec::with_capacity(self.items.len());
        for ((item, quantity), cost) in self.items.iter().zip(self.quantities).zip(self.costs) {
            let item = ItemId::parse(item).ok_or_else(damaged)?;
            lines.push(Line { item, quantity: amount(quantity)?, cost: amount(cost)? });
        }
        Ok(Order { id, user, paid: self.paid, lines })
    }
}
