//! What the store must hold after the answers that clients got.

use std::collections::{BTreeMap, HashSet};

use crate::server_group::ServerGroup;

/// Prices of the items. They differ, so that different orders have different totals.
pub const PRICES: [u64; 5] = [1, 2, 3, 5, 7];
pub const USERS: usize = 6;
/// The initial stock or credit of the scarce: too little, so that checkouts are refused.
const LITTLE: u64 = 30;
/// That of the others: enough for changes of such different sizes that each can be told apart.
const MUCH: u64 = 10_000_000;

/// Whether an item or user of that number has a large initial amount.
pub fn is_rich(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn beginning(number: usize) -> u64 {
    if is_rich(number) { MUCH } else { LITTLE }
}

/// Users and items by number, with their ids.
pub struct Shop {
    pub users: Vec<String>,
    pub items: Vec<String>,
}

impl Shop {
    /// Creates them, with their initial stock and credit.
    pub async fn open(group: &ServerGroup) -> Self {
        let (mut users, mut items) = (Vec::new(), Vec::new());
        for number in 0..USERS {
            let user = group.done("/payment/create_user").await.text("user_id");
            let credit = beginning(number);
            group.done(&format!("/payment/add_funds/{user}/{credit}")).await;
            users.push(user);
        }
        for (number, price) in PRICES.iter().enumerate() {
            let item = group.done(&format!("/stock/item/create/{price}")).await.text("item_id");
            group.done(&format!("/stock/add/{item}/{}", beginning(number))).await;
            items.push(item);
        }
        Self { users, items }
    }
}

/// The lines of an order, by item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderContent {
    pub lines: BTreeMap<usize, u64>,
    pub paid: bool,
}

impl OrderContent {
    pub fn cost(&self) -> u64 {
        self.lines.iter().map(|(item, quantity)| PRICES[*item] * quantity).sum()
    }
}

/// An order and the states that it may be in; `None` is a removed order.
#[derive(Debug)]
pub struct ExpectedOrder {
    pub order: String,
    pub user: usize,
    pub possible: Vec<Option<OrderContent>>,
}

/// The changes of a sum: those acknowledged, and those whose outcome is unknown.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    pub known: i64,
    pub unknown: Vec<i64>,
}

impl Sum {
    /// Whether the acknowledged changes and some subset of the unknown ones add up to `change`.
    fn explains(&self, change: i64) -> bool {
        let mut sums = HashSet::from([self.known]);
        for amount in &self.unknown {
            sums.extend(sums.iter().map(|sum| sum + amount).collect::<Vec<_>>());
        }
        sums.contains(&change)
    }
}

/// What one or more clients expect.
#[derive(Debug)]
pub struct ExpectedState {
    pub entries: Vec<ExpectedOrder>,
    /// Funds less payments, by user.
    pub funds: Vec<Sum>,
    /// Additions less subtractions, by item.
    pub stock: Vec<Sum>,
}

impl Default for ExpectedState {
    fn default() -> Self {
        let (funds, stock) = (vec![Sum::default(); USERS], vec![Sum::default(); PRICES.len()]);
        Self { entries: Vec::new(), funds, stock }
    }
}

impl ExpectedState {
    /// Adds what another client expects.
    pub fn add(&mut self, other: Self) {
        self.entries.extend(other.entries);
        let sums = self.funds.iter_mut().chain(&mut self.stock);
        for (sum, more) in sums.zip(other.funds.into_iter().chain(other.stock)) {
            sum.known += more.known;
            sum.unknown.extend(more.unknown);
        }
    }

    /// How many requests have an unknown outcome.
    pub fn unknown(&self) -> usize {
        let orders = self.entries.iter().filter(|entry| entry.possible.len() > 1).count();
        orders + self.funds.iter().chain(&self.stock).map(|sum| sum.unknown.len()).sum::<usize>()
    }

    /// Compares it with a store at rest; gives how many orders are paid.
    pub async fn verify(&self, group: &ServerGroup, shop: &Shop) -> usize {
        let (mut sold, mut charged, mut paid) = ([0; PRICES.len()], [0; USERS], 0);
        for entry in &self.entries {
            let found = find(group, shop, entry).await;
            assert!(entry.possible.contains(&found), "{entry:?} is {found:?}");
            for content in found.iter().filter(|content| content.paid) {
                paid += 1;
                charged[entry.user] += content.cost();
                for (item, quantity) in &content.lines {
                    sold[*item] += quantity;
                }
            }
        }
        for (number, item) in shop.items.iter().enumerate() {
            let found = group.look(&format!("/stock/find/{item}")).await.unwrap();
            let held = found.number("stock") + sold[number];
            follows(held, number, &self.stock[number], "item");
        }
        for (number, user) in shop.users.iter().enumerate() {
            let found = group.look(&format!("/payment/find_user/{user}")).await.unwrap();
            let held = found.number("credit") + charged[number];
            follows(held, number, &self.funds[number], "user");
        }
        paid
    }
}

/// Fails unless what is left plus what was sold is the initial amount plus the changes.
fn follows(held: u64, number: usize, sum: &Sum, whose: &str) {
    let change = held.cast_signed() - beginning(number).cast_signed();
    assert!(sum.explains(change), "{whose} {number} changed by {change}, clients know {sum:?}");
}

/// The order as the store shows it; checks its ids and its total.
async fn find(group: &ServerGroup, shop: &Shop, entry: &ExpectedOrder) -> Option<OrderContent> {
    let found = group.look(&format!("/orders/find/{}", entry.order)).await?.json();
    assert_eq!(
        (&found["order_id"], &found["user_id"]),
        (&entry.order.as_str().into(), &shop.users[entry.user].as_str().into())
    );
    let lines = found["items"].as_array().expect("lines").iter().map(|line| {
        let item = shop.items.iter().position(|item| line[0] == item.as_str());
        (item.expect("an item of the shop"), line[1].as_u64().expect("a number"))
    });
    let paid = found["paid"].as_bool().expect("yes or no");
    let content = OrderContent { lines: lines.collect(), paid };
    assert_eq!(found["total_cost"], content.cost(), "{found}");
    Some(content)
}

#[test]
fn a_sum_is_explained_by_any_subset_of_the_unknown_changes() {
    let sum = Sum { known: 10, unknown: vec![3, -5] };
    for (change, explained) in [(10, true), (13, true), (5, true), (8, true), (11, false)] {
        assert_eq!(sum.explains(change), explained, "{change}");
    }
}
