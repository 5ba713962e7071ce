//! Cases of orders and their lines.

use storefront::cart::model::{Item, ItemId, Line, Order, OrderId, UserId};
use storefront::db::storage::CartRefusal;

use super::{cart, checkout, credit, found, item, n, order, user};
use crate::world::{World, act};

pub async fn a_new_order_is_empty_and_its_user_need_not_exist(world: World) {
    let cart = cart(&world.stores);
    let (id, user) = (OrderId::new(), UserId::new());
    cart.orders.create_order(act(), id.clone(), user.clone()).await.unwrap().unwrap();
    let expected = Order { id: id.clone(), user: user.clone(), paid: false, lines: vec![] };
    assert_eq!(cart.orders.find_order(&id).await.unwrap(), Some(expected));
    assert_eq!(cart.orders.find_order(&OrderId::new()).await.unwrap(), None);
    assert_eq!(checkout(&cart, &id).await, Err(CartRefusal::Empty));
    let item = item(&cart, 1, 1).await;
    cart.orders.add_item(act(), id.clone(), item, n(1)).await.unwrap().unwrap();
    assert_eq!(checkout(&cart, &id).await, Err(CartRefusal::NoUser(user)));
}

pub async fn what_is_not_there_is_refused(world: World) {
    let cart = cart(&world.stores);
    let (no_order, no_item, no_user) = (OrderId::new(), ItemId::new(), UserId::new());
    assert_eq!(cart.stock.find_item(&no_item).await.unwrap(), None);
    assert_eq!(cart.payments.find_credit(&no_user).await.unwrap(), None);
    let user = user(&cart, 1).await;
    let order = order(&cart, &user, &[]).await;
    for refused in [
        cart.orders.add_item(act(), no_order.clone(), no_item.clone(), n(1)).await.unwrap(),
        cart.orders.remove_item(act(), no_order.clone(), no_item.clone()).await.unwrap(),
        cart.orders.remove_order(act(), no_order.clone()).await.unwrap(),
        cart.orders.checkout(act(), no_order.clone()).await.unwrap(),
        cart.payments.cancel(act(), user.clone(), no_order.clone()).await.unwrap(),
    ] {
        assert_eq!(refused, Err(CartRefusal::NoOrder));
    }
    let refused = Err(CartRefusal::NoItem(no_item.clone()));
    assert_eq!(
        cart.orders.add_item(act(), order.clone(), no_item.clone(), n(1)).await.unwrap(),
        refused
    );
    assert_eq!(cart.stock.add_stock(act(), no_item.clone(), n(1)).await.unwrap(), refused);
    assert_eq!(cart.stock.subtract_stock(act(), no_item.clone(), n(0)).await.unwrap(), refused);
    let refused = Err(CartRefusal::NoUser(no_user.clone()));
    assert_eq!(cart.payments.add_funds(act(), no_user.clone(), n(1)).await.unwrap(), refused);
    assert_eq!(cart.payments.pay(act(), no_user.clone(), n(0)).await.unwrap(), refused);
    assert_eq!(
        cart.orders.remove_item(act(), order, no_item).await.unwrap(),
        Err(CartRefusal::NotInOrder)
    );
}

pub async fn the_same_item_twice_adds_up(world: World) {
    let cart = cart(&world.stores);
    let user = user(&cart, 0).await;
    let (one, other) = (item(&cart, 0, 3).await, item(&cart, 0, 5).await);
    let order = order(&cart, &user, &[(&other, 1), (&one, 2), (&other, 4)]).await;
    let mut lines = vec![
        Line { item: one.clone(), quantity: n(2), cost: n(6) },
        Line { item: other.clone(), quantity: n(5), cost: n(25) },
    ];
    lines.sort_by(|a, b| a.item.cmp(&b.item));
    let found = found(&cart, &order).await;
    assert_eq!((found.total_cost(), found.lines), (n(31), lines));
}

