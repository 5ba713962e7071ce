//! Cases of stock and credit, of fixtures, and of the audit.

use storefront::cart::model::{Amount, Item, ItemId, Order, UserId};
use storefront::db::storage::CartRefusal;
use testkit::audit::settled_audit;

use super::{agrees, cart, checkout, credit, fixtures, found, item, n, order, stock, user};
use crate::world::{World, act};

pub async fn stock_and_credit_are_never_negative(world: World) {
    let cart = cart(&world.stores);
    let (user, item) = (user(&cart, 5).await, item(&cart, 5, 1).await);
    let refused = Err(CartRefusal::OutOfStock(item.clone()));
    assert_eq!(cart.stock.subtract_stock(act(), item.clone(), n(6)).await.unwrap(), refused);
    assert_eq!(
        cart.payments.pay(act(), user.clone(), n(6)).await.unwrap(),
        Err(CartRefusal::NotEnoughCredit)
    );
    cart.stock.subtract_stock(act(), item.clone(), n(5)).await.unwrap().unwrap();
    cart.payments.pay(act(), user.clone(), n(5)).await.unwrap().unwrap();
    assert_eq!((stock(&cart, &item).await, credit(&cart, &user).await), (0, 0));
    agrees(&cart).await;
}

pub async fn amounts_never_leave_their_range(world: World) {
    let cart = cart(&world.stores);
    let (user, dear) = (user(&cart, 1).await, item(&cart, 1, Amount::MAX.get()).await);
    let order = order(&cart, &user, &[(&dear, 1)]).await;
    let (more, cheap) = (Amount::MAX, item(&cart, 0, 1).await);
    for refused in [
        cart.stock.add_stock(act(), dear.clone(), more).await.unwrap(),
        cart.payments.add_funds(act(), user.clone(), more).await.unwrap(),
        cart.orders.add_item(act(), order.clone(), dear.clone(), n(1)).await.unwrap(),
        cart.orders.add_item(act(), order.clone(), dear.clone(), more).await.unwrap(),
        cart.orders.add_item(act(), order.clone(), cheap, n(1)).await.unwrap(),
    ] {
        assert_eq!(refused, Err(CartRefusal::AmountOverflow));
    }
    assert_eq!((stock(&cart, &dear).await, credit(&cart, &user).await), (1, 1));
    assert_eq!(found(&cart, &order).await.total_cost(), Amount::MAX);
    agrees(&cart).await;
}

pub async fn fixtures_can_be_reset_any_number_of_times(world: World) {
    let cart = cart(&world.stores);
    for round in 0..3 {
        let orders = fixtures(&cart).await;
        agrees(&cart).await;
        for order in &orders[..2] {
            assert_eq!(checkout(&cart, order).await, Ok(()), "round {round}");
        }
        assert_eq!(stock(&cart, &ItemId::numbered(0)).await, 8);
        assert_eq!(credit(&cart, &UserId::numbered(1)).await, 6);
        agrees(&cart).await;
    }
}

pub async fn reset_fixtures_are_counted_by_the_audit(world: World) {
    let cart = cart(&world.stores);
    let orders = fixtures(&cart).await;
    checkout(&cart, &orders[0]).await.unwrap();
    checkout(&cart, &orders[1]).await.unwrap();
    assert_eq!(cart.audit.audit().await.unwrap().reset, 0);
    // A user and an item of paid orders are reset; so is a paid order.
    cart.fixtures.put_users(act(), vec![UserId::numbered(0)], n(7)).await.unwrap().unwrap();
    cart.fixtures
        .put_items(act(), vec![ItemId::numbered(0)], Item { stock: n(4), price: n(2) })
        .await
        .unwrap()
        .unwrap();
    let replaced = Order { paid: false, ..found(&cart, &orders[1]).await };
    cart.fixtures.put_orders(act(), vec![replaced]).await.unwrap().unwrap();
    agrees(&cart).await;
    assert!(cart.audit.audit().await.unwrap().reset > 0);
    // What was reset takes nothing back.
    cart.payments.cancel(act(), UserId::numbered(0), orders[0].clone()).await.unwrap().unwrap();
    assert_eq!(credit(&cart, &UserId::numbered(0)).await, 7);
    assert_eq!(stock(&cart, &ItemId::numbered(0)).await, 4);
    assert_eq!(stock(&cart, &ItemId::numbered(1)).await, 9, "one returned, one was replaced");
    agrees(&cart).await;
}

pub async fn an_audit_counts_what_is_there(world: World) {
    let cart = cart(&world.stores);
    let orders = fixtures(&cart).await;
    checkout(&cart, &orders[2]).await.unwrap();
    let audit = settled_audit(cart.audit.as_ref()).await;
    let counts = (audit.users, audit.items, audit.orders, audit.paid_orders);
    assert_eq!((counts, audit.reset), ((3, 2, 3, 1), 0));
}
