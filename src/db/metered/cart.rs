//! Calls about orders, stock, payment and fixtures.

use async_trait::async_trait;

use super::Metered;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, FixtureStore, OrderStore, PaymentStore,
    StockStore, StorageError,
};

/// Implements a trait by its inner store, each call timed under the name that the metric shows: by
/// `time`, or by `time_act` where the call may be refused.
macro_rules! metered {
    ($store:ident { $(
        $time:ident $call:literal
        $method:ident($($argument:ident: $type:ty),*) -> $result:ty;
    )* }) => {
        #[async_trait]
        impl $store for Metered<dyn $store> { $(
            async fn $method(&self, $($argument: $type),*) -> $result {
                self.$time($call, self.inner.$method($($argument),*)).await
            }
        )* }
    };
}

type Result<T> = std::result::Result<T, StorageError>;

metered!(OrderStore {
    time_act "order_create"
        create_order(context: ActContext, order: OrderId, user: UserId) -> CartResult<OrderId>;
    time "order_find" find_order(order: &OrderId) -> Result<Option<Order>>;
    time_act "order_add_item"
        add_item(context: ActContext, order: OrderId, item: ItemId, quantity: Amount) -> CartResult;
    time_act "order_remove_item"
        remove_item(context: ActContext, order: OrderId, item: ItemId) -> CartResult;
    time_act "order_remove" remove_order(context: ActContext, order: OrderId) -> CartResult;
    time_act "checkout" checkout(context: ActContext, order: OrderId) -> CartResult;
});

metered!(StockStore {
    time_act "item_create"
        create_item(context: ActContext, item: ItemId, price: Amount) -> CartResult<ItemId>;
    time "item_find" find_item(item: &ItemId) -> Result<Option<Item>>;
    time_act "add_stock"
        add_stock(context: ActContext, item: ItemId, quantity: Amount) -> CartResult;
    time_act "subtract_stock"
        subtract_stock(context: ActContext, item: ItemId, quantity: Amount) -> CartResult;
});

metered!(PaymentStore {
    time_act "user_create" create_user(context: ActContext, user: UserId) -> CartResult<UserId>;
    time "user_find" find_credit(user: &UserId) -> Result<Option<Amount>>;
    time_act "add_funds" add_funds(context: ActContext, user: UserId, amount: Amount) -> CartResult;
    time_act "pay" pay(context: ActContext, user: UserId, amount: Amount) -> CartResult;
    time_act "cancel" cancel(context: ActContext, user: UserId, order: OrderId) -> CartResult;
    time "order_find" is_paid(user: &UserId, order: &OrderId) -> Result<Option<bool>>;
});

metered!(FixtureStore {
    time "key_find"
        find_outcome(context: &ActContext) -> Result<Option<std::result::Result<(), CartRefusal>>>;
    time_act "orders_put" put_orders(context: ActContext, orders: Vec<Order>) -> CartResult;
    time_act "items_put" put_items(context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult;
    time_act "users_put"
        put_users(context: ActContext, users: Vec<UserId>, credit: Amount) -> CartResult;
});

metered!(CartAudit {
    time "audit" audit() -> Result<Audit>;
    time "audit_repair" repair() -> Result<Audit>;
});
