//! Servers that die at each step of a checkout and of a cancel, on a real Cassandra: another brings
//! all to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempts::tests::old_attempt;
use super::audit::Auditor;
use super::house::{Errand, House};
use super::ledger::Move;
use super::order::{State, Undo};
use super::recovery;
use super::saga::{Course, Ending};
use super::{Key, act};
use crate::cart::model::{Amount, ItemId, OrderId, UserId};
use crate::config::database::{Database, Url};
use crate::config::{Reader, Sources};
use crate::db::Schema;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::migrate;
use crate::telemetry::metrics::Metrics;

const SERVER: &str = "STOREFRONT_TEST_CASSANDRA";
/// What a user has, and what there is of each item.
const MUCH: i64 = 10;

/// A keyspace and two servers on it, of which the first dies now and then.
struct World {
    cluster: Arc<Cluster>,
    dying: Arc<House>,
    living: Arc<House>,
    metrics: Metrics,
}

/// A user, two items, and an order of one of each at a price of 1.
struct Bought {
    order: OrderId,
    user: UserId,
    items: Vec<ItemId>,
}

impl World {
    async fn new() -> Self {
        let server = std::env::var(SERVER).expect("`. scripts/test-servers` sets the server");
        let address = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let url = format!("{address}/storefront_test_{:016x}?timeout=20000", rand::random::<u64>());
        let flags = BTreeMap::from([("database_url", url)]);
        let mut reader = Reader::of(Sources { flags, ..Sources::default() });
        let database = Database::read(&mut reader);
        let Url::Cassandra(settings) = reader.finish(database).expect("a sound URL").url else {
            panic!("{SERVER} is not a Cassandra");
        };
        let cluster = Cluster::connect(&settings).await.unwrap();
        migrate::run(&cluster, Schema::Migrate).await.unwrap();
        let metrics = Metrics::new();
        let dying = House::open(&cluster, &metrics).await.unwrap();
        let living = House::open(&cluster, &metrics).await.unwrap();
        Self { cluster, dying, living, metrics }
    }

    async fn begin(&self, key: Key, free: i64) {
        let begin = Move::Begin { free, price: 1 };
        self.living.direct(key, begin).await.unwrap().unwrap();
    }

    async fn order(&self, stock: [i64; 2]) -> Bought {
        let (order, user) = (OrderId::new(), UserId::new());
        self.begin(Key::User(user.clone()), MUCH).await;
        self.living.create_order(order.clone(), user.clone()).await.unwrap();
        let mut items = Vec::new();
        for stock in stock {
            let item = ItemId::new();
            self.begin(Key::Item(item.clone()), stock).await;
            let added = self.living.add_item(order.clone(), item.clone(), Amount::ONE).await;
            added.unwrap().unwrap();
            items.push(item);
        }
        Bought { order, user, items }
    }

    /// Another server does what is left to do.
    async fn recover(&self) {
        assert_eq!(recovery::pass(&self.living).await.unwrap(), 0);
    }

    async fn free(&self, key: Key) -> i64 {
        let head = self.living.desks.accounts().head(&key).await.unwrap().unwrap();
        assert_eq!(head.held, 0, "{key:?}");
        head.free
    }

    /// The order is at rest, and the sums are as they should be.
    async fn is_whole(&self, bought: &Bought, stock: [i64; 2]) -> bool {
        let row = self.living.orders.find(&bought.order, true).await.unwrap().unwrap();
        assert_eq!(row.state.under_way(), None);
        let taken = i64::from(row.is_paid());
        assert_eq!(self.free(Key::User(bought.user.clone())).await, MUCH - 2 * taken);
        for (item, stock) in bought.items.iter().zip(stock) {
            assert_eq!(self.free(Key::Item(item.clone())).await, stock - taken);
        }
        row.is_paid()
    }

    async fn end(self) {
        let auditor = Auditor::open(&self.cluster).await.unwrap();
        let audit = auditor.audit(&self.living).await.unwrap();
        assert_eq!((audit.different, audit.unfinished), (0, 0), "{:?}", audit.differences);
        assert_eq!(self.metrics.cart_unfinished.get(), 0);
        let text = self.cluster.text("DROP KEYSPACE $");
        self.cluster.session().query_unpaged(text, ()).await.unwrap();
    }

