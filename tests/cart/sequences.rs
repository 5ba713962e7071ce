//! Any sequence of operations does what a model in memory does, up to three at once, each on a store
//! of its own on one database.
//!
//! What happens at once must have happened in some order: each outcome, and everything that the store
//! shows afterwards, is what the model does in that order. A sequence that fails is made as short as
//! possible before it is shown.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::RngExt;
use storefront::cart::model::{Amount, Item, Line, Order};
use storefront::db::Stores;
use storefront::db::storage::{ActContext, CartRefusal, CartResult};
use tokio::runtime::Handle;

use crate::model::{MAX, Model, Operation, PUT_PRICE, n};
use testkit::audit::settled_audit;
use testkit::database::OwnDatabase;

/// Ids of each kind: few, so that operations meet.
const IDS: usize = 3;
/// Sequences, and steps in one at most.
const SEQUENCES: usize = 40;
const STEPS: usize = 24;
/// Operations of one step, which happen at once, each on a store of its own.
const JOBS: usize = 3;

each_backend! {
    any_sequence_of_operations_does_what_the_model_does
}

/// Mostly small, sometimes as large as can be.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0..7_u64, 1 => MAX - 3..=MAX, 1 => Just(MAX / 2)]
}

fn operation() -> impl Strategy<Value = Operation> {
    let id = || 0..IDS;
    let lines = proptest::collection::btree_map(id(), 1..4_u64, 0..3);
    prop_oneof![
        2 => (id(), id()).prop_map(|(o, u)| Operation::CreateOrder(o, u)),
        2 => (id(), amount()).prop_map(|(i, n)| Operation::CreateItem(i, n)),
        2 => id().prop_map(Operation::CreateUser),
        6 => (id(), id(), amount()).prop_map(|(o, i, n)| Operation::AddItem(o, i, n.max(1))),
        2 => (id(), id()).prop_map(|(o, i)| Operation::RemoveItem(o, i)),
        1 => id().prop_map(Operation::RemoveOrder),
        6 => id().prop_map(Operation::Checkout),
        4 => (id(), id()).prop_map(|(u, o)| Operation::Cancel(u, o)),
        3 => (id(), amount()).prop_map(|(i, n)| Operation::AddStock(i, n)),
        2 => (id(), amount()).prop_map(|(i, n)| Operation::SubtractStock(i, n)),
        3 => (id(), amount()).prop_map(|(u, n)| Operation::AddFunds(u, n)),
        2 => (id(), amount()).prop_map(|(u, n)| Operation::Pay(u, n)),
        2 => (id(), id(), lines).prop_map(|(o, u, lines)| Operation::PutOrder(o, u, lines)),
        2 => (id(), amount(), 0..4_u64).prop_map(|(i, n, price)| Operation::PutItem(i, n, price)),
        2 => (id(), amount()).prop_map(|(u, n)| Operation::PutUser(u, n)),
    ]
}

/// Different operations, or the same one several times.
fn step() -> impl Strategy<Value = Vec<Operation>> {
    prop_oneof![
        2 => vec(operation(), 1..=JOBS),
        1 => operation().prop_map(|operation| vec![operation; JOBS]),
    ]
}

