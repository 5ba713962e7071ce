//! The acceptance case: more simultaneous checkouts than there is stock.
//!
//! There are 100 things in all, of one item or of 100 items, at price 1, and 1,000 users with
//! credit 1. 1,000 orders of one thing each, of users drawn at random, are checked out at once. A
//! user who is drawn twice can pay once; so an order is refused for want of stock or of credit.

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::Method;
use tokio::sync::Barrier;

use crate::http::Answer;
use crate::server_group::ServerGroup;

const THINGS: usize = 100;
const USERS: usize = 1_000;
const ORDERS: usize = 1_000;

each_backend! {
    one_program_sells_exactly_the_stock
    three_programs_behind_nginx_sell_exactly_the_stock
}

async fn one_program_sells_exactly_the_stock(backend: &str) {
    sells_exactly_the_stock(backend, ServerGroup::start(backend, 1).await).await;
}

async fn three_programs_behind_nginx_sell_exactly_the_stock(backend: &str) {
    let group = ServerGroup::start(backend, 3).await.behind_nginx().await;
    let group = sells_exactly_the_stock(backend, group).await;
    let balancer = group.balancer.as_ref().expect("nginx");
    let answers = [0, 1, 2].map(|program| balancer.answers_of(program));
    println!("{backend}: the programs have answered {answers:?}");
    assert!(answers.iter().all(|answers| *answers > ORDERS), "{answers:?}");
    assert_eq!(balancer.second_tries(), 0, "no program was killed");
}

async fn sells_exactly_the_stock(backend: &str, group: ServerGroup) -> Arc<ServerGroup> {
    let mut rng = testkit::random::rng();
    let group = Arc::new(group);
    for round in 1..=testkit::random::rounds(1) {
        for items in [1, THINGS] {
            let orders = Orders::make(&group, items, &mut rng).await;
            let paid = orders.rush(&group).await;
            orders.verify(&group, &paid).await;
        }
        let report = group.agrees();
        assert_eq!(report["paid_orders"], 2 * THINGS * round, "{report}");
        println!("{backend}, {} programs, round {round}: {report}", group.len());
    }
    group
}

/// Orders by number, each of one item.
struct Orders {
    /// Their ids, users and items.
    all: Vec<(String, usize, usize)>,
    items: usize,
}

impl Orders {
    /// Resets the fixtures of users and items, and makes new orders.
    async fn make(group: &Arc<ServerGroup>, items: usize, rng: &mut StdRng) -> Self {
        group.done(&format!("/payment/batch_init/{USERS}/1")).await;
        group.done(&format!("/stock/batch_init/{items}/{}/1", THINGS / items)).await;
        let made = (0..ORDERS).map(|number| {
            let (group, user, item) =
                (Arc::clone(group), rng.random_range(0..USERS), number % items);
            tokio::spawn(async move {
                let order = group.done(&format!("/orders/create/{user}")).await.text("order_id");
                group.done(&format!("/orders/addItem/{order}/{item}/1")).await;
                (order, user, item)
            })
        });
        let made: Vec<_> = made.collect();
        let all = futures::future::try_join_all(made).await.expect("orders are made");
        Self { all, items }
    }

    /// All checkouts at once; whether each succeeded. Anything but 200 and 409 is a failure.
    async fn rush(&self, group: &Arc<ServerGroup>) -> Vec<bool> {
        let start = Arc::new(Barrier::new(ORDERS));
        let buying = self.all.iter().map(|(order, ..)| {
            let (group, start) = (Arc::clone(group), Arc::clone(&start));
            let path = format!("/orders/checkout/{order}");
            tokio::spawn(async move {
                start.wait().await;
                match group.ask(Method::POST, &path).await {
                    Answer::Done(_) => true,
                    Answer::Refused(409) => false,
                    other => panic!("{path}: {other:?}"),
                }
            })
        });
        let buying: Vec<_> = buying.collect();
        futures::future::try_join_all(buying).await.expect("only 200 and 409")
    }

    /// Everything is sold, and what the store shows is what the answers said.
    async fn verify(&self, group: &ServerGroup, paid: &[bool]) {
        assert_eq!(paid.iter().filter(|paid| **paid).count(), THINGS);
        let mut credit = vec![1; USERS];
        for ((order, user, _), paid) in self.all.iter().zip(paid) {
            credit[*user] -= u64::from(*paid);
            let path = format!("/payment/status/{user}/{order}");
            assert_eq!(group.look(&path).await.unwrap().json()["paid"], *paid, "{order}");
        }
        for item in 0..self.items {
            let stock = group.look(&format!("/stock/find/{item}")).await.unwrap();
            assert_eq!(stock.number("stock"), 0, "item {item}");
        }
        for (user, credit) in credit.into_iter().enumerate() {
            let found = group.look(&format!("/payment/find_user/{user}")).await.unwrap();
            assert_eq!(found.number("credit"), credit, "user {user}");
        }
    }
}
