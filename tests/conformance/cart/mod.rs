//! Cases of orders, stock, payment and their fixtures: edits of orders in `orders`, checkouts and
//! cancels in `checkouts`, amounts, fixtures and the audit in `accounts`. Here: what a user does.

mod accounts;
mod checkouts;
mod orders;

use storefront::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use storefront::db::Stores;
use storefront::db::storage::CartRefusal;
use testkit::audit::settled_audit;

pub use self::accounts::*;
pub use self::checkouts::*;
pub use self::orders::*;
use crate::world::{World, act};

pub(super) type Cart = Stores;

pub(super) fn n(value: u64) -> Amount {
    Amount::new(value).unwrap()
}

pub(super) fn cart(stores: &Stores) -> Cart {
    stores.clone()
}

pub(super) async fn item(cart: &Cart, stock: u64, price: u64) -> ItemId {
    let id = ItemId::new();
    cart.stock.create_item(act(), id.clone(), n(price)).await.unwrap().unwrap();
    cart.stock.add_stock(act(), id.clone(), n(stock)).await.unwrap().unwrap();
    id
}

pub(super) async fn user(cart: &Cart, credit: u64) -> UserId {
    let id = UserId::new();
    cart.payments.create_user(act(), id.clone()).await.unwrap().unwrap();
    cart.payments.add_funds(act(), id.clone(), n(credit)).await.unwrap().unwrap();
    id
}

/// An order of these quantities.
pub(super) async fn order(cart: &Cart, user: &UserId, items: &[(&ItemId, u64)]) -> OrderId {
    let id = OrderId::new();
    cart.orders.create_order(act(), id.clone(), user.clone()).await.unwrap().unwrap();
    for (item, quantity) in items {
        cart.orders
            .add_item(act(), id.clone(), (*item).clone(), n(*quantity))
            .await
            .unwrap()
            .unwrap();
    }
    id
}

pub(super) async fn stock(cart: &Cart, item: &ItemId) -> u64 {
    cart.stock.find_item(item).await.unwrap().unwrap().stock.get()
}

pub(super) async fn credit(cart: &Cart, user: &UserId) -> u64 {
    cart.payments.find_credit(user).await.unwrap().unwrap().get()
}

pub(super) async fn found(cart: &Cart, order: &OrderId) -> Order {
    cart.orders.find_order(order).await.unwrap().unwrap()
}

pub(super) async fn is_paid(cart: &Cart, order: &OrderId) -> bool {
    found(cart, order).await.paid
}

pub(super) async fn checkout(cart: &Cart, order: &OrderId) -> Result<(), CartRefusal> {
    cart.orders.checkout(act(), order.clone()).await.unwrap()
}

/// Every sum follows from the orders.
pub(super) async fn agrees(cart: &Cart) {
    let audit = settled_audit(cart.audit.as_ref()).await;
    assert_eq!(audit.differences, []);
    assert_eq!(audit.different, 0);
}

/// Fixtures: 3 users, 2 items and 3 orders of one of each item.
pub(super) async fn fixtures(cart: &Cart) -> Vec<OrderId> {
    let items: Vec<_> = (0..2).map(ItemId::numbered).collect();
    cart.fixtures
        .put_users(act(), (0..3).map(UserId::numbered).collect(), n(10))
        .await
        .unwrap()
        .unwrap();
    cart.fixtures
        .put_items(act(), items.clone(), Item { stock: n(10), price: n(2) })
        .await
        .unwrap()
        .unwrap();
    let lines = items.into_iter().map(|item| Line { item, quantity: n(1), cost: n(2) });
    let lines: Vec<_> = lines.collect();
    let orders = (0..3).map(|number| Order {
        id: OrderId::numbered(number),
        user: UserId::numbered(number),
        paid: false,
        lines: lines.clone(),
    });
    let orders: Vec<_> = orders.collect();
    cart.fixtures.put_orders(act(), orders.clone()).await.unwrap().unwrap();
    orders.into_iter().map(|order| order.id).collect()
}

pub(super) async fn cart_of(world: &World) -> Cart {
    cart(&world.another_server().await)
}
