//! Crash tests on a real Cassandra: a server stops between the claim of a key, the act and the record
//! of its outcome, and the request is repeated through another server.

use std::collections::BTreeSet;

use super::*;
use crate::cart::model::{Amount, ItemId, OrderId, UserId};
use crate::db::Stores;
use crate::db::cassandra::test_keyspace::TwoServers;
use crate::db::storage::{CartRefusal, Precondition};
use crate::overview::model::{Changes, GameId, NewOverview, Overview};

const HOUR: Duration = Duration::from_secs(3_600);
const CREDIT: Amount = Amount::ONE;

/// Every write that takes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    CreateOrder,
    AddItem,
    RemoveItem,
    RemoveOrder,
    Checkout,
    Cancel,
    CreateItem,
    AddStock,
    SubtractStock,
    CreateUser,
    AddFunds,
    Pay,
    CreateGame,
    CreateGameUnderId,
    UpdateGame,
    UpdateGameIf,
    RemoveGame,
    RemoveGameIf,
}

const ACTS: [Act; 18] = [
    Act::CreateOrder,
    Act::AddItem,
    Act::RemoveItem,
    Act::RemoveOrder,
    Act::Checkout,
    Act::Cancel,
    Act::CreateItem,
    Act::AddStock,
    Act::SubtractStock,
    Act::CreateUser,
    Act::AddFunds,
    Act::Pay,
    Act::CreateGame,
    Act::CreateGameUnderId,
    Act::UpdateGame,
    Act::UpdateGameIf,
    Act::RemoveGame,
    Act::RemoveGameIf,
];

/// An order of two of an item by a user with credit for them, and a game.
struct Shop {
    user: UserId,
    item: ItemId,
    order: OrderId,
    game: GameId,
    /// Of which no game exists.
    free_game: GameId,
}

impl Shop {
    async fn new(stores: &Stores) -> Self {
        let context = ActContext::new;
        let [two, ten] = [2, 10].map(|n| Amount::new(n).unwrap());
        let (user, item, order) = (UserId::new(), ItemId::new(), OrderId::new());
        stores.payments.create_user(context(), user.clone()).await.unwrap().unwrap();
        stores.payments.add_funds(context(), user.clone(), ten).await.unwrap().unwrap();
        stores.stock.create_item(context(), item.clone(), Amount::ONE).await.unwrap().unwrap();
        stores.stock.add_stock(context(), item.clone(), ten).await.unwrap().unwrap();
        stores.orders.create_order(context(), order.clone(), user.clone()).await.unwrap().unwrap();
        let add = stores.orders.add_item(context(), order.clone(), item.clone(), two);
        add.await.unwrap().unwrap();
        let game = GameId(rand::random_range(1_000_000..i32::MAX));
        let free_game = GameId(rand::random_range(1_000_000..i32::MAX));
        stores.overviews.create(context(), new_game(Some(game))).await.unwrap();
        Self { user, item, order, game, free_game }
    }

    /// What clients can see of it.
    async fn state(&self, stores: &Stores) -> String {
        let order = stores.orders.find_order(&self.order).await.unwrap();
        let item = stores.stock.find_item(&self.item).await.unwrap();
        let credit = stores.payments.find_credit(&self.user).await.unwrap();
        let page = stores.overviews.page(None, 1_000, None).await.unwrap();
        let mut games: Vec<_> = page.games.iter().map(|g| (g.game_id, &g.game_name)).collect();
        games.sort();
        format!("{order:?} {item:?} {credit:?} {games:?}")
    }
}

impl Act {
    async fn prepare(self, stores: &Stores) -> Shop {
        let shop = Shop::new(stores).await;
        if self == Self::Cancel {
            Self::Checkout.run(stores, &shop, ActContext::new()).await.unwrap();
        }
        shop
    }

