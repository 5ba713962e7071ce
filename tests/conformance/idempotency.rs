//! Cases of keys and preconditions: a write under a key takes effect once, however often, wherever and
//! when it is repeated.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use storefront::cart::model::{Amount, Item, ItemId, OrderId, UserId};
use storefront::db::Stores;
use storefront::db::storage::{
    ActContext, Begin, CartRefusal, Create, IdempotencyKey, LoadMode, NewLoad, Precondition,
    Remove, StorageError, Update, WriteRefusal,
};
use storefront::overview::model::{Changes, GameId};
use testkit::audit::settled_audit;

use crate::world::{World, act, at_once, game};

/// One request of a client, which may be sent any number of times.
#[derive(Clone)]
struct Request {
    key: String,
    fingerprint: u128,
    kept_for: Duration,
}

impl Request {
    fn new() -> Self {
        let key = OrderId::new().to_string();
        Self { key, fingerprint: 1, kept_for: Duration::from_secs(3_600) }
    }

    /// Another request under the same key.
    fn other(&self) -> Self {
        Self { fingerprint: self.fingerprint + 1, ..self.clone() }
    }

    /// Sends it; the outcome, and whether it is that of an earlier time.
    async fn send<T, F>(&self, send: impl FnOnce(ActContext) -> F) -> (T, bool)
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let key = IdempotencyKey::new(self.key.clone(), self.fingerprint, self.kept_for);
        let outcome = send(act().with_key(Some(key.clone()))).await.unwrap();
        (outcome, key.is_replayed())
    }
}

fn n(value: u64) -> Amount {
    Amount::new(value).unwrap()
}

/// Sends a request to one server, then again to it and to another: the outcome is the same.
macro_rules! thrice {
    ($servers:expr, $store:ident . $method:ident ( $($argument:expr),* )) => {{
        let request = Request::new();
        let [first, second] = &$servers;
        let (outcome, replayed) =
            request.send(|context| first.$store.$method(context $(, $argument)*)).await;
        assert!(!replayed, "{outcome:?} at once");
        for server in [first, second] {
            let repeated =
                request.send(|context| server.$store.$method(context $(, $argument)*)).await;
            assert_eq!(repeated, (outcome.clone(), true), stringify!($method));
        }
        outcome
    }};
}

async fn two_servers(world: &World) -> [Stores; 2] {
    [world.stores.clone(), world.another_server().await]
}

async fn credit(stores: &Stores, user: &UserId) -> u64 {
    stores.payments.find_credit(user).await.unwrap().unwrap().get()
}

async fn stock(stores: &Stores, item: &ItemId) -> u64 {
    stores.stock.find_item(item).await.unwrap().unwrap().stock.get()
}

/// An order of one piece of an item at the price of 3, its user with a credit of 10, the stock 10.
struct Shop {
    user: UserId,
    item: ItemId,
    order: OrderId,
}

async fn shop(stores: &Stores) -> Shop {
    let (user, item, order) = (UserId::new(), ItemId::new(), OrderId::new());
    stores.payments.create_user(act(), user.clone()).await.unwrap().unwrap();
    stores.payments.add_funds(act(), user.clone(), n(10)).await.unwrap().unwrap();
    stores.stock.create_item(act(), item.clone(), n(3)).await.unwrap().unwrap();
    stores.stock.add_stock(act(), item.clone(), n(10)).await.unwrap().unwrap();
    stores.orders.create_order(act(), order.clone(), user.clone()).await.unwrap().unwrap();
    let added = stores.orders.add_item(act(), order.clone(), item.clone(), n(1)).await;
    added.unwrap().unwrap();
    Shop { user, item, order }
}

async fn agrees(stores: &Stores) {
    assert_eq!(settled_audit(stores.audit.as_ref()).await.differences, []);
}

