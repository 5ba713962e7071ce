//! Any sequence of acts does what a model in memory does, two stores on one database in turn.
//!
//! A sequence that fails is made as short as possible before it is shown.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::RngExt;
use storefront::cart::model::{Item, Line, Order};
use storefront::db::Stores;
use storefront::db::storage::{ActContext, CartResult};
use tokio::runtime::Handle;

use crate::model::{Act, MAX, Model, PUT_PRICE, n};
use testkit::audit::settled_audit;
use testkit::database::OwnDatabase;

/// Ids of each kind: few, so that acts meet.
const IDS: usize = 3;
/// Sequences, and acts in one at most.
const SEQUENCES: usize = 40;
const ACTS: usize = 50;

each_backend! {
    any_sequence_of_operations_does_what_the_model_does
}

/// Mostly small, sometimes as large as can be.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0..7_u64, 1 => MAX - 3..=MAX, 1 => Just(MAX / 2)]
}

fn act() -> impl Strategy<Value = Act> {
    let id = || 0..IDS;
    let lines = proptest::collection::btree_map(id(), 1..4_u64, 0..3);
    prop_oneof![
        2 => (id(), id()).prop_map(|(o, u)| Act::CreateOrder(o, u)),
        2 => (id(), amount()).prop_map(|(i, n)| Act::CreateItem(i, n)),
        2 => id().prop_map(Act::CreateUser),
        6 => (id(), id(), amount()).prop_map(|(o, i, n)| Act::AddItem(o, i, n.max(1))),
        2 => (id(), id()).prop_map(|(o, i)| Act::RemoveItem(o, i)),
        1 => id().prop_map(Act::RemoveOrder),
        6 => id().prop_map(Act::Checkout),
        4 => (id(), id()).prop_map(|(u, o)| Act::Cancel(u, o)),
        3 => (id(), amount()).prop_map(|(i, n)| Act::AddStock(i, n)),
        2 => (id(), amount()).prop_map(|(i, n)| Act::SubtractStock(i, n)),
        3 => (id(), amount()).prop_map(|(u, n)| Act::AddFunds(u, n)),
        2 => (id(), amount()).prop_map(|(u, n)| Act::Pay(u, n)),
        2 => (id(), id(), lines).prop_map(|(o, u, lines)| Act::PutOrder(o, u, lines)),
        2 => (id(), amount(), 0..4_u64).prop_map(|(i, n, price)| Act::PutItem(i, n, price)),
        2 => (id(), amount()).prop_map(|(u, n)| Act::PutUser(u, n)),
    ]
}

async fn any_sequence_of_operations_does_what_the_model_does(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let stores = [database.open().await, database.open().await];
    let seed: [u8; 32] = testkit::random::rng().random();
    let cases = u32::try_from(SEQUENCES * testkit::random::rounds(1)).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let sequences = AtomicU64::new(0);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = tokio::task::block_in_place(|| {
        runner.run(&vec(act(), 1..ACTS), |acts| {
            let number = sequences.fetch_add(1, Ordering::Relaxed);
            Handle::current().block_on(does_the_same(&stores, &acts, number));
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn does_the_same(stores: &[Stores; 2], acts: &[Act], sequence: u64) {
    let mut model = Model::default();
    model.ids.0 = sequence;
    for (turn, act) in acts.iter().enumerate() {
        if !model.is_allowed(act) {
            continue;
        }
        let refusals = model.refusals(act);
        let outcome = perform(&stores[turn % 2], &model, act).await.unwrap();
        match outcome {
            Ok(()) => assert_eq!(refusals, [], "{act:?} was done"),
            Err(refused) => assert!(refusals.contains(&refused), "{act:?}: {refused:?}"),
        }
        if refusals.is_empty() {
            model.apply(act);
        }
        is_the_same(&stores[(turn + 1) % 2], &model, act).await;
    }
    assert_eq!(settled_audit(stores[0].audit.as_ref()).await.differences, []);
}

/// Everything that a store shows is what the model has.
async fn is_the_same(store: &Stores, model: &Model, after: &Act) {
    for number in 0..IDS {
        let ids = &model.ids;
        let order = store.orders.find_order(&ids.order(number)).await.unwrap();
        assert_eq!(order, model.order(number), "after {after:?}");
        let item = store.stock.find_item(&ids.item(number)).await.unwrap();
        assert_eq!(item, model.item(number), "after {after:?}");
        let credit = store.payments.find_credit(&ids.user(number)).await.unwrap();
        assert_eq!(credit, model.credit(number), "after {after:?}");
    }
}

async fn perform(store: &Stores, model: &Model, act: &Act) -> CartResult {
    let ids = &model.ids;
    match act {
        Act::CreateOrder(o, u) => {
            store.orders.create_order(ActContext::new(), ids.order(*o), ids.user(*u)).await.map(Ok)
        }
        Act::CreateItem(i, price) => {
            store.stock.create_item(ActContext::new(), ids.item(*i), n(*price)).await.map(Ok)
        }
        Act::CreateUser(u) => {
            store.payments.create_user(ActContext::new(), ids.user(*u)).await.map(Ok)
        }
        Act::AddItem(o, i, q) => {
            store.orders.add_item(ActContext::new(), ids.order(*o), ids.item(*i), n(*q)).await
        }
        Act::RemoveItem(o, i) => {
            store.orders.remove_item(ActContext::new(), ids.order(*o), ids.item(*i)).await
        }
        Act::RemoveOrder(o) => store.orders.remove_order(ActContext::new(), ids.order(*o)).await,
        Act::Checkout(o) => store.orders.checkout(ActContext::new(), ids.order(*o)).await,
        Act::Cancel(u, o) => {
            store.payments.cancel(ActContext::new(), ids.user(*u), ids.order(*o)).await
        }
        Act::AddStock(i, more) => {
            store.stock.add_stock(ActContext::new(), ids.item(*i), n(*more)).await
        }
        Act::SubtractStock(i, less) => {
            store.stock.subtract_stock(ActContext::new(), ids.item(*i), n(*less)).await
        }
        Act::AddFunds(u, more) => {
            store.payments.add_funds(ActContext::new(), ids.user(*u), n(*more)).await
        }
        Act::Pay(u, less) => store.payments.pay(ActContext::new(), ids.user(*u), n(*less)).await,
        Act::PutOrder(o, u, lines) => {
            let lines = lines.iter().map(|(item, quantity)| Line {
                item: ids.item(*item),
                quantity: n(*quantity),
                cost: n(quantity * PUT_PRICE),
            });
            let (id, user) = (ids.order(*o), ids.user(*u));
            let order = Order { id, user, paid: false, lines: lines.collect() };
            store.fixtures.put_orders(ActContext::new(), vec![order]).await.map(Ok)
        }
        Act::PutItem(i, stock, price) => {
            let item = Item { stock: n(*stock), price: n(*price) };
            store.fixtures.put_items(ActContext::new(), vec![ids.item(*i)], item).await.map(Ok)
        }
        Act::PutUser(u, credit) => store
            .fixtures
            .put_users(ActContext::new(), vec![ids.user(*u)], n(*credit))
            .await
            .map(Ok),
    }
}
