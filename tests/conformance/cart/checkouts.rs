//! Cases of checkouts and cancels, one at a time and many at once.

use storefront::cart::model::{Item, ItemId, Line, Order, OrderId, UserId};
use storefront::db::storage::CartRefusal;

use super::{agrees, cart, cart_of, checkout, credit, is_paid, item, n, order, stock, user};
use crate::world::{World, act, at_once};

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

/// That many servers, each with its share of `buyers` who want one of the items each.
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