pub async fn every_write_of_the_cart_takes_effect_once(world: World) {
    let servers = two_servers(&world).await;
    let stores = &world.stores;
    let user = thrice!(servers, payments.create_user(UserId::new())).unwrap();
    thrice!(servers, payments.add_funds(user.clone(), n(10))).unwrap();
    thrice!(servers, payments.pay(user.clone(), n(3))).unwrap();
    assert_eq!(credit(stores, &user).await, 7);

    let item = thrice!(servers, stock.create_item(ItemId::new(), n(2))).unwrap();
    thrice!(servers, stock.add_stock(item.clone(), n(10))).unwrap();
    thrice!(servers, stock.subtract_stock(item.clone(), n(1))).unwrap();
    assert_eq!(stock(stores, &item).await, 9);

    let order = thrice!(servers, orders.create_order(OrderId::new(), user.clone())).unwrap();
    thrice!(servers, orders.add_item(order.clone(), item.clone(), n(3))).unwrap();
    thrice!(servers, orders.remove_item(order.clone(), item.clone())).unwrap();
    let found = stores.orders.find_order(&order).await.unwrap().unwrap();
    assert_eq!((found.user, found.lines[0].quantity), (user.clone(), n(2)));

    thrice!(servers, orders.checkout(order.clone())).unwrap();
    assert_eq!((credit(stores, &user).await, stock(stores, &item).await), (3, 7));
    thrice!(servers, payments.cancel(user.clone(), order.clone())).unwrap();
    assert_eq!((credit(stores, &user).await, stock(stores, &item).await), (7, 9));
    thrice!(servers, orders.remove_order(order.clone())).unwrap();
    assert_eq!(stores.orders.find_order(&order).await.unwrap(), None);
    agrees(stores).await;
}

pub async fn every_write_of_a_game_takes_effect_once(world: World) {
    let servers = two_servers(&world).await;
    let store = &world.stores.overviews;
    let Create::Created(assigned) = thrice!(servers, overviews.create(game(None))) else {
        panic!("not created");
    };
    let chosen = GameId(assigned.0 + 1_000);
    let created = thrice!(servers, overviews.create(game(Some(chosen.0))));
    assert_eq!(created, Create::Created(chosen));

    let changes = Changes { developer: Some("first".to_owned()), ..Changes::default() };
    thrice!(servers, overviews.update(chosen, changes.clone()));
    let removed = thrice!(servers, overviews.remove(assigned));
    assert_eq!(removed, Remove::Removed);
    let page = store.page(None, 100, None).await.unwrap();
    let found: Vec<_> = page.games.into_iter().map(|game| (game.game_id, game.developer)).collect();
    assert_eq!(found, [(chosen, "first".to_owned())]);
}

/// A change that came between is not undone by a repeat.
pub async fn a_repeat_changes_nothing_that_was_changed_since(world: World) {
    let stores = &world.stores;
    let Shop { user, item, order } = shop(stores).await;
    let (paid, cancelled, added) = (Request::new(), Request::new(), Request::new());
    let pay = |context| stores.orders.checkout(context, order.clone());
    let cancel = |context| stores.payments.cancel(context, user.clone(), order.clone());
    let add = |context| stores.orders.add_item(context, order.clone(), item.clone(), n(1));
    assert_eq!(paid.send(pay).await, (Ok(()), false));
    assert_eq!(cancelled.send(cancel).await, (Ok(()), false));
    assert_eq!(paid.send(pay).await, (Ok(()), true), "the repeat of a payment that was cancelled");
    assert_eq!(credit(stores, &user).await, 10, "nothing was paid again");
    assert_eq!(added.send(add).await, (Ok(()), false));
    assert_eq!(Request::new().send(pay).await, (Ok(()), false));
    assert_eq!(cancelled.send(cancel).await, (Ok(()), true), "the repeat of a cancel");
    assert_eq!(added.send(add).await, (Ok(()), true), "although the order is paid");
    assert_eq!((credit(stores, &user).await, stock(stores, &item).await), (4, 8));
    agrees(stores).await;

    let overviews = &stores.overviews;
    let change = |text: &str| Changes { developer: Some(text.to_owned()), ..Changes::default() };
    overviews.create(act(), game(Some(7))).await.unwrap();
    let (changed, removed) = (Request::new(), Request::new());
    changed.send(|context| overviews.update(context, GameId(7), change("first"))).await;
    overviews.update(act(), GameId(7), change("second")).await.unwrap();
    changed.send(|context| overviews.update(context, GameId(7), change("first"))).await;
    assert_eq!(overviews.find(GameId(7), None).await.unwrap().unwrap().developer, "second");
    removed.send(|context| overviews.remove(context, GameId(7))).await;
    overviews.create(act(), game(Some(7))).await.unwrap();
    let repeated = removed.send(|context| overviews.remove(context, GameId(7))).await;
    assert_eq!(repeated, (Remove::Removed, true));
    assert!(overviews.find(GameId(7), None).await.unwrap().is_some());
}