async fn any_sequence_of_operations_does_what_the_model_does(backend: &str) {
    let database = OwnDatabase::on(backend).await;
    let mut stores = Vec::new();
    for _ in 0..JOBS {
        stores.push(database.open().await);
    }
    let seed: [u8; 32] = testkit::random::rng().random();
    let cases = u32::try_from(SEQUENCES * testkit::random::rounds(1)).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let sequences = AtomicU64::new(0);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let steps = vec(step(), 1..STEPS);
    let result = tokio::task::block_in_place(|| {
        runner.run(&steps, |steps| {
            let number = sequences.fetch_add(1, Ordering::Relaxed);
            Handle::current().block_on(does_the_same(&stores, &steps, number));
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn does_the_same(stores: &[Stores], steps: &[Vec<Operation>], sequence: u64) {
    let mut model = Model::default();
    model.ids.0 = sequence;
    for (turn, step) in steps.iter().enumerate() {
        let mut jobs: Vec<Operation> = Vec::new();
        for operation in step {
            if model.is_allowed_beside(operation, &jobs) {
                jobs.push(operation.clone());
            }
        }
        let outcomes = at_once(stores, turn, &model, &jobs).await;
        let shown = Shown::by(&stores[(turn + 1) % JOBS], &model).await;
        let explains = |order: &Vec<usize>| explained(&model, &jobs, &outcomes, order, &shown);
        let explained = orders(jobs.len()).iter().find_map(explains);
        model = explained.unwrap_or_else(|| {
            panic!("no order explains {jobs:?}: {outcomes:?}, {shown:?} after {model:?}")
        });
    }
    assert_eq!(settled_audit(stores[0].audit.as_ref()).await.differences, []);
}

/// The outcomes of the operations, which tasks do at the same time.
async fn at_once(
    stores: &[Stores],
    turn: usize,
    model: &Model,
    jobs: &[Operation],
) -> Vec<Result<(), CartRefusal>> {
    let tasks = jobs.iter().enumerate().map(|(number, operation)| {
        let store = stores[(turn + number) % JOBS].clone();
        let (model, operation) = (model.clone(), operation.clone());
        tokio::spawn(async move { perform(&store, &model, &operation).await })
    });
    let outcomes = join_all(tasks.collect::<Vec<_>>()).await;
    outcomes.into_iter().map(|outcome| outcome.expect("no panic").expect("no fault")).collect()
}

/// The numbers below `many` in every order.
fn orders(many: usize) -> Vec<Vec<usize>> {
    let Some(last) = many.checked_sub(1) else { return vec![vec![]] };
    let with_last = |order: Vec<usize>| {
        (0..=last).map(move |at| [&order[..at], &[last], &order[at..]].concat())
    };
    orders(last).into_iter().flat_map(with_last).collect()
}

/// The model after the operations in that order, if it gives these outcomes and shows the same.
fn explained(
    before: &Model,
    jobs: &[Operation],
    outcomes: &[Result<(), CartRefusal>],
    order: &[usize],
    shown: &Shown,
) -> Option<Model> {
    let mut model = before.clone();
    for number in order {
        let (operation, outcome) = (&jobs[*number], &outcomes[*number]);
        let refusals = model.refusals(operation);
        match outcome {
            Ok(()) if refusals.is_empty() => model.apply(operation),
            Err(refused) if refusals.contains(refused) => {}
            _ => return None,
        }
    }
    (Shown::of(&model) == *shown).then_some(model)
}

/// Everything that a store shows.
#[derive(Debug, PartialEq)]
struct Shown {
    orders: Vec<Option<Order>>,
    items: Vec<Option<Item>>,
    credits: Vec<Option<Amount>>,
}

impl Shown {
    fn of(model: &Model) -> Self {
        Self {
            orders: (0..IDS).map(|number| model.order(number)).collect(),
            items: (0..IDS).map(|number| model.item(number)).collect(),
            credits: (0..IDS).map(|number| model.credit(number)).collect(),
        }
    }

    async fn by(store: &Stores, model: &Model) -> Self {
        let mut shown = Self { orders: vec![], items: vec![], credits: vec![] };
        for number in 0..IDS {
            let ids = &model.ids;
            shown.orders.push(store.orders.find_order(&ids.order(number)).await.unwrap());
            shown.items.push(store.stock.find_item(&ids.item(number)).await.unwrap());
            shown.credits.push(store.payments.find_credit(&ids.user(number)).await.unwrap());
        }
        shown
    }
}

/// Drops the id of what was made.
fn made<T>(outcome: Result<T, CartRefusal>) -> Result<(), CartRefusal> {
    outcome.map(drop)
}

async fn perform(store: &Stores, model: &Model, operation: &Operation) -> CartResult {
    let ids = &model.ids;
    match operation {
        Operation::CreateOrder(o, u) => store
            .orders
            .create_order(ActContext::new(), ids.order(*o), ids.user(*u))
            .await
            .map(made),
        Operation::CreateItem(i, price) => {
            store.stock.create_item(ActContext::new(), ids.item(*i), n(*price)).await.map(made)
        }
        Operation::CreateUser(u) => {
            store.payments.create_user(ActContext::new(), ids.user(*u)).await.map(made)
        }
        Operation::AddItem(o, i, q) => {
            store.orders.add_item(ActContext::new(), ids.order(*o), ids.item(*i), n(*q)).await
        }
        Operation::RemoveItem(o, i) => {
            store.orders.remove_item(ActContext::new(), ids.order(*o), ids.item(*i)).await
        }
        Operation::RemoveOrder(o) => {
            store.orders.remove_order(ActContext::new(), ids.order(*o)).await
        }
        Operation::Checkout(o) => store.orders.checkout(ActContext::new(), ids.order(*o)).await,
        Operation::Cancel(u, o) => {
            store.payments.cancel(ActContext::new(), ids.user(*u), ids.order(*o)).await
        }
        Operation::AddStock(i, more) => {
            store.stock.add_stock(ActContext::new(), ids.item(*i), n(*more)).await
        }
        Operation::SubtractStock(i, less) => {
            store.stock.subtract_stock(ActContext::new(), ids.item(*i), n(*less)).await
        }
        Operation::AddFunds(u, more) => {
            store.payments.add_funds(ActContext::new(), ids.user(*u), n(*more)).await
        }
        Operation::Pay(u, less) => {
            store.payments.pay(ActContext::new(), ids.user(*u), n(*less)).await
        }
        Operation::PutOrder(o, u, lines) => {
            let lines = lines.iter().map(|(item, quantity)| Line {
                item: ids.item(*item),
                quantity: n(*quantity),
                cost: n(quantity * PUT_PRICE),
            });
            let (id, user) = (ids.order(*o), ids.user(*u));
            let order = Order { id, user, paid: false, lines: lines.collect() };
            store.fixtures.put_orders(ActContext::new(), vec![order]).await
        }
        Operation::PutItem(i, stock, price) => {
            let item = Item { stock: n(*stock), price: n(*price) };
            store.fixtures.put_items(ActContext::new(), vec![ids.item(*i)], item).await
        }
        Operation::PutUser(u, credit) => {
            store.fixtures.put_users(ActContext::new(), vec![ids.user(*u)], n(*credit)).await
        }
    }
}
