//! Clients that send random requests; each has orders of its own, users and items are shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::{Client as Http, Method};

use crate::expected_state::{
    ExpectedOrder, ExpectedState, OrderContent, PRICES, Shop, USERS, is_rich,
};
use crate::http::{Answer, client};
use crate::server_group::ServerGroup;

/// Orders that a client has at one time.
const ORDERS_AT_ONCE: usize = 4;

/// What clients have in common.
pub struct Shared {
    pub group: ServerGroup,
    pub shop: Shop,
    /// Requests that were answered so far.
    pub answered: AtomicU64,
    /// Requests whose outcome is unknown so far.
    pub unknown: AtomicU64,
    /// Tells the clients to stop.
    pub stop: AtomicBool,
}

/// An operation on an order of the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    AddItem(usize, u64),
    RemoveItem(usize),
    Remove,
    Checkout,
    Cancel,
}

impl Act {
    fn draw(rng: &mut StdRng) -> Self {
        let item = rng.random_range(0..PRICES.len());
        match rng.random_range(0..20) {
            0..8 => Self::AddItem(item, rng.random_range(1..4)),
            8..10 => Self::RemoveItem(item),
            10 => Self::Remove,
            11..16 => Self::Checkout,
            _ => Self::Cancel,
        }
    }

    /// What the order is afterwards if it is done; `None` if it must be refused.
    fn done_to(self, content: &OrderContent) -> Option<Option<OrderContent>> {
        let mut after = content.clone();
        let is_open = !content.paid;
        match self {
            Self::AddItem(item, quantity) if is_open => {
                *after.lines.entry(item).or_default() += quantity;
            }
            Self::RemoveItem(item) if is_open => {
                let left = after.lines.get_mut(&item)?;
                *left -= 1;
                after.lines.retain(|_, quantity| *quantity > 0);
            }
            Self::Remove if is_open => return Some(None),
            Self::Checkout if !content.lines.is_empty() => after.paid = true,
            Self::Cancel if content.paid => after.paid = false,
            _ => return None,
        }
        Some(Some(after))
    }

    fn request(self, shop: &Shop, basket: &OwnOrder) -> (Method, String) {
        let (order, user) = (&basket.order, &shop.users[basket.user]);
        match self {
            Self::AddItem(item, quantity) => {
                let item = &shop.items[item];
                (Method::POST, format!("/orders/addItem/{order}/{item}/{quantity}"))
            }
            Self::RemoveItem(item) => {
                (Method::DELETE, format!("/orders/removeItem/{order}/{}", shop.items[item]))
            }
            Self::Remove => (Method::DELETE, format!("/orders/remove/{order}")),
            Self::Checkout => (Method::POST, format!("/orders/checkout/{order}")),
            Self::Cancel => (Method::POST, format!("/payment/cancel/{user}/{order}")),
        }
    }
}

/// An order whose state its client knows.
struct OwnOrder {
    order: String,
    user: usize,
    content: OrderContent,
}

/// One client, and what it expects of the store after the answers that it got.
pub struct Client {
    shared: Arc<Shared>,
    http: Http,
    rng: StdRng,
    baskets: Vec<OwnOrder>,
    expected: ExpectedState,
}

impl Client {
    pub fn new(shared: Arc<Shared>, rng: StdRng) -> Self {
        Self {
            shared,
            http: client(),
            rng,
            baskets: Vec::new(),
            expected: ExpectedState::default(),
        }
    }

