//! Items and their stock.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{ID, ID_AND_AMOUNT, PostgresCart, amount, number, text};
use crate::cart::model::{Amount, Item, ItemId};
use crate::db::postgres::session::Sql;
use crate::db::storage::{ActContext, CartResult, StockStore, StorageError};

const CREATE_ITEM: Sql<'_> = Sql {
    text: "INSERT INTO cart_items (item_id, price, stock, added) VALUES ($1, $2, 0, 0) \
           RETURNING NULL::text",
    types: ID_AND_AMOUNT,
};
const ITEM: Sql<'_> =
    Sql { text: "SELECT stock, price FROM cart_items WHERE item_id = $1", types: ID };
const ADD_STOCK: Sql<'_> = Sql { text: "SELECT cart_add_stock($1, $2)", types: ID_AND_AMOUNT };
const SUBTRACT_STOCK: Sql<'_> =
    Sql { text: "SELECT cart_subtract_stock($1, $2)", types: ID_AND_AMOUNT };

#[async_trait]
impl StockStore for PostgresCart {
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> CartResult<ItemId> {
        let values = vec![text(item.as_str()), number(price)];
        self.call(context, CREATE_ITEM, values, item).await
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        let found = |row: &Row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?));
        match self.query(ActContext::new(), ITEM, vec![text(item.as_str())], found).await? {
            Some((stock, price)) => Ok(Some(Item { stock: amount(stock)?, price: amount(price)? })),
            None => Ok(None),
        }
    }

    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult {
        self.call(context, ADD_STOCK, vec![text(item.as_str()), number(quantity)], ()).await
    }

    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.call(context, SUBTRACT_STOCK, vec![text(item.as_str()), number(quantity)], ()).await
    }
}