pub async fn one_is_taken_off_at_a_time(world: World) {
    let cart = cart(&world.stores);
    let user = user(&cart, 0).await;
    let (one, other) = (item(&cart, 0, 3).await, item(&cart, 0, 5).await);
    let order = order(&cart, &user, &[(&one, 2), (&other, 1)]).await;
    cart.orders.remove_item(act(), order.clone(), one.clone()).await.unwrap().unwrap();
    assert_eq!(found(&cart, &order).await.total_cost(), n(8));
    cart.orders.remove_item(act(), order.clone(), one.clone()).await.unwrap().unwrap();
    let lines = found(&cart, &order).await.lines;
    assert_eq!(lines, [Line { item: other, quantity: n(1), cost: n(5) }]);
    assert_eq!(
        cart.orders.remove_item(act(), order, one).await.unwrap(),
        Err(CartRefusal::NotInOrder)
    );
}

pub async fn an_order_has_a_thousand_lines_at_most(world: World) {
    let cart = cart(&world.stores);
    let (id, user) = (OrderId::new(), user(&cart, 0).await);
    let line = |number| Line { item: ItemId::numbered(number), quantity: n(1), cost: n(1) };
    let mut lines: Vec<_> = (0..999).map(line).collect();
    lines.sort_by(|a, b| a.item.cmp(&b.item));
    let full = Order { id: id.clone(), user, paid: false, lines };
    cart.fixtures.put_orders(act(), vec![full]).await.unwrap().unwrap();
    let (last, beyond) = (item(&cart, 0, 1).await, item(&cart, 0, 1).await);
    let add = async |item: &ItemId| {
        cart.orders.add_item(act(), id.clone(), item.clone(), n(1)).await.unwrap()
    };
    assert_eq!(add(&last).await, Ok(()));
    assert_eq!(add(&beyond).await, Err(CartRefusal::TooManyLines));
    assert_eq!(add(&last).await, Ok(()), "more of an item that is in it is no further line");
    assert_eq!(found(&cart, &id).await.lines.len(), 1_000);
    cart.orders.remove_item(act(), id.clone(), ItemId::numbered(7)).await.unwrap().unwrap();
    assert_eq!(add(&beyond).await, Ok(()));
    assert_eq!(add(&ItemId::numbered(7)).await, Err(CartRefusal::NoItem(ItemId::numbered(7))));
}

pub async fn a_paid_order_is_not_changed(world: World) {
    let cart = cart(&world.stores);
    let (user, item) = (user(&cart, 10).await, item(&cart, 10, 1).await);
    let order = order(&cart, &user, &[(&item, 2)]).await;
    checkout(&cart, &order).await.unwrap();
    for refused in [
        cart.orders.add_item(act(), order.clone(), item.clone(), n(1)).await.unwrap(),
        cart.orders.remove_item(act(), order.clone(), item.clone()).await.unwrap(),
        cart.orders.remove_order(act(), order.clone()).await.unwrap(),
    ] {
        assert_eq!(refused, Err(CartRefusal::Paid));
    }
    assert_eq!(found(&cart, &order).await.lines[0].quantity, n(2));
}

pub async fn an_unpaid_order_can_be_removed(world: World) {
    let cart = cart(&world.stores);
    let (user, item) = (user(&cart, 10).await, item(&cart, 10, 1).await);
    let order = order(&cart, &user, &[(&item, 2)]).await;
    cart.orders.remove_order(act(), order.clone()).await.unwrap().unwrap();
    assert_eq!(cart.orders.find_order(&order).await.unwrap(), None);
    assert_eq!(checkout(&cart, &order).await, Err(CartRefusal::NoOrder));
    assert_eq!(cart.orders.remove_order(act(), order).await.unwrap(), Err(CartRefusal::NoOrder));
}

pub async fn the_price_is_that_at_the_time_of_adding(world: World) {
    let cart = cart(&world.stores);
    let id = ItemId::numbered(0);
    let put = async |price| {
        let item = Item { stock: n(10), price: n(price) };
        cart.fixtures.put_items(act(), vec![id.clone()], item).await.unwrap().unwrap();
    };
    put(3).await;
    let user = user(&cart, 100).await;
    let order = order(&cart, &user, &[(&id, 2)]).await;
    put(5).await;
    cart.orders.add_item(act(), order.clone(), id.clone(), n(1)).await.unwrap().unwrap();
    assert_eq!(found(&cart, &order).await.total_cost(), n(11));
    checkout(&cart, &order).await.unwrap();
    assert_eq!(credit(&cart, &user).await, 89);
}