    /// Runs so many steps of an attempt whose lease is over, and leaves it; its ending if it came
    /// to that.
    async fn run(
        &self,
        bought: &Bought,
        steps: usize,
        course: impl FnOnce(&Errand, &State, Vec<i64>) -> Course,
    ) -> Option<Ending> {
        let row = self.dying.orders.find(&bought.order, true).await.unwrap().unwrap();
        let (state, amounts) = (row.state.clone(), row.amounts());
        let mut errand = Errand::new(&bought.order, old_attempt(), row);
        self.dying.attempts.note(errand.attempt, &errand.id).await.unwrap();
        let mut course = course(&errand, &state, amounts);
        for _ in 0..steps {
            let ended = self.dying.step(&mut errand, &mut course).await.unwrap();
            if ended.is_some() {
                return ended;
            }
        }
        None
    }
}

fn checkout(errand: &Errand, _: &State, amounts: Vec<i64>) -> Course {
    Course::checkout(errand.attempt, amounts)
}

fn cancel(errand: &Errand, state: &State, amounts: Vec<i64>) -> Course {
    let State::Paid { attempt, epochs } = state else { panic!("{state:?}") };
    Course::undo(errand.attempt, (*attempt, epochs.clone()), Undo::Cancel, amounts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_dies_anywhere_is_ended() {
    let world = World::new().await;
    let mut paid = Vec::new();
    for steps in 0.. {
        let bought = world.order([MUCH, MUCH]).await;
        let ended = world.run(&bought, steps, checkout).await;
        world.recover().await;
        paid.push(world.is_whole(&bought, [MUCH, MUCH]).await);
        world.living.checkout(bought.order).await.unwrap().unwrap();
        if ended.is_some() {
            break;
        }
    }
    // Begin, one user, two items, and then the commit.
    assert_eq!(paid, [false, false, false, false, false, true, true, true]);
    while world.metrics.cart_unfinished.get() > 0 {
        tokio::task::yield_now().await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_dies_while_it_is_aborted_is_ended() {
    let world = World::new().await;
    for steps in 0.. {
        let bought = world.order([MUCH, 0]).await;
        let ended = world.run(&bought, steps, checkout).await;
        world.recover().await;
        assert!(!world.is_whole(&bought, [MUCH, 0]).await);
        if ended.is_some() {
            break;
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_dies_anywhere_is_ended() {
    let world = World::new().await;
    let mut paid = Vec::new();
    for steps in 0.. {
        let bought = world.order([MUCH, MUCH]).await;
        world.living.checkout(bought.order.clone()).await.unwrap().unwrap();
        let ended = world.run(&bought, steps, cancel).await;
        world.recover().await;
        paid.push(world.is_whole(&bought, [MUCH, MUCH]).await);
        if ended.is_some() {
            break;
        }
    }
    assert_eq!(paid, [true, true, false, false, false, false]);
    world.end().await;
}

/// It goes on after another has aborted it: it finds that out, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_comes_late_leaves_nothing_behind() {
    let world = World::new().await;
    for steps in 0..5 {
        let bought = world.order([MUCH, MUCH]).await;
        let row = world.dying.orders.find(&bought.order, true).await.unwrap().unwrap();
        let mut course = Course::checkout(old_attempt(), row.amounts());
        let mut errand = Errand::new(&bought.order, course.attempt(), row);
        world.dying.attempts.note(errand.attempt, &errand.id).await.unwrap();
        for _ in 0..steps {
            world.dying.step(&mut errand, &mut course).await.unwrap();
        }
        world.recover().await;
        let ending = world.dying.drive(&mut errand, &mut course, true).await.unwrap();
        assert_eq!(ending, Ending::Elsewhere, "after {steps} steps");
        assert!(!world.is_whole(&bought, [MUCH, MUCH]).await);
    }
    world.end().await;
}

/// Two servers recover at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recoverers_at_once_do_no_harm() {
    let world = World::new().await;
    let mut all = Vec::new();
    for steps in 0..8 {
        let bought = world.order([MUCH, MUCH]).await;
        world.run(&bought, steps, checkout).await;
        all.push(bought);
    }
    let passes = [&world.dying, &world.living].map(|house| {
        let house = Arc::clone(house);
        act(async move { recovery::pass(&house).await })
    });
    futures::future::try_join_all(passes).await.unwrap();
    world.recover().await;
    for bought in &all {
        world.is_whole(bought, [MUCH, MUCH]).await;
    }
    world.end().await;
}
