//! Clients that send random requests; each has orders of its own, users and items are shared. Half of them
//! send each request under an idempotency key, and again until it is answered: they know what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::{Client as Http, Method};

use crate::expected_state::{
    ExpectedOrder, ExpectedState, OrderContent, PRICES, Shop, Sum, USERS, is_rich,
};
use crate::http::{Answer, Faults, Request, client};
use crate::server_group::ServerGroup;
use testkit::wait::TIMEOUT;

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
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Everything, on all users and items.
    Mixed,
    /// Checks orders of one item out and cancels some of them.
    OneItem(usize),
}

/// An operation on an order of the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    AddItem(usize, u64),
    RemoveItem(usize),
    Remove,
    Checkout,
    Cancel,
}

impl Operation {
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

    /// What comes next for an order of this item alone.
    fn next_of_item(item: usize, order: &OrderContent, rng: &mut StdRng) -> Self {
        match (order.lines.is_empty(), order.paid) {
            (true, _) => Self::AddItem(item, 1),
            (false, true) => Self::Cancel,
            (false, false) if rng.random_range(0..10) == 0 => Self::AddItem(item, 1),
            (false, false) => Self::Checkout,
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

    fn request(self, shop: &Shop, own: &OwnOrder) -> (Method, String) {
        let (order, user) = (&own.order, &shop.users[own.user]);
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
    workload: Workload,
    stop: Arc<AtomicBool>,
    http: Http,
    rng: StdRng,
    /// Whether its requests have keys.
    has_keys: bool,
    orders: Vec<OwnOrder>,
    expected: ExpectedState,
}

impl Client {
    /// A client that goes on until `stop`.
    pub fn new(
        shared: Arc<Shared>,
        workload: Workload,
        stop: &Arc<AtomicBool>,
        mut rng: StdRng,
    ) -> Self {
        let (orders, expected) = (Vec::new(), ExpectedState::default());
        let (stop, http, has_keys) = (Arc::clone(stop), client(), rng.random());
        Self { shared, workload, stop, http, rng, has_keys, orders, expected }
    }

    /// Sends requests until it is told to stop; gives the state that it expects.
    pub async fn run(mut self) -> ExpectedState {
        while !self.stop.load(Ordering::Relaxed) {
            match (self.workload, self.rng.random_range(0..10)) {
                (Workload::Mixed, 0..2) => self.change_funds().await,
                (Workload::Mixed, 2..4) => self.change_stock().await,
                _ if self.orders.len() < ORDERS_AT_ONCE => self.create().await,
                _ => self.change_order().await,
            }
        }
        for own in std::mem::take(&mut self.orders) {
            let content = own.content.clone();
            self.retire(own, [Some(content)]);
        }
        self.expected
    }

    /// Sends a request; under a key until it is answered. The flag tells whether it was sent before in
    /// vain: of a refusal then a late first one may still have another outcome, because refusals are not
    /// stored.
    async fn ask(&mut self, faults: Faults, method: Method, path: &str) -> (Answer, bool) {
        let key = self.has_keys.then(|| self.rng.random::<u128>().to_string());
        let request = Request { method, path: path.to_owned(), key };
        let (begun, mut faults, mut repeated) = (Instant::now(), faults, false);
        if self.has_keys && self.rng.random_range(0..10) == 0 {
            // About as long as a request takes, so that many of these answers are lost.
            faults = Faults::HangUp(Duration::from_micros(self.rng.random_range(100..20_000)));
        }
        loop {
            let answer = self.try_to_ask(faults, &request).await;
            if !(answer.is_unknown() && self.has_keys) {
                return (answer, repeated);
            }
            assert!(begun.elapsed() < TIMEOUT, "no answer: {request:?}");
            (faults, repeated) = (Faults::Any, true);
        }
    }

    async fn try_to_ask(&self, faults: Faults, request: &Request) -> Answer {
        let shared = &self.shared;
        let answer = shared.group.ask_under_faults(&self.http, request, faults).await;
        if answer.is_unknown() {
            shared.unknown.fetch_add(1, Ordering::Relaxed);
            // A short pause, so that retries during a fault do not fill the test's time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            shared.answered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// One of ten checkouts has a client that soon hangs up.
    async fn send(&mut self, operation: Operation, own: &OwnOrder) -> (Answer, bool) {
        let (method, path) = operation.request(&self.shared.shop, own);
        let faults = if operation == Operation::Checkout && self.rng.random_range(0..10) == 0 {
            Faults::HangUp(Duration::from_millis(self.rng.random_range(1..500)))
        } else {
            Faults::Any
        };
        self.ask(faults, method, &path).await
    }

    /// An order whose create was not acknowledged stays empty if it exists: its id is unknown.
    async fn create(&mut self) {
        let user = self.rng.random_range(0..USERS);
        let path = format!("/orders/create/{}", self.shared.shop.users[user]);
        match self.ask(Faults::Any, Method::POST, &path).await.0 {
            answer @ Answer::Done(_) => {
                let (order, content) = (answer.text("order_id"), OrderContent::default());
                self.orders.push(OwnOrder { order, user, content });
            }
            answer => assert!(answer.is_unknown(), "{path}: {answer:?}"),
        }
    }

    async fn change_funds(&mut self) {
        let (user, amount, more) = self.draw_change(USERS);
        let route = if more { "add_funds" } else { "pay" };
        let path = format!("/payment/{route}/{}/{amount}", self.shared.shop.users[user]);
        let answer = self.ask(Faults::Any, Method::POST, &path).await;
        enter(&mut self.expected.funds[user], amount, more, answer);
    }

    async fn change_stock(&mut self) {
        let (item, amount, more) = self.draw_change(PRICES.len());
        let route = if more { "add" } else { "subtract" };
        let path = format!("/stock/{route}/{}/{amount}", self.shared.shop.items[item]);
        let answer = self.ask(Faults::Any, Method::POST, &path).await;
        enter(&mut self.expected.stock[item], amount, more, answer);
    }

    fn draw_change(&mut self, of: usize) -> (usize, i64, bool) {
        let number = self.rng.random_range(0..of);
        let most = if is_rich(number) { 50_000 } else { 5 };
        (number, self.rng.random_range(1..=most), self.rng.random())
    }

    /// An operation on one of its orders, whose answer must fit. An order whose state has become
    /// unknown is not used again, because what was sent may still take effect; after a checkout the
    /// client finds out first.
    async fn change_order(&mut self) {
        let at = self.rng.random_range(0..self.orders.len());
        let mut own = self.orders.swap_remove(at);
        let operation = match self.workload {
            Workload::Mixed => Operation::draw(&mut self.rng),
            Workload::OneItem(item) => Operation::next_of_item(item, &own.content, &mut self.rng),
        };
        let after = operation.done_to(&own.content);
        let (answer, repeated) = self.send(operation, &own).await;
        let what = || format!("{operation:?} on {} of {:?}: {answer:?}", own.order, own.content);
        match (&answer, after) {
            (Answer::Refused(_), Some(after)) if repeated => {
                let before = Some(own.content.clone());
                self.retire(own, [before, after]);
            }
            (Answer::Refused(_) | Answer::Unknown, None) if !repeated => self.orders.push(own),
            (Answer::TimedOut | Answer::Refused(_), None) => {
                let unchanged = own.content.clone();
                self.retire(own, [Some(unchanged)]);
            }
            (Answer::Done(_), Some(Some(content))) => {
                own.content = content;
                self.orders.push(own);
            }
            (Answer::Done(_), Some(None)) => self.retire(own, [None]),
            (Answer::Refused(_), Some(_))
                if operation == Operation::Checkout && !own.content.paid =>
            {
                self.orders.push(own);
            }
            (Answer::Unknown | Answer::TimedOut, Some(Some(paid)))
                if operation == Operation::Checkout =>
            {
                self.find_out(own, paid, answer == Answer::TimedOut).await;
            }
            (Answer::Unknown | Answer::TimedOut, Some(after)) => {
                let before = Some(own.content.clone());
                self.retire(own, [before, after]);
            }
            _ => panic!("{}", what()),
        }
    }

    /// What a client does whose checkout had no answer: it repeats it until it has one, or cancels
    /// through another server. What is acknowledged then is the state of the order for good, unless a
    /// server may still have a request whose client has hung up (`late`).
    async fn find_out(&mut self, mut own: OwnOrder, paid: OrderContent, mut late: bool) {
        let (before, open) = (own.content.clone(), OrderContent { paid: false, ..paid.clone() });
        let operation = if self.rng.random() { Operation::Checkout } else { Operation::Cancel };
        let answer = loop {
            let (answer, _) = self.send(operation, &own).await;
            late |= answer == Answer::TimedOut;
            if operation == Operation::Cancel || !answer.is_unknown() {
                break answer;
            }
        };
        let what = || format!("{operation:?} on {} after none: {answer:?}", own.order);
        match (&answer, operation) {
            // A late checkout finds the order paid, but pays a cancelled one again.
            (Answer::Done(_), Operation::Checkout) if late => self.retire(own, [Some(paid)]),
            (Answer::Done(_), _) if late => self.retire(own, [Some(open), Some(paid)]),
            (Answer::Done(_), Operation::Checkout) => {
                own.content = paid;
                self.orders.push(own);
            }
            (Answer::Done(_), _) => {
                own.content = open;
                self.orders.push(own);
            }
            // The first checkout may arrive last.
            (Answer::Refused(409), _) if !before.paid => {
                self.retire(own, [Some(open), Some(paid)]);
            }
            (Answer::Unknown | Answer::TimedOut, _) => {
                self.retire(own, [Some(open), Some(paid)]);
            }
            _ => panic!("{}", what()),
        }
    }

    fn retire<const N: usize>(&mut self, own: OwnOrder, possible: [Option<OrderContent>; N]) {
        let mut possible = Vec::from(possible);
        possible.dedup();
        let OwnOrder { order, user, .. } = own;
        self.expected.entries.push(ExpectedOrder { order, user, possible });
    }
}

/// Records the outcome of a change. Only a decrease may be refused.
fn enter(sum: &mut Sum, amount: i64, more: bool, (answer, repeated): (Answer, bool)) {
    let change = if more { amount } else { -amount };
    match answer {
        Answer::Done(_) => sum.known += change,
        Answer::Refused(409) if !more && repeated => sum.unknown.push(change),
        Answer::Refused(409) if !more => {}
        Answer::Unknown | Answer::TimedOut => sum.unknown.push(change),
        other => panic!("a change by {change}: {other:?}"),
    }
}
