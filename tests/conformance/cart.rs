//! Cases of orders, stock, payment and their fixtures.

use crate::world::act;
use storefront::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use storefront::db::Stores;
use storefront::db::storage::CartRefusal;

use crate::world::{World, at_once};
use testkit::audit::settled_audit;

type Cart = Stores;

fn n(value: u64) -> Amount {
    Amount::new(value).unwrap()
}

fn cart(stores: &Stores) -> Cart {
    stores.clone()
}

async fn item(cart: &Cart, stock: u64, price: u64) -> ItemId {
    let id = ItemId::new();
    cart.stock.create_item(act(), id.clone(), n(price)).await.unwrap().unwrap();
    cart.stock.add_stock(act(), id.clone(), n(stock)).await.unwrap().unwrap();
    id
}

async fn user(cart: &Cart, credit: u64) -> UserId {
    let id = UserId::new();
    cart.payments.create_user(act(), id.clone()).await.unwrap().unwrap();
    cart.payments.add_funds(act(), id.clone(), n(credit)).await.unwrap().unwrap();
    id
}

/// An order of these quantities.
async fn order(cart: &Cart, user: &UserId, items: &[(&ItemId, u64)]) -> OrderId {
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

async fn stock(cart: &Cart, item: &ItemId) -> u64 {
    cart.stock.find_item(item).await.unwrap().unwrap().stock.get()
}

async fn credit(cart: &Cart, user: &UserId) -> u64 {
    cart.payments.find_credit(user).await.unwrap().unwrap().get()
}

async fn found(cart: &Cart, order: &OrderId) -> Order {
    cart.orders.find_order(order).await.unwrap().unwrap()
}

async fn is_paid(cart: &Cart, order: &OrderId) -> bool {
    found(cart, order).await.paid
}

async fn checkout(cart: &Cart, order: &OrderId) -> Result<(), CartRefusal> {
    cart.orders.checkout(act(), order.clone()).await.unwrap()
}

/// Every sum follows from the orders.
async fn agrees(cart: &Cart) {
    let audit = settled_audit(cart.audit.as_ref()).await;
    assert_eq!(audit.differences, []);
    assert_eq!(audit.different, 0);
}

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

pub async fn a_checkout_takes_everything_once(world: World) {
    let cart = cart(&world.stores);
    let user = user(&cart, 100).await;
    let (one, other) = (item(&cart, 10, 3).await, item(&cart, 10, 5).await);
    let order = order(&cart, &user, &[(&one, 2), (&other, 3)]).await;
    for _ in 0..3 {
        assert_eq!(checkout(&cart, &order).await, Ok(()));
        assert!(is_paid(&cart, &order).await);
        assert_eq!((stock(&cart, &one).await, stock(&cart, &other).await), (8, 7));
        assert_eq!(credit(&cart, &user).await, 79);
    }
    agrees(&cart).await;
}

pub async fn a_refused_checkout_changes_nothing(world: World) {
    let cart = cart(&world.stores);
    let (poor, rich) = (user(&cart, 10).await, user(&cart, 1_000).await);
    let (plenty, scarce) = (item(&cart, 100, 6).await, item(&cart, 1, 1).await);
    let dear = order(&cart, &poor, &[(&plenty, 2)]).await;
    assert_eq!(checkout(&cart, &dear).await, Err(CartRefusal::NotEnoughCredit));
    let much = order(&cart, &rich, &[(&plenty, 2), (&scarce, 2)]).await;
    assert_eq!(checkout(&cart, &much).await, Err(CartRefusal::OutOfStock(scarce.clone())));
    for order in [&dear, &much] {
        assert!(!is_paid(&cart, order).await);
    }
    assert_eq!((stock(&cart, &plenty).await, stock(&cart, &scarce).await), (100, 1));
    assert_eq!((credit(&cart, &poor).await, credit(&cart, &rich).await), (10, 1_000));
    agrees(&cart).await;
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

pub async fn a_cancelled_order_is_open_again(world: World) {
    let cart = cart(&world.stores);
    let (user, other_user) = (user(&cart, 10).await, user(&cart, 0).await);
    let item = item(&cart, 10, 2).await;
    let order = order(&cart, &user, &[(&item, 3)]).await;
    let cancel =
        async |by: &UserId| cart.payments.cancel(act(), by.clone(), order.clone()).await.unwrap();
    assert_eq!(cancel(&user).await, Err(CartRefusal::NotPaid));
    checkout(&cart, &order).await.unwrap();
    assert_eq!(cancel(&other_user).await, Err(CartRefusal::WrongUser));
    assert_eq!((stock(&cart, &item).await, credit(&cart, &user).await), (7, 4));
    assert_eq!(cancel(&user).await, Ok(()));
    assert_eq!((stock(&cart, &item).await, credit(&cart, &user).await), (10, 10));
    assert_eq!(cancel(&user).await, Err(CartRefusal::NotPaid), "it is refunded once");
    agrees(&cart).await;
    cart.orders.add_item(act(), order.clone(), item.clone(), n(1)).await.unwrap().unwrap();
    checkout(&cart, &order).await.unwrap();
    assert_eq!((stock(&cart, &item).await, credit(&cart, &user).await), (6, 2));
    agrees(&cart).await;
}

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

/// A bed of 3 users, 2 items and 3 orders of one of each item.
async fn bed(cart: &Cart) -> Vec<OrderId> {
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

pub async fn fixtures_can_be_reset_any_number_of_times(world: World) {
    let cart = cart(&world.stores);
    for round in 0..3 {
        let orders = bed(&cart).await;
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
    let orders = bed(&cart).await;
    checkout(&cart, &orders[0]).await.unwrap();
    checkout(&cart, &orders[1]).await.unwrap();
    assert_eq!(cart.audit.audit().await.unwrap().reset, 0);
    // A user and an item of paid orders begin anew; so does a paid order.
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
    // What was begun anew takes nothing back.
    cart.payments.cancel(act(), UserId::numbered(0), orders[0].clone()).await.unwrap().unwrap();
    assert_eq!(credit(&cart, &UserId::numbered(0)).await, 7);
    assert_eq!(stock(&cart, &ItemId::numbered(0)).await, 4);
    assert_eq!(stock(&cart, &ItemId::numbered(1)).await, 9, "one returned, one was replaced");
    agrees(&cart).await;
}

/// `sellers` servers, each with its share of `buyers` who want one of the items each.
async fn rush(world: &World, items: &[ItemId], buyers: usize, servers: usize) -> Vec<OrderId> {
    let first = cart(&world.stores);
    let mut carts = vec![first];
    for _ in 1..servers {
        carts.push(cart(&world.another_server().await));
    }
    let buying = (0..buyers).map(|number| {
        let cart = carts[number % servers].clone();
        let item = items[number % items.len()].clone();
        async move {
            let user = user(&cart, 1).await;
            let order = order(&cart, &user, &[(&item, 1)]).await;
            let outcome = checkout(&cart, &order).await;
            let sold_out = Err(CartRefusal::OutOfStock(item));
            assert!(outcome == Ok(()) || outcome == sold_out, "{outcome:?}");
            let left = credit(&cart, &user).await;
            assert_eq!(left, u64::from(outcome.is_err()));
            outcome.is_ok().then_some(order)
        }
    });
    at_once(buying).await.into_iter().flatten().collect()
}

pub async fn no_more_is_sold_than_there_is(world: World) {
    let cart = cart(&world.stores);
    let item = item(&cart, 20, 1).await;
    let sold = rush(&world, std::slice::from_ref(&item), 60, 2).await;
    assert_eq!(sold.len(), 20, "all of it is sold");
    assert_eq!(stock(&cart, &item).await, 0);
    agrees(&cart).await;
}

pub async fn orders_of_the_same_items_in_any_order_do_not_block_each_other(world: World) {
    let cart = cart(&world.stores);
    let other = cart_of(&world).await;
    let (one, two) = (item(&cart, 40, 1).await, item(&cart, 40, 1).await);
    let user = user(&cart, 80).await;
    let orders = at_once((0..40).map(|number| {
        let cart = if number % 2 == 0 { cart.clone() } else { other.clone() };
        let (one, two, user) = (one.clone(), two.clone(), user.clone());
        async move {
            let items =
                if number % 2 == 0 { [(&one, 1), (&two, 1)] } else { [(&two, 1), (&one, 1)] };
            let order = order(&cart, &user, &items).await;
            (checkout(&cart, &order).await, order)
        }
    }))
    .await;
    assert!(orders.iter().all(|(outcome, _)| *outcome == Ok(())));
    assert_eq!((stock(&cart, &one).await, stock(&cart, &two).await), (0, 0));
    assert_eq!(credit(&cart, &user).await, 0);
    agrees(&cart).await;
}

async fn cart_of(world: &World) -> Cart {
    cart(&world.another_server().await)
}

pub async fn one_order_is_charged_once_however_many_checkouts_race(world: World) {
    let (cart, other) = (cart(&world.stores), cart_of(&world).await);
    let (user, item) = (user(&cart, 100).await, item(&cart, 100, 7).await);
    let order = order(&cart, &user, &[(&item, 1)]).await;
    let outcomes = at_once((0..12).map(|number| {
        let cart = if number % 2 == 0 { cart.clone() } else { other.clone() };
        let order = order.clone();
        async move { checkout(&cart, &order).await }
    }))
    .await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(())), "{outcomes:?}");
    assert_eq!((stock(&cart, &item).await, credit(&cart, &user).await), (99, 93));
    agrees(&cart).await;
}

pub async fn checkouts_and_cancels_at_once_leave_every_sum_right(world: World) {
    let (cart, other) = (cart(&world.stores), cart_of(&world).await);
    let (user, item) = (user(&cart, 50).await, item(&cart, 50, 1).await);
    let order = order(&cart, &user, &[(&item, 5)]).await;
    at_once((0..16).map(|number| {
        let cart = if number % 2 == 0 { cart.clone() } else { other.clone() };
        let (user, order) = (user.clone(), order.clone());
        async move {
            if number % 4 < 2 {
                checkout(&cart, &order).await.unwrap();
            } else {
                let outcome = cart.payments.cancel(act(), user, order).await.unwrap();
                assert!(matches!(outcome, Ok(()) | Err(CartRefusal::NotPaid)));
            }
        }
    }))
    .await;
    let taken = if is_paid(&cart, &order).await { 5 } else { 0 };
    assert_eq!(stock(&cart, &item).await, 50 - taken);
    assert_eq!(credit(&cart, &user).await, 50 - taken);
    agrees(&cart).await;
}

pub async fn an_audit_counts_what_is_there(world: World) {
    let cart = cart(&world.stores);
    let orders = bed(&cart).await;
    checkout(&cart, &orders[2]).await.unwrap();
    let audit = settled_audit(cart.audit.as_ref()).await;
    let counts = (audit.users, audit.items, audit.orders, audit.paid_orders);
    assert_eq!((counts, audit.reset), ((3, 2, 3, 1), 0));
}

/// 1000 users with a credit of 1, 100 pieces in all, 1000 orders of one piece each that are checked
/// out at once through two servers.
async fn acceptance(world: World, kinds: u64) {
    let (cart, other) = (cart(&world.stores), cart_of(&world).await);
    let items: Vec<_> = (0..kinds).map(ItemId::numbered).collect();
    let orders = (0..1_000).map(|number| one_piece(number, &items)).collect();
    cart.fixtures
        .put_users(act(), (0..1_000).map(UserId::numbered).collect(), n(1))
        .await
        .unwrap()
        .unwrap();
    cart.fixtures
        .put_items(act(), items.clone(), Item { stock: n(100 / kinds), price: n(1) })
        .await
        .unwrap()
        .unwrap();
    cart.fixtures.put_orders(act(), orders).await.unwrap().unwrap();
    let outcomes = at_once((0..1_000).map(|number| {
        let cart = if number % 2 == 0 { cart.clone() } else { other.clone() };
        async move { checkout(&cart, &OrderId::numbered(number)).await }
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 100);
    for (number, outcome) in (0..).zip(outcomes) {
        assert_eq!(is_paid(&cart, &OrderId::numbered(number)).await, outcome.is_ok());
    }
    let mut left = 0;
    for user in 0..1_000 {
        left += credit(&cart, &UserId::numbered(user)).await;
    }
    assert_eq!(left, 900);
    for item in &items {
        assert_eq!(stock(&cart, item).await, 0);
    }
    agrees(&cart).await;
}

/// The first order of each item is by a user who has no other, so that all can be sold; the others
/// are by users drawn at random.
fn one_piece(number: u64, items: &[ItemId]) -> Order {
    let user = if number < 100 { number } else { rand::random_range(100..1_000) };
    let item = items[number as usize % items.len()].clone();
    let lines = vec![Line { item, quantity: n(1), cost: n(1) }];
    Order { id: OrderId::numbered(number), user: UserId::numbered(user), paid: false, lines }
}

pub async fn a_thousand_buyers_of_a_hundred_pieces_buy_a_hundred(world: World) {
    acceptance(world, 1).await;
}

pub async fn a_thousand_buyers_of_a_hundred_items_buy_a_hundred(world: World) {
    acceptance(world, 100).await;
}