const AT_ONCE: usize = 64;

/// Sends one request many times at once, to two servers in turn; gives what they all are told.
async fn crowd<T, F>(servers: &[Stores; 2], send: impl Fn(Stores, ActContext) -> F) -> T
where
    T: Debug + Clone + PartialEq + Send + 'static,
    F: Future<Output = Result<T, StorageError>> + Send + 'static,
{
    let request = Request::new();
    let sent = (0..AT_ONCE).map(|number| {
        let (request, server) = (request.clone(), servers[number % 2].clone());
        let key = IdempotencyKey::new(request.key, request.fingerprint, request.kept_for);
        let outcome = send(server, act().with_key(Some(key.clone())));
        async move { (outcome.await.unwrap(), key.is_replayed()) }
    });
    let outcomes = at_once(sent.collect::<Vec<_>>()).await;
    let first = outcomes[0].0.clone();
    assert!(outcomes.iter().all(|(outcome, _)| *outcome == first), "{outcomes:?}");
    let acted = outcomes.iter().filter(|(_, replayed)| !replayed).count();
    assert_eq!(acted, 1, "all but one are told of an earlier request");
    first
}

pub async fn of_many_at_once_under_one_key_one_takes_effect(world: World) {
    let servers = two_servers(&world).await;
    let stores = &world.stores;
    let Shop { user, item, order } = shop(stores).await;
    let (u, i, o) = (user.clone(), item.clone(), order.clone());
    let made = crowd(&servers, move |stores, context| async move {
        stores.orders.create_order(context, OrderId::new(), UserId::new()).await
    });
    assert!(stores.orders.find_order(&made.await.unwrap()).await.unwrap().is_some());
    crowd(&servers, move |stores, context| {
        let user = u.clone();
        async move { stores.payments.add_funds(context, user, n(5)).await }
    })
    .await
    .unwrap();
    crowd(&servers, move |stores, context| {
        let (order, item) = (o.clone(), i.clone());
        async move { stores.orders.add_item(context, order, item, n(2)).await }
    })
    .await
    .unwrap();
    let o = order.clone();
    crowd(&servers, move |stores, context| {
        let order = o.clone();
        async move { stores.orders.checkout(context, order).await }
    })
    .await
    .unwrap();
    assert_eq!((credit(stores, &user).await, stock(stores, &item).await), (6, 7));
    crowd(
        &servers,
        |stores, context| async move { stores.overviews.create(context, game(None)).await },
    )
    .await;
    assert_eq!(stores.overviews.page(None, 10, None).await.unwrap().games.len(), 1);
    agrees(stores).await;
}