    /// Runs it; its outcome, with the id of what it creates.
    async fn run(
        self,
        stores: &Stores,
        shop: &Shop,
        context: ActContext,
    ) -> Result<String, StorageError> {
        let Shop { user, item, order, game, free_game } = shop;
        let (user, item, order) = (user.clone(), item.clone(), order.clone());
        let (orders, stock, payments) = (&stores.orders, &stores.stock, &stores.payments);
        let games = &stores.overviews;
        let unit = |done: Result<(), CartRefusal>| format!("{done:?}");
        let changes = || Changes { game_name: Some("new".into()), ..Changes::default() };
        let if_old = Precondition::new(|game: &Overview| game.game_name == "old");
        let with = |context: ActContext| context.with_precondition(Some(if_old));
        Ok(match self {
            Self::CreateOrder => {
                format!("{:?}", orders.create_order(context, OrderId::new(), user).await?)
            }
            Self::AddItem => unit(orders.add_item(context, order, item, Amount::ONE).await?),
            Self::RemoveItem => unit(orders.remove_item(context, order, item).await?),
            Self::RemoveOrder => unit(orders.remove_order(context, order).await?),
            Self::Checkout => unit(orders.checkout(context, order).await?),
            Self::Cancel => unit(payments.cancel(context, user, order).await?),
            Self::CreateItem => {
                format!("{:?}", stock.create_item(context, ItemId::new(), Amount::ONE).await?)
            }
            Self::AddStock => unit(stock.add_stock(context, item, CREDIT).await?),
            Self::SubtractStock => unit(stock.subtract_stock(context, item, CREDIT).await?),
            Self::CreateUser => {
                format!("{:?}", payments.create_user(context, UserId::new()).await?)
            }
            Self::AddFunds => unit(payments.add_funds(context, user, CREDIT).await?),
            Self::Pay => unit(payments.pay(context, user, CREDIT).await?),
            Self::CreateGame => format!("{:?}", games.create(context, new_game(None)).await?),
            Self::CreateGameUnderId => {
                format!("{:?}", games.create(context, new_game(Some(*free_game))).await?)
            }
            Self::UpdateGame => format!("{:?}", games.update(context, *game, changes()).await?),
            Self::UpdateGameIf => {
                format!("{:?}", games.update(with(context), *game, changes()).await?)
            }
            Self::RemoveGame => format!("{:?}", games.remove(context, *game).await?),
            Self::RemoveGameIf => format!("{:?}", games.remove(with(context), *game).await?),
        })
    }

    /// The id that its claim names, and what its outcome names then.
    fn new_id(self, shop: &Shop) -> String {
        match self {
            Self::CreateOrder => OrderId::new().to_string(),
            Self::CreateItem => ItemId::new().to_string(),
            Self::CreateUser => UserId::new().to_string(),
            Self::CreateGame | Self::CreateGameUnderId => shop.free_game.to_string(),
            _ => String::new(),
        }
    }
}

fn new_game(game_id: Option<GameId>) -> NewOverview {
    let text = || "text".to_owned();
    NewOverview {
        game_id,
        game_name: "old".into(),
        description: text(),
        release_date: text(),
        developer: text(),
        publisher: text(),
        tags: vec![text()],
    }
}

/// A request: each try of it has a context of its own.
struct Request {
    text: String,
    fingerprint: u128,
}

impl Request {
    fn new() -> Self {
        Self { text: format!("{:032x}", rand::random::<u128>()), fingerprint: 1 }
    }

    fn key(&self) -> IdempotencyKey {
        IdempotencyKey::new(&self.text, self.fingerprint, HOUR)
    }

    /// Its outcome through that server, and whether that is an earlier request's.
    async fn send(&self, act: Act, stores: &Stores, shop: &Shop) -> (String, bool) {
        let key = self.key();
        let context = ActContext::new().with_key(Some(key.clone()));
        let outcome = act.run(stores, shop, context).await;
        (outcome.unwrap_or_else(|error| panic!("{act:?}: {error:?}")), key.is_replayed())
    }

    /// As if the server had stopped before it recorded the outcome.
    async fn lose_record(&self, servers: &TwoServers) {
        let text = format!(
            "UPDATE $.idempotency_keys SET record = null WHERE key = '{}' IF EXISTS",
            self.text
        );
        servers.run(&text).await;
    }

    /// A server claims the key, and stops.
    async fn claim_only(&self, servers: &TwoServers, new_id: String) {
        let keys = IdempotencyKeys::open(&servers.cluster).await.unwrap();
        let context = ActContext::new().with_key(Some(self.key()));
        let stop = |_| async { Err(StorageError::new(ErrorKind::Internal, "stopped")) };
        let stopped = keys.once::<Result<(), CartRefusal>, _>(&context, new_id, stop).await;
        stopped.unwrap_err();
    }
}

/// The server stops after the act: what was done is recognised. Not exactly once is only the change of
/// a game without a precondition: it is applied again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_done_and_not_recorded_is_recognised() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    for act in ACTS {
        let (shop, request) = (act.prepare(first).await, Request::new());
        let before = shop.state(first).await;
        let (outcome, replayed) = request.send(act, first, &shop).await;
        let state = shop.state(first).await;
        let makes_another = matches!(act, Act::CreateOrder | Act::CreateItem | Act::CreateUser);
        assert_eq!((state == before, replayed), (makes_another, false), "{act:?}");
        request.lose_record(&servers).await;
        let repeated = request.send(act, second, &shop).await;
        assert_eq!(repeated, (outcome.clone(), act != Act::UpdateGame), "{act:?}");
        assert_eq!(shop.state(second).await, state, "{act:?}");
        assert_eq!(request.send(act, first, &shop).await, (outcome, true), "{act:?}");
        assert_eq!(shop.state(first).await, state, "{act:?}");
        let other = Request { fingerprint: 2, ..request };
        let (refused, _) = other.send(act, second, &shop).await;
        assert!(refused.contains("KeyReused"), "{act:?}: {refused}");
        assert_eq!(shop.state(first).await, state, "{act:?}");
    }
    servers.end().await;
}

