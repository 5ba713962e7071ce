//! Every operation of orders, stock and payment, on a user, an item and an order of the client's own.

use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::Value;

use super::{Acknowledged, Outcome, Progress, Sender};
use crate::process::Server;

/// What one of an item costs.
const PRICE: u64 = 2;

/// The amounts of one user, of one item, and the only order of both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct CartState {
    credit: u64,
    stock: u64,
    /// The quantity in the order, and whether it is paid; `None` without an order.
    order: Option<(u64, bool)>,
}

#[derive(Debug, Clone, Default)]
struct Ids {
    user: Option<String>,
    item: Option<String>,
    order: Option<String>,
}

/// A cart and the states that it may be in.
#[derive(Debug)]
pub(super) struct ExpectedCart {
    ids: Ids,
    possible: Vec<CartState>,
}

impl ExpectedCart {
    /// Whether the server shows one of the possible states.
    pub(super) async fn is_as_expected(&self, server: &Server) -> bool {
        let Ids { user, item, order } = &self.ids;
        let mut found = CartState::default();
        if let Some(user) = user {
            let user = get(server, &format!("/payment/find_user/{user}")).await;
            found.credit = number(&user.expect("the user is there")["credit"]);
        }
        if let Some(item) = item {
            let item = get(server, &format!("/stock/find/{item}")).await;
            found.stock = number(&item.expect("the item is there")["stock"]);
        }
        if let Some(order) = order
            && let Some(order) = get(server, &format!("/orders/find/{order}")).await
        {
            let lines = order["items"].as_array().expect("lines");
            let quantity = lines.iter().map(|line| number(&line[1])).sum();
            found.order = Some((quantity, order["paid"].as_bool().expect("yes or no")));
        }
        self.possible.contains(&found)
    }
}