/// Many keys at once, each sent to both servers, on the same few users and orders: no request waits
/// for another's key.
pub async fn many_keys_at_once_do_not_block_each_other(world: World) {
    let servers = two_servers(&world).await;
    let Shop { user, order, .. } = shop(&world.stores).await;
    let requests: Vec<Request> = (0..100).map(|_| Request::new()).collect();
    let sent = requests.iter().chain(requests.iter().rev()).enumerate().map(|(number, request)| {
        let (request, stores) = (request.clone(), servers[number % 2].clone());
        let (user, order) = (user.clone(), order.clone());
        async move {
            let checkout = |context| stores.orders.checkout(context, order);
            let fund = |context| stores.payments.add_funds(context, user, n(1));
            let funded = request.key.as_bytes()[request.key.len() - 1].is_multiple_of(2);
            if funded { request.send(fund).await } else { request.send(checkout).await }
        }
    });
    for (outcome, _) in at_once(sent.collect::<Vec<_>>()).await {
        outcome.unwrap();
    }
    let last = |request: &&Request| request.key.as_bytes()[request.key.len() - 1];
    let funded = requests.iter().filter(|request| last(request).is_multiple_of(2)).count() as u64;
    assert_eq!(credit(&world.stores, &user).await, 10 + funded - 3);
    agrees(&world.stores).await;
}

pub async fn another_request_under_a_key_is_refused(world: World) {
    let stores = &world.stores;
    let Shop { user, item, order } = shop(stores).await;
    let reused = || (Err(CartRefusal::KeyReused), false);
    let first = Request::new();
    let fund = |context| stores.payments.add_funds(context, user.clone(), n(1));
    first.send(fund).await.0.unwrap();
    let other = first.other();
    assert_eq!(other.send(fund).await, reused());
    assert_eq!(other.send(|c| stores.payments.pay(c, user.clone(), n(1))).await, reused());
    assert_eq!(other.send(|c| stores.stock.add_stock(c, item.clone(), n(1))).await, reused());
    assert_eq!(other.send(|c| stores.orders.checkout(c, order.clone())).await, reused());
    let created = other.send(|c| stores.orders.create_order(c, OrderId::new(), user.clone())).await;
    assert_eq!(created, (Err(CartRefusal::KeyReused), false));
    let overviews = &stores.overviews;
    overviews.create(act(), game(Some(7))).await.unwrap();
    let created = other.send(|c| overviews.create(c, game(None))).await;
    assert_eq!(created, (Create::Refused(WriteRefusal::KeyReused), false));
    let changes = Changes { developer: Some("x".to_owned()), ..Changes::default() };
    let changed = other.send(|c| overviews.update(c, GameId(7), changes.clone())).await;
    assert_eq!(changed, (Update::Refused(WriteRefusal::KeyReused), false));
    let removed = other.send(|c| overviews.remove(c, GameId(7))).await;
    assert_eq!(removed, (Remove::Refused(WriteRefusal::KeyReused), false));
    assert_eq!((credit(stores, &user).await, stock(stores, &item).await), (11, 10));
    assert_eq!(first.send(fund).await, (Ok(()), true), "the first request is still known");
}

pub async fn a_refused_request_is_judged_anew(world: World) {
    let stores = &world.stores;
    let Shop { user, item, order } = shop(stores).await;
    let request = Request::new();
    let pay = |context| stores.payments.pay(context, user.clone(), n(11));
    for _ in 0..2 {
        assert_eq!(request.send(pay).await, (Err(CartRefusal::NotEnoughCredit), false));
    }
    stores.payments.add_funds(act(), user.clone(), n(2)).await.unwrap().unwrap();
    assert_eq!(request.send(pay).await.0, Ok(()));
    assert_eq!(request.send(pay).await, (Ok(()), true));
    assert_eq!(credit(stores, &user).await, 1);

    let request = Request::new();
    let checkout = |context| stores.orders.checkout(context, order.clone());
    assert_eq!(request.send(checkout).await, (Err(CartRefusal::NotEnoughCredit), false));
    stores.payments.add_funds(act(), user.clone(), n(2)).await.unwrap().unwrap();
    assert_eq!(request.send(checkout).await.0, Ok(()));
    assert_eq!(request.send(checkout).await, (Ok(()), true));
    assert_eq!((credit(stores, &user).await, stock(stores, &item).await), (0, 9));

    let request = Request::new();
    let overviews = &stores.overviews;
    let remove = |context| overviews.remove(context, GameId(7));
    assert_eq!(request.send(remove).await, (Remove::Missing, false));
    overviews.create(act(), game(Some(7))).await.unwrap();
    assert_eq!(request.send(remove).await.0, Remove::Removed);
    agrees(stores).await;
}