/// The server stops before the act: a repeat does it, with the ids of the first try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_only_claimed_is_done_by_its_repeat() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    for act in ACTS {
        let (shop, plain) = (act.prepare(first).await, act.prepare(first).await);
        let expected = act.run(first, &plain, ActContext::new()).await.unwrap();
        let (request, new_id) = (Request::new(), act.new_id(&shop));
        request.claim_only(&servers, new_id.clone()).await;
        let before = shop.state(first).await;
        let (outcome, replayed) = request.send(act, second, &shop).await;
        assert!(!replayed, "{act:?}");
        let state = shop.state(first).await;
        if new_id.is_empty() {
            assert_eq!(outcome, expected, "{act:?}");
            assert_ne!(state, before, "{act:?}");
        } else {
            assert!(outcome.contains(&new_id), "{act:?}: {outcome} {new_id}");
        }
        assert_eq!(request.send(act, first, &shop).await, (outcome, true), "{act:?}");
        assert_eq!(shop.state(second).await, state, "{act:?}");
    }
    servers.end().await;
}

/// What another request did after the crash stays: a checkout that was cancelled is not paid again, an
/// order that was removed does not return.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_does_not_undo_what_came_between() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    for (act, between) in [
        (Act::Checkout, Act::Cancel),
        (Act::Cancel, Act::Checkout),
        (Act::AddItem, Act::RemoveItem),
        (Act::RemoveItem, Act::AddItem),
        (Act::AddItem, Act::RemoveOrder),
        (Act::RemoveItem, Act::RemoveOrder),
        (Act::AddFunds, Act::Pay),
        (Act::SubtractStock, Act::AddStock),
    ] {
        let (shop, request) = (act.prepare(first).await, Request::new());
        let (outcome, _) = request.send(act, first, &shop).await;
        request.lose_record(&servers).await;
        between.run(first, &shop, ActContext::new()).await.unwrap();
        let state = shop.state(first).await;
        let repeated = request.send(act, second, &shop).await;
        assert_eq!(repeated, (outcome, true), "{act:?}, {between:?}");
        assert_eq!(shop.state(second).await, state, "{act:?}, {between:?}");
    }
    servers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_removed_is_not_created_again() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    let (mut shop, request) = (Shop::new(first).await, Request::new());
    let (outcome, _) = request.send(Act::CreateOrder, first, &shop).await;
    request.lose_record(&servers).await;
    let id = outcome.trim_start_matches("Ok(OrderId(\"").trim_end_matches("\"))");
    shop.order = OrderId::parse(id).unwrap();
    assert!(first.orders.find_order(&shop.order).await.unwrap().is_some());
    Act::RemoveOrder.run(first, &shop, ActContext::new()).await.unwrap();
    assert_eq!(request.send(Act::CreateOrder, second, &shop).await, (outcome, true));
    assert_eq!(second.orders.find_order(&shop.order).await.unwrap(), None);
    assert_eq!(second.payments.is_paid(&shop.user, &shop.order).await.unwrap(), None);
    // Fixtures take the id again.
    let order = crate::cart::model::Order {
        id: shop.order.clone(),
        paid: false,
        user: shop.user.clone(),
        lines: vec![],
    };
    second.fixtures.put_orders(ActContext::new(), vec![order]).await.unwrap().unwrap();
    assert!(first.orders.find_order(&shop.order).await.unwrap().is_some());
    servers.end().await;
}

/// Tries of one request at the same time, some of them through the same server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_at_the_same_time_are_done_once() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    for act in ACTS {
        let (shop, plain) = (act.prepare(first).await, act.prepare(first).await);
        let before = shop.state(first).await;
        let request = Request::new();
        let tries =
            (0..6).map(|n| request.send(act, if n % 2 == 0 { first } else { second }, &shop));
        let outcomes = futures::future::join_all(tries).await;
        let distinct: BTreeSet<_> = outcomes.iter().map(|(outcome, _)| outcome).collect();
        assert_eq!(distinct.len(), 1, "{act:?}: {outcomes:?}");
        // As many games more, and as much less of everything, as one request makes.
        let plain_before = plain.state(first).await;
        act.run(first, &plain, ActContext::new()).await.unwrap();
        let plain_after = plain.state(first).await;
        let after = shop.state(first).await;
        assert_eq!(before == after, plain_before == plain_after, "{act:?}");
        assert_eq!(summary(&after, &shop), summary(&plain_after, &plain), "{act:?}");
    }
    servers.end().await;
}