/// A GET that must succeed or find nothing. A server that is still busy with a fault is asked again.
async fn get(server: &Server, path: &str) -> Option<Value> {
    loop {
        let answer = server.send(Method::GET, path, None).await.expect("an answer");
        match answer.status().as_u16() {
            200 => {
                let body = answer.text().await.expect("a body");
                return Some(serde_json::from_str(&body).expect("JSON"));
            }
            404 => return None,
            503 => {}
            other => panic!("{path}: {other}"),
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    CreateUser,
    AddFunds(u64),
    Pay(u64),
    CreateItem,
    AddStock(u64),
    SubtractStock(u64),
    CreateOrder,
    AddItem(u64),
    RemoveItem,
    RemoveOrder,
    Checkout,
    Cancel,
}

impl Operation {
    const fn kind(self) -> &'static str {
        match self {
            Self::CreateUser => "create_user",
            Self::AddFunds(_) => "add_funds",
            Self::Pay(_) => "pay",
            Self::CreateItem => "create_item",
            Self::AddStock(_) => "add_stock",
            Self::SubtractStock(_) => "subtract_stock",
            Self::CreateOrder => "create_order",
            Self::AddItem(_) => "add_item",
            Self::RemoveItem => "remove_item",
            Self::RemoveOrder => "remove_order",
            Self::Checkout => "checkout",
            Self::Cancel => "cancel",
        }
    }

    /// The state afterwards; `None` if it must be refused.
    fn done_to(self, before: &CartState) -> Option<CartState> {
        let CartState { credit, stock, order } = before;
        let mut after = before.clone();
        match (self, order) {
            (Self::CreateUser | Self::CreateItem, _) => {}
            (Self::AddFunds(n), _) => after.credit += n,
            (Self::Pay(n), _) => after.credit = credit.checked_sub(n)?,
            (Self::AddStock(n), _) => after.stock += n,
            (Self::SubtractStock(n), _) => after.stock = stock.checked_sub(n)?,
            (Self::CreateOrder, None) => after.order = Some((0, false)),
            (Self::AddItem(n), Some((had, false))) => after.order = Some((had + n, false)),
            (Self::RemoveItem, Some((had, false))) => {
                after.order = Some((had.checked_sub(1)?, false));
            }
            (Self::RemoveOrder, Some((_, false))) => after.order = None,
            (Self::Checkout, Some((1.., true))) => {}
            (Self::Checkout, Some((quantity @ 1.., false))) => {
                after.credit = credit.checked_sub(quantity * PRICE)?;
                after.stock = stock.checked_sub(*quantity)?;
                after.order = Some((*quantity, true));
            }
            (Self::Cancel, Some((quantity, true))) => {
                after.credit += quantity * PRICE;
                after.stock += quantity;
                after.order = Some((*quantity, false));
            }
            _ => return None,
        }
        Some(after)
    }

    fn request(self, Ids { user, item, order }: &Ids) -> (Method, String) {
        let [user, item, order] = [user, item, order].map(|id| id.as_deref().unwrap_or_default());
        match self {
            Self::CreateUser => (Method::POST, "/payment/create_user".to_owned()),
            Self::AddFunds(n) => (Method::POST, format!("/payment/add_funds/{user}/{n}")),
            Self::Pay(n) => (Method::POST, format!("/payment/pay/{user}/{n}")),
            Self::CreateItem => (Method::POST, format!("/stock/item/create/{PRICE}")),
            Self::AddStock(n) => (Method::POST, format!("/stock/add/{item}/{n}")),
            Self::SubtractStock(n) => (Method::POST, format!("/stock/subtract/{item}/{n}")),
            Self::CreateOrder => (Method::POST, format!("/orders/create/{user}")),
            Self::AddItem(n) => (Method::POST, format!("/orders/addItem/{order}/{item}/{n}")),
            Self::RemoveItem => (Method::DELETE, format!("/orders/removeItem/{order}/{item}")),
            Self::RemoveOrder => (Method::DELETE, format!("/orders/remove/{order}")),
            Self::Checkout => (Method::POST, format!("/orders/checkout/{order}")),
            Self::Cancel => (Method::POST, format!("/payment/cancel/{user}/{order}")),
        }
    }
}

/// A client with one cart at a time. One whose state has become unknown is not used again, because the
/// operation may still take effect.
pub(super) struct CartClient {
    rng: StdRng,
    ids: Ids,
    state: CartState,
    acknowledged: Acknowledged,
}

impl CartClient {
    pub(super) fn new(rng: StdRng) -> Self {
        let (ids, state) = (Ids::default(), CartState::default());
        Self { rng, ids, state, acknowledged: Acknowledged::default() }
    }

    pub(super) async fn run(mut self, sender: &impl Sender, progress: &Progress) -> Acknowledged {
        while !progress.stopped() {
            let operation = self.draw();
            let (method, path) = operation.request(&self.ids);
            let outcome = sender.send(method, &path, None).await;
            progress.count(operation.kind(), &outcome).await;
            self.learn(operation, &outcome);
        }
        let state = self.state.clone();
        self.retire(vec![state]);
        self.acknowledged
    }

    fn draw(&mut self) -> Operation {
        let Ids { user, item, order } = &self.ids;
        match (&self.state, self.rng.random_range(0..12)) {
            _ if user.is_none() => Operation::CreateUser,
            _ if item.is_none() => Operation::CreateItem,
            (CartState { credit: 0..20, .. }, _) => Operation::AddFunds(100),
            (CartState { stock: 0..10, .. }, _) => Operation::AddStock(50),
            _ if order.is_none() => Operation::CreateOrder,
            (_, 0) => Operation::Pay(self.rng.random_range(1..4)),
            (_, 1) => Operation::SubtractStock(self.rng.random_range(1..4)),
            (CartState { order: Some((_, true)), .. }, _) => Operation::Cancel,
            (_, 2) => Operation::RemoveItem,
            (_, 3) => Operation::RemoveOrder,
            (_, 4..6) => Operation::AddItem(self.rng.random_range(1..4)),
            (CartState { order: Some((0, _)), .. }, _) => Operation::AddItem(2),
            _ => Operation::Checkout,
        }
    }

    /// What the answer tells of the cart, which must fit.
    fn learn(&mut self, operation: Operation, outcome: &Outcome) {
        let before = self.state.clone();
        match (outcome, operation.done_to(&before)) {
            (Outcome::Done(body), Some(after)) => {
                self.state = after;
                let id = |name: &str| {
                    let body: Value = serde_json::from_str(body).expect("JSON");
                    Some(body[name].as_str().expect("an id").to_owned())
                };
                match operation {
                    Operation::CreateUser => self.ids.user = id("user_id"),
                    Operation::CreateItem => self.ids.item = id("item_id"),
                    Operation::CreateOrder => self.ids.order = id("order_id"),
                    Operation::RemoveOrder => self.retire(vec![self.state.clone()]),
                    _ => {}
                }
            }
            (Outcome::Refused(409), None) => {}
            // What was created has an id that the client does not know.
            (Outcome::Unknown, Some(_)) if operation == Operation::CreateOrder => {
                self.retire(vec![before]);
            }
            (Outcome::Unknown, after) => self.retire([before].into_iter().chain(after).collect()),
            (outcome, after) => {
                panic!("{operation:?} of {:?} {before:?}: {outcome:?}, not {after:?}", self.ids)
            }
        }
    }

    /// Records the cart and begins another.
    fn retire(&mut self, mut possible: Vec<CartState>) {
        possible.dedup();
        let ids = std::mem::take(&mut self.ids);
        self.state = CartState::default();
        if ids.user.is_some() {
            self.acknowledged.carts.push(ExpectedCart { ids, possible });
        }
    }
}