pub async fn a_key_is_forgotten_when_its_time_is_over(world: World) {
    let stores = &world.stores;
    let Shop { user, .. } = shop(stores).await;
    let request = Request { kept_for: Duration::from_secs(4), ..Request::new() };
    let fund = |context| stores.payments.add_funds(context, user.clone(), n(1));
    assert_eq!(request.send(fund).await, (Ok(()), false));
    assert_eq!(request.send(fund).await, (Ok(()), true));
    let forgotten = async || request.send(fund).await == (Ok(()), false);
    testkit::wait::eventually("the key is forgotten", forgotten).await;
    assert_eq!(credit(stores, &user).await, 12);
}

pub async fn fixtures_are_recorded_with_their_last_chunk(world: World) {
    let stores = &world.stores;
    let users: Vec<UserId> = (0..3).map(UserId::numbered).collect();
    let request = Request::new();
    let put = |context| stores.fixtures.put_users(context, users.clone(), n(5));
    let find = |context: ActContext| async move { stores.fixtures.find_outcome(&context).await };
    assert_eq!(request.send(find).await, (None, false));
    assert_eq!(request.send(put).await, (Ok(()), false));
    stores.payments.add_funds(act(), users[0].clone(), n(1)).await.unwrap().unwrap();
    assert_eq!(request.send(find).await, (Some(Ok(())), true));
    assert_eq!(request.other().send(find).await, (Some(Err(CartRefusal::KeyReused)), false));
    assert_eq!(credit(stores, &users[0]).await, 6);
    let item = Item { stock: n(1), price: n(1) };
    let put = |context| stores.fixtures.put_items(context, vec![ItemId::numbered(0)], item);
    assert_eq!(Request::new().send(put).await, (Ok(()), false));
    let put = |context| stores.fixtures.put_orders(context, vec![]);
    assert_eq!(Request::new().send(put).await.0, Ok(()));
}

/// A condition on the developer.
fn if_developer(name: &str) -> Option<Precondition> {
    let name = name.to_owned();
    Some(Precondition::new(move |game| game.developer == name))
}

pub async fn a_precondition_is_tested_with_the_change(world: World) {
    let store = &world.stores.overviews;
    let id = GameId(7);
    let to = |name: &str| Changes { developer: Some(name.to_owned()), ..Changes::default() };
    let only_if = |name| act().with_precondition(if_developer(name));
    assert_eq!(store.update(only_if("a"), id, to("b")).await.unwrap(), Update::Missing);
    assert_eq!(store.remove(only_if("a"), id).await.unwrap(), Remove::Missing);
    for tags in [vec![], vec!["t".to_owned()]] {
        let new = storefront::overview::model::NewOverview {
            developer: "a".to_owned(),
            tags,
            ..game(Some(7))
        };
        store.create(act(), new).await.unwrap();
        let failed = store.update(only_if("b"), id, to("c")).await.unwrap();
        assert_eq!(failed, Update::PreconditionFailed);
        assert_eq!(store.remove(only_if("b"), id).await.unwrap(), Remove::PreconditionFailed);
        assert_eq!(store.find(id, None).await.unwrap().unwrap().developer, "a");
        assert_eq!(store.update(only_if("a"), id, to("b")).await.unwrap(), Update::Updated);
        let nothing = store.update(only_if("b"), id, Changes::default()).await.unwrap();
        assert_eq!(nothing, Update::Updated);
        let nothing = store.update(only_if("a"), id, Changes::default()).await.unwrap();
        assert_eq!(nothing, Update::PreconditionFailed);
        assert_eq!(store.remove(only_if("b"), id).await.unwrap(), Remove::Removed);
    }
}