/// The state of a shop without its ids and other games.
fn summary(state: &str, shop: &Shop) -> String {
    let state = state.split(" [(GameId").next().unwrap_or_default();
    let ids = [shop.user.as_str(), shop.item.as_str(), shop.order.as_str()];
    ids.iter().fold(state.to_owned(), |state, id| state.replace(id, "id"))
}

/// A refusal changes nothing and is not recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_is_judged_anew() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    let (shop, request) = (Shop::new(first).await, Request::new());
    let (refused, replayed) = request.send(Act::Cancel, first, &shop).await;
    assert_eq!((refused.as_str(), replayed), ("Err(NotPaid)", false));
    Act::Checkout.run(first, &shop, ActContext::new()).await.unwrap();
    assert_eq!(request.send(Act::Cancel, second, &shop).await, ("Ok(())".into(), false));
    // The game is there, equal to what the request would make.
    Act::CreateGameUnderId.run(first, &shop, ActContext::new()).await.unwrap();
    let request = Request::new();
    for stores in [first, second] {
        let taken = request.send(Act::CreateGameUnderId, stores, &shop).await;
        assert_eq!(taken, ("Taken".into(), false));
    }
    servers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_has_expired_is_new() {
    let servers = TwoServers::new().await;
    let shop = Shop::new(&servers.first).await;
    let credit = async || servers.first.payments.find_credit(&shop.user).await.unwrap().unwrap();
    let before = credit().await.signed();
    let send = async || {
        let key = IdempotencyKey::new("short", 1, Duration::from_millis(1_500));
        let context = ActContext::new().with_key(Some(key.clone()));
        Act::AddFunds.run(&servers.first, &shop, context).await.unwrap();
        key.is_replayed()
    };
    assert!(!send().await);
    assert!(send().await);
    assert_eq!(credit().await.signed(), before + 1);
    while send().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(credit().await.signed(), before + 2);
    servers.end().await;
}

/// A first try that is still running learns that a repeat runs too, and of none if there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_try_knows_of_a_repeat_that_runs_too() {
    let servers = TwoServers::new().await;
    let open = || IdempotencyKeys::open(&servers.cluster);
    let (first, second) = (open().await.unwrap(), open().await.unwrap());
    let request = Request::new();
    let context = || ActContext::new().with_key(Some(request.key()));
    let check = || async { Ok(Ok(String::new())) };
    let repeat = |claim: Option<Claim>| async move {
        assert!(claim.unwrap().is_repeat());
        Err(StorageError::new(ErrorKind::Internal, "stopped"))
    };
    let act = async |claim: Option<Claim>| {
        let claim = claim.unwrap();
        assert!(!first.is_shared(&claim).await?);
        let repeated: Result<Result<(), CartRefusal>, _> =
            second.once_checked(&context(), check(), repeat).await;
        repeated.unwrap_err();
        assert!(first.is_shared(&claim).await?);
        Ok(Ok::<_, CartRefusal>(()))
    };
    first.once_checked(&context(), check(), act).await.unwrap().unwrap();
    servers.end().await;
}

/// The last chunk of fixtures records the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_fixtures_is_recorded_with_its_last_chunk() {
    let servers = TwoServers::new().await;
    let TwoServers { first, second, .. } = &servers;
    let request = Request::new();
    let context = |request: &Request| ActContext::new().with_key(Some(request.key()));
    let first_try = context(&request);
    assert_eq!(first.fixtures.find_outcome(&first_try).await.unwrap(), None);
    let users = vec![UserId::parse("0").unwrap()];
    let put = first.fixtures.put_users(first_try.clone(), users, Amount::ONE);
    put.await.unwrap().unwrap();
    assert!(!first_try.key().unwrap().is_replayed());
    let repeat = context(&request);
    assert_eq!(second.fixtures.find_outcome(&repeat).await.unwrap(), Some(Ok(())));
    assert!(repeat.key().unwrap().is_replayed());
    let other = context(&Request { fingerprint: 2, ..request });
    let refused = second.fixtures.find_outcome(&other).await.unwrap();
    assert_eq!(refused, Some(Err(CartRefusal::KeyReused)));
    servers.end().await;
}