    /// Sends requests until it is told to stop; gives the state that it expects.
    pub async fn run(mut self) -> ExpectedState {
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.rng.random_range(0..10) {
                0..2 => self.change_funds().await,
                2..4 => self.change_stock().await,
                _ if self.baskets.len() < ORDERS_AT_ONCE => self.create().await,
                _ => self.shop().await,
            }
        }
        for OwnOrder { order, user, content } in std::mem::take(&mut self.baskets) {
            self.expected.entries.push(ExpectedOrder {
                order,
                user,
                possible: vec![Some(content)],
            });
        }
        self.expected
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        let shared = &self.shared;
        let answer = shared.group.ask_under_faults(&self.http, method, path).await;
        if answer == Answer::Unknown {
            shared.unknown.fetch_add(1, Ordering::Relaxed);
            // A short pause, so that retries during a fault do not fill the test's time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            shared.answered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// An order whose create was not acknowledged stays empty if it exists: its id is unknown.
    async fn create(&mut self) {
        let user = self.rng.random_range(0..USERS);
        let path = format!("/orders/create/{}", self.shared.shop.users[user]);
        match self.ask(Method::POST, &path).await {
            answer @ Answer::Done(_) => {
                let (order, content) = (answer.text("order_id"), OrderContent::default());
                self.baskets.push(OwnOrder { order, user, content });
            }
            answer => assert_eq!(answer, Answer::Unknown, "{path}"),
        }
    }

    async fn change_funds(&mut self) {
        let (user, amount, more) = self.draw_change(USERS);
        let act = if more { "add_funds" } else { "pay" };
        let path = format!("/payment/{act}/{}/{amount}", self.shared.shop.users[user]);
        let answer = self.ask(Method::POST, &path).await;
        enter(&mut self.expected.funds[user], amount, more, &answer);
    }

    async fn change_stock(&mut self) {
        let (item, amount, more) = self.draw_change(PRICES.len());
        let act = if more { "add" } else { "subtract" };
        let path = format!("/stock/{act}/{}/{amount}", self.shared.shop.items[item]);
        let answer = self.ask(Method::POST, &path).await;
        enter(&mut self.expected.stock[item], amount, more, &answer);
    }

    fn draw_change(&mut self, of: usize) -> (usize, i64, bool) {
        let number = self.rng.random_range(0..of);
        let most = if is_rich(number) { 50_000 } else { 5 };
        (number, self.rng.random_range(1..=most), self.rng.random())
    }

    /// An operation on one of its orders, whose answer must fit. An order whose state has become
    /// unknown is not used again, because what was sent may still take effect.
    async fn shop(&mut self) {
        let at = self.rng.random_range(0..self.baskets.len());
        let mut basket = self.baskets.swap_remove(at);
        let act = Act::draw(&mut self.rng);
        let after = act.done_to(&basket.content);
        let (method, path) = act.request(&self.shared.shop, &basket);
        let mut answer = self.ask(method.clone(), &path).await;
        let was_unknown = answer == Answer::Unknown;
        while was_unknown && act == Act::Checkout && answer == Answer::Unknown {
            answer = self.ask(method.clone(), &path).await;
        }
        let what = || format!("{path} of {:?}: {answer:?}", basket.content);
        let Some(after) = after else {
            assert!(matches!(answer, Answer::Refused(_) | Answer::Unknown), "{}", what());
            return self.baskets.push(basket);
        };
        match (&answer, was_unknown) {
            (Answer::Done(_), false) => match after {
                Some(content) => {
                    basket.content = content;
                    self.baskets.push(basket);
                }
                None => self.retire(basket, vec![None]),
            },
            // The first request may arrive last, and then finds the order paid.
            (Answer::Done(_), true) => self.retire(basket, vec![after]),
            (Answer::Refused(_), false) => {
                assert!(act == Act::Checkout && !basket.content.paid, "{}", what());
                self.baskets.push(basket);
            }
            _ => {
                let before = Some(basket.content.clone());
                self.retire(basket, vec![before, after]);
            }
        }
    }

    fn retire(&mut self, basket: OwnOrder, mut possible: Vec<Option<OrderContent>>) {
        possible.dedup();
        let OwnOrder { order, user, .. } = basket;
        self.expected.entries.push(ExpectedOrder { order, user, possible });
    }
}

/// Records the outcome of a change. Only a decrease may be refused.
fn enter(sum: &mut crate::expected_state::Sum, amount: i64, more: bool, answer: &Answer) {
    let change = if more { amount } else { -amount };
    match answer {
        Answer::Done(_) => sum.known += change,
        Answer::Refused(409) if !more => {}
        Answer::Unknown => sum.unknown.push(change),
        other => panic!("a change by {change}: {other:?}"),
    }
}