pub async fn of_many_changes_of_what_was_read_one_is_made(world: World) {
    let servers = two_servers(&world).await;
    let id = GameId(7);
    servers[0].overviews.create(act(), game(Some(7))).await.unwrap();
    for (round, seen) in ["", "0", "1"].into_iter().enumerate() {
        let changes = (0..20).map(|number| {
            let store = Arc::clone(&servers[number % 2].overviews);
            let context = act().with_precondition(if_developer(seen));
            let developer = Some(round.to_string());
            let changes = Changes { developer, ..Changes::default() };
            async move { store.update(context, id, changes).await.unwrap() }
        });
        let outcomes = at_once(changes.collect::<Vec<_>>()).await;
        let changed = outcomes.iter().filter(|outcome| **outcome == Update::Updated).count();
        assert_eq!(changed, 1, "{outcomes:?}");
    }
}

pub async fn a_key_is_looked_up_before_a_precondition_is_tested(world: World) {
    let store = &world.stores.overviews;
    store.create(act(), game(Some(7))).await.unwrap();
    let (changed, removed) = (Request::new(), Request::new());
    let changes = Changes { developer: Some("b".to_owned()), ..Changes::default() };
    let change = |context: ActContext| {
        let context = context.with_precondition(if_developer(""));
        store.update(context, GameId(7), changes.clone())
    };
    assert_eq!(changed.send(change).await, (Update::Updated, false));
    assert_eq!(changed.send(change).await, (Update::Updated, true));
    let remove =
        |context: ActContext| store.remove(context.with_precondition(if_developer("b")), GameId(7));
    assert_eq!(removed.send(remove).await, (Remove::Removed, false));
    assert_eq!(removed.send(remove).await, (Remove::Removed, true));
}

/// One id is left, and the one after it is taken: what is answered as created is there, and nothing else,
/// although others of the same batch are refused.
pub async fn the_last_id_is_assigned_once_under_keys(world: World) {
    let all_but_two = NewLoad { seed: 1, rows: i32::MAX as u64 - 2, mode: LoadMode::Append };
    let begun = world.stores.loads.begin(all_but_two).await.unwrap();
    assert!(matches!(begun, Begin::Started(_)), "{begun:?}");
    let store = &world.stores.overviews;
    let taken = store.create(act(), game(Some(i32::MAX))).await.unwrap();
    assert_eq!(taken, Create::Created(GameId(i32::MAX)));
    let creates = (0..20).map(|_| {
        let store = Arc::clone(store);
        async move { Request::new().send(|context| store.create(context, game(None))).await.0 }
    });
    let outcomes = at_once(creates.collect::<Vec<_>>()).await;
    // PostgreSQL loses an id that its sequence gave to a statement that failed.
    let created: Vec<_> =
        outcomes.iter().filter(|outcome| **outcome != Create::Exhausted).collect();
    assert!(created.len() <= 1, "{created:?}");
    let is_there = store.find(GameId(i32::MAX - 1), None).await.unwrap().is_some();
    assert_eq!(created.len(), usize::from(is_there), "{created:?}");
}

/// Keys may be any visible characters, and are compared as they are.
pub async fn keys_are_told_apart(world: World) {
    let stores = &world.stores;
    let Shop { user, .. } = shop(stores).await;
    let longest = "k".repeat(255);
    let texts = ["k", "K", "\"k\"", "'k'", "k%", "k_", "\\k", &longest, &longest[1..]];
    for text in texts {
        let request = Request { key: text.to_owned(), ..Request::new() };
        let funded = request.send(|c| stores.payments.add_funds(c, user.clone(), n(1))).await;
        assert_eq!(funded, (Ok(()), false), "{text}");
    }
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len());
    assert_eq!(credit(stores, &user).await, 10 + texts.len() as u64);
}
