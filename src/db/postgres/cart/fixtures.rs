//! Fixtures: orders, items and users in place of those of the same ids.
//!
//! Rows are locked in ascending order of their ids, so that two calls, or a call and checkouts, cannot
//! deadlock. Fixtures of orders are in `schema/postgres/functions/cart_fixtures.sql`.

use tokio_postgres::types::{ToSql, Type};

use crate::cart::model::{Amount, Item, ItemId, Order, UserId};
use crate::db::postgres::idempotency::once;
use crate::db::postgres::pool::{Pool, with_client};
use crate::db::postgres::session::{PgSession, Sql};
use crate::db::postgres::text_array::text_array;
use crate::db::storage::{ActContext, CartResult};

const PUT_ORDERS: Sql<'_> = Sql {
    text: "SELECT cart_put_orders($1, $2, $3, $4, $5)",
    types: &[
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
    ],
};
const PUT_ITEMS: Sql<'_> = Sql {
    text: "INSERT INTO cart_items (item_id, price, stock, added) \
     SELECT item_id, $2::bigint, $3::bigint, $3::bigint FROM unnest($1::text[]) AS fixture (item_id) \
     ORDER BY item_id COLLATE \"C\" \
     ON CONFLICT (item_id) DO UPDATE SET price = $2, stock = $3, added = $3, subtracted = 0, \
         sold = 0, written_off = 0, epoch = cart_items.epoch + 1",
    types: &[Type::TEXT_ARRAY, Type::INT8, Type::INT8],
};
const PUT_USERS: Sql<'_> = Sql {
    text: "INSERT INTO cart_users (user_id, credit, funded) \
     SELECT user_id, $2::bigint, $2::bigint FROM unnest($1::text[]) AS fixture (user_id) \
     ORDER BY user_id COLLATE \"C\" \
     ON CONFLICT (user_id) DO UPDATE SET credit = $2, funded = $2, paid = 0, charged = 0, \
         written_off = 0, epoch = cart_users.epoch + 1",
    types: &[Type::TEXT_ARRAY, Type::INT8],
};

type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// Runs a statement, once for the key of the context.
async fn put(pool: &Pool, context: ActContext, sql: Sql<'static>, values: Values) -> CartResult {
    let key = context.key().cloned();
    with_client(pool, context, move |client| async move {
        let statement = client.prepare_cached(sql).await?;
        let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
        if key.is_none() {
            return client.execute(&statement, &values).await.map(|_| Ok(()));
        }
        let put =
            async |client: &PgSession| client.execute(&statement, &values).await.map(|_| Ok(()));
        once(&client, key.as_ref(), put).await
    })
    .await
}

pub(super) async fn put_orders(pool: &Pool, context: ActContext, orders: Vec<Order>) -> CartResult {
    let text = |of: fn(&Order) -> String| -> Box<dyn ToSql + Sync + Send> {
        Box::new(orders.iter().map(of).collect::<Vec<_>>())
    };
    let values = vec![
        text(|order| order.id.to_string()),
        text(|order| order.user.to_string()),
        text(|order| text_array(order.lines.iter().map(|line| line.item.as_str()))),
        text(|order| text_array(order.lines.iter().map(|line| line.quantity.to_string()))),
        text(|order| text_array(order.lines.iter().map(|line| line.cost.to_string()))),
    ];
    put(pool, context, PUT_ORDERS, values).await
}

pub(super) async fn put_items(
    pool: &Pool,
    context: ActContext,
    items: Vec<ItemId>,
    item: Item,
) -> CartResult {
    let ids: Vec<_> = items.iter().map(ItemId::to_string).collect();
    let (price, stock) = (item.price.signed(), item.stock.signed());
    put(pool, context, PUT_ITEMS, vec![Box::new(ids), Box::new(price), Box::new(stock)]).await
}

pub(super) async fn put_users(
    pool: &Pool,
    context: ActContext,
    users: Vec<UserId>,
    credit: Amount,
) -> CartResult {
    let ids: Vec<_> = users.iter().map(UserId::to_string).collect();
    put(pool, context, PUT_USERS, vec![Box::new(ids), Box::new(credit.signed())]).await
}
