//! Fixtures: orders, items and users in place of those of the same ids.
//!
//! Rows are locked in ascending order of their ids, so that two calls, or a call and checkouts, cannot
//! deadlock. Fixtures of orders are in `schema/postgres/functions/cart_fixtures.sql`.

use tokio_postgres::types::Type;

use crate::cart::model::{Amount, Item, ItemId, Order, UserId};
use crate::db::postgres::pool::{Pool, with_client};
use crate::db::postgres::session::Sql;
use crate::db::postgres::text_array::text_array;
use crate::db::storage::{ActContext, StorageError};

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

pub(super) async fn put_orders(
    pool: &Pool,
    context: ActContext,
    orders: Vec<Order>,
) -> Result<(), StorageError> {
    with_client(pool, context, move |client| async move {
        let text = |of: fn(&Order) -> String| orders.iter().map(of).collect::<Vec<_>>();
        let statement = client.prepare_cached(PUT_ORDERS).await?;
        client
            .execute(
                &statement,
                &[
                    &text(|order| order.id.to_string()),
                    &text(|order| order.user.to_string()),
                    &text(|order| text_array(order.lines.iter().map(|line| line.item.as_str()))),
                    &text(|order| {
                        text_array(order.lines.iter().map(|line| line.quantity.to_string()))
                    }),
                    &text(|order| text_array(order.lines.iter().map(|line| line.cost.to_string()))),
                ],
            )
            .await
            .map(drop)
    })
    .await
}

pub(super) async fn put_items(
    pool: &Pool,
    context: ActContext,
    items: Vec<ItemId>,
    item: Item,
) -> Result<(), StorageError> {
    with_client(pool, context, move |client| async move {
        let ids: Vec<&str> = items.iter().map(ItemId::as_str).collect();
        let statement = client.prepare_cached(PUT_ITEMS).await?;
        let (price, stock) = (item.price.signed(), item.stock.signed());
        client.execute(&statement, &[&ids, &price, &stock]).await.map(drop)
    })
    .await
}

pub(super) async fn put_users(
    pool: &Pool,
    context: ActContext,
    users: Vec<UserId>,
    credit: Amount,
) -> Result<(), StorageError> {
    with_client(pool, context, move |client| async move {
        let ids: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let statement = client.prepare_cached(PUT_USERS).await?;
        client.execute(&statement, &[&ids, &credit.signed()]).await.map(drop)
    })
    .await
}
