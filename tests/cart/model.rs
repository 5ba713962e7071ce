//! A store in memory, by which the real ones are judged.

use std::collections::{BTreeMap, BTreeSet};

use storefront::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use storefront::db::storage::CartRefusal;

/// The largest amount.
pub const MAX: u64 = Amount::MAX.get();
/// What one costs in an order that is put into the store.
pub const PUT_PRICE: u64 = 2;

/// An operation on orders, items and users by number.
#[derive(Debug, Clone)]
pub enum Operation {
    CreateOrder(usize, usize),
    CreateItem(usize, u64),
    CreateUser(usize),
    AddItem(usize, usize, u64),
    RemoveItem(usize, usize),
    RemoveOrder(usize),
    Checkout(usize),
    Cancel(usize, usize),
    AddStock(usize, u64),
    SubtractStock(usize, u64),
    AddFunds(usize, u64),
    Pay(usize, u64),
    PutOrder(usize, usize, BTreeMap<usize, u64>),
    PutItem(usize, u64, u64),
    PutUser(usize, u64),
}

/// What an id is the id of, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Order(usize),
    Item(usize),
    User(usize),
}

impl Operation {
    /// The id that must be new.
    const fn new_id(&self) -> Option<Id> {
        match self {
            Self::CreateOrder(o, _) => Some(Id::Order(*o)),
            Self::CreateItem(i, _) => Some(Id::Item(*i)),
            Self::CreateUser(u) => Some(Id::User(*u)),
            _ => None,
        }
    }

    /// The id that is in use afterwards, if the operation may bring it in.
    const fn written_id(&self) -> Option<Id> {
        match self {
            Self::PutOrder(o, ..) => Some(Id::Order(*o)),
            Self::PutItem(i, ..) => Some(Id::Item(*i)),
            Self::PutUser(u, _) => Some(Id::User(*u)),
            _ => self.new_id(),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct OwnOrder {
    user: usize,
    paid: bool,
    /// Quantity, cost, and the item's epoch when it was paid.
    lines: BTreeMap<usize, (u64, u64, u64)>,
    user_epoch: u64,
}

impl OwnOrder {
    fn cost(&self) -> u64 {
        self.lines.values().map(|(_, cost, _)| cost).sum()
    }
}

#[derive(Debug, Clone, Copy)]
struct Stock {
    available: u64,
    price: u64,
    epoch: u64,
}

#[derive(Debug, Clone, Copy)]
struct Credit {
    available: u64,
    epoch: u64,
}

/// A store in memory. Epochs tell what fixtures have reset.
#[derive(Debug, Clone, Default)]
pub struct Model {
    orders: BTreeMap<usize, OwnOrder>,
    items: BTreeMap<usize, Stock>,
    users: BTreeMap<usize, Credit>,
    /// Ids of orders are never used again.
    used: BTreeSet<usize>,
    pub ids: Ids,
}

/// Numbers as this sequence's ids.
#[derive(Debug, Clone, Default)]
pub struct Ids(pub u64);

impl Ids {
    fn text(&self, number: usize) -> String {
        format!("{}-{number}", self.0)
    }

    pub fn order(&self, number: usize) -> OrderId {
        OrderId::parse(&self.text(number)).unwrap()
    }

    pub fn item(&self, number: usize) -> ItemId {
        ItemId::parse(&self.text(number)).unwrap()
    }

    pub fn user(&self, number: usize) -> UserId {
        UserId::parse(&self.text(number)).unwrap()
    }
}

impl Model {
    /// Whether the caller of the operation keeps its side: a new id is new.
    pub fn is_allowed(&self, operation: &Operation) -> bool {
        match operation {
            Operation::CreateOrder(o, _) => !self.used.contains(o),
            Operation::CreateItem(i, _) => !self.items.contains_key(i),
            Operation::CreateUser(u) => !self.users.contains_key(u),
            _ => true,
        }
    }

    /// The same for an operation that happens together with others, in any order.
    pub fn is_allowed_beside(&self, operation: &Operation, others: &[Operation]) -> bool {
        let id = operation.new_id();
        let is_new = id.is_none() || others.iter().all(|other| other.written_id() != id);
        let leaves_new = others
            .iter()
            .all(|other| other.new_id().is_none() || other.new_id() != operation.written_id());
        self.is_allowed(operation) && is_new && leaves_new
    }

    /// Everything that speaks against the operation.
    pub fn refusals(&self, operation: &Operation) -> Vec<CartRefusal> {
        match operation {
            Operation::AddItem(o, i, n) => self.against_adding(*o, *i, *n),
            Operation::RemoveItem(o, i) => match self.orders.get(o) {
                Some(order) if order.paid => vec![CartRefusal::Paid],
                Some(order) if order.lines.contains_key(i) => vec![],
                Some(_) => vec![CartRefusal::NotInOrder],
                None => vec![CartRefusal::NoOrder],
            },
            Operation::RemoveOrder(o) => match self.orders.get(o) {
                Some(order) if order.paid => vec![CartRefusal::Paid],
                Some(_) => vec![],
                None => vec![CartRefusal::NoOrder],
            },
            Operation::Checkout(o) => self.against_checkout(*o),
            Operation::Cancel(u, o) => self.against_cancel(*u, *o),
            Operation::AddStock(i, n) => match self.items.get(i) {
                Some(item) if item.available + self.sold(*i) + n > MAX => {
                    vec![CartRefusal::AmountOverflow]
                }
                Some(_) => vec![],
                None => vec![CartRefusal::NoItem(self.ids.item(*i))],
            },
            Operation::SubtractStock(i, n) => match self.items.get(i) {
                Some(item) if item.available < *n => {
                    vec![CartRefusal::OutOfStock(self.ids.item(*i))]
                }
                Some(_) => vec![],
                None => vec![CartRefusal::NoItem(self.ids.item(*i))],
            },
            Operation::AddFunds(u, n) => match self.users.get(u) {
                Some(user) if user.available + self.charged(*u) + n > MAX => {
                    vec![CartRefusal::AmountOverflow]
                }
                Some(_) => vec![],
                None => vec![CartRefusal::NoUser(self.ids.user(*u))],
            },
            Operation::Pay(u, n) => match self.users.get(u) {
                Some(user) if user.available < *n => vec![CartRefusal::NotEnoughCredit],
                Some(_) => vec![],
                None => vec![CartRefusal::NoUser(self.ids.user(*u))],
            },
            _ => vec![],
        }
    }

    fn against_adding(&self, order: usize, item: usize, quantity: u64) -> Vec<CartRefusal> {
        let Some(order) = self.orders.get(&order) else { return vec![CartRefusal::NoOrder] };
        if order.paid {
            return vec![CartRefusal::Paid];
        }
        let Some(stock) = self.items.get(&item) else {
            return vec![CartRefusal::NoItem(self.ids.item(item))];
        };
        let had = order.lines.get(&item).map_or(0, |line| line.0);
        let cost = u128::from(order.cost()) + u128::from(stock.price) * u128::from(quantity);
        let fits = had + quantity <= MAX && cost <= u128::from(MAX);
        if fits { vec![] } else { vec![CartRefusal::AmountOverflow] }
    }

    fn against_checkout(&self, order: usize) -> Vec<CartRefusal> {
        let Some(order) = self.orders.get(&order) else { return vec![CartRefusal::NoOrder] };
        if order.paid {
            return vec![];
        }
        if order.lines.is_empty() {
            return vec![CartRefusal::Empty];
        }
        let mut against = match self.users.get(&order.user) {
            None => vec![CartRefusal::NoUser(self.ids.user(order.user))],
            Some(user) if user.available < order.cost() => vec![CartRefusal::NotEnoughCredit],
            Some(_) => vec![],
        };
        for (item, (quantity, ..)) in &order.lines {
            match self.items.get(item) {
                None => against.push(CartRefusal::NoItem(self.ids.item(*item))),
                Some(stock) if stock.available < *quantity => {
                    against.push(CartRefusal::OutOfStock(self.ids.item(*item)));
                }
                Some(_) => {}
            }
        }
        against
    }

    fn against_cancel(&self, user: usize, order: usize) -> Vec<CartRefusal> {
        let Some(order) = self.orders.get(&order) else { return vec![CartRefusal::NoOrder] };
        let mut against = vec![];
        if order.user != user {
            against.push(CartRefusal::WrongUser);
        }
        if !order.paid {
            against.push(CartRefusal::NotPaid);
        }
        against
    }

    /// How many of an item are in paid orders. They may be returned, so they count against the limit.
    fn sold(&self, item: usize) -> u64 {
        let of_item = |order: &OwnOrder| order.lines.get(&item).copied();
        let lines = self.orders.values().filter(|order| order.paid).filter_map(of_item);
        lines
            .filter(|(.., epoch)| *epoch == self.items[&item].epoch)
            .map(|(quantity, ..)| quantity)
            .sum()
    }

    /// What a user's paid orders cost.
    fn charged(&self, user: usize) -> u64 {
        let epoch = self.users[&user].epoch;
        let of_user =
            |order: &&OwnOrder| order.paid && order.user == user && order.user_epoch == epoch;
        self.orders.values().filter(of_user).map(OwnOrder::cost).sum()
    }

    /// Does the operation, against which nothing speaks.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateOrder(o, u) => self.put_order(*o, *u, &BTreeMap::new()),
            Operation::CreateItem(i, price) => {
                self.items.insert(*i, Stock { available: 0, price: *price, epoch: 0 });
            }
            Operation::CreateUser(u) => {
                self.users.insert(*u, Credit { available: 0, epoch: 0 });
            }
            Operation::AddItem(o, i, n) => {
                let price = self.items[i].price;
                let line = self.open_order(*o).lines.entry(*i).or_default();
                *line = (line.0 + n, line.1 + price * n, 0);
            }
            Operation::RemoveItem(o, i) => self.remove_item(*o, *i),
            Operation::RemoveOrder(o) => drop(self.orders.remove(o)),
            Operation::Checkout(o) => self.checkout(*o),
            Operation::Cancel(_, o) => self.cancel(*o),
            Operation::AddStock(i, n) => self.items.get_mut(i).unwrap().available += n,
            Operation::SubtractStock(i, n) => self.items.get_mut(i).unwrap().available -= n,
            Operation::AddFunds(u, n) => self.users.get_mut(u).unwrap().available += n,
            Operation::Pay(u, n) => self.users.get_mut(u).unwrap().available -= n,
            Operation::PutOrder(o, u, lines) => self.put_order(*o, *u, lines),
            Operation::PutItem(i, stock, price) => {
                let epoch = self.items.get(i).map_or(0, |item| item.epoch + 1);
                self.items.insert(*i, Stock { available: *stock, price: *price, epoch });
            }
            Operation::PutUser(u, credit) => {
                let epoch = self.users.get(u).map_or(0, |user| user.epoch + 1);
                self.users.insert(*u, Credit { available: *credit, epoch });
            }
        }
    }

    fn open_order(&mut self, order: usize) -> &mut OwnOrder {
        self.orders.get_mut(&order).unwrap()
    }

    fn put_order(&mut self, order: usize, user: usize, lines: &BTreeMap<usize, u64>) {
        let lines = lines.iter().map(|(item, n)| (*item, (*n, n * PUT_PRICE, 0))).collect();
        self.used.insert(order);
        self.orders.insert(order, OwnOrder { user, lines, ..OwnOrder::default() });
    }

    fn remove_item(&mut self, order: usize, item: usize) {
        let lines = &mut self.open_order(order).lines;
        let (quantity, cost, _) = lines[&item];
        lines.insert(item, (quantity - 1, cost - cost / quantity, 0));
        lines.retain(|_, (quantity, ..)| *quantity > 0);
    }

    fn checkout(&mut self, number: usize) {
        let mut order = self.orders[&number].clone();
        if order.paid {
            return;
        }
        for (item, (quantity, _, epoch)) in &mut order.lines {
            let stock = self.items.get_mut(item).unwrap();
            stock.available -= *quantity;
            *epoch = stock.epoch;
        }
        let user = self.users.get_mut(&order.user).unwrap();
        user.available -= order.cost();
        (order.paid, order.user_epoch) = (true, user.epoch);
        self.orders.insert(number, order);
    }

    /// What was reset since takes nothing back.
    fn cancel(&mut self, number: usize) {
        let mut order = self.orders[&number].clone();
        for (item, (quantity, _, epoch)) in &order.lines {
            if let Some(stock) = self.items.get_mut(item).filter(|stock| stock.epoch == *epoch) {
                stock.available += quantity;
            }
        }
        let user = self.users.get_mut(&order.user);
        if let Some(user) = user.filter(|user| user.epoch == order.user_epoch) {
            user.available += order.cost();
        }
        order.paid = false;
        self.orders.insert(number, order);
    }

    /// The order as a store shows it.
    pub fn order(&self, number: usize) -> Option<Order> {
        let order = self.orders.get(&number)?;
        let lines = order.lines.iter().map(|(item, (quantity, cost, _))| Line {
            item: self.ids.item(*item),
            quantity: n(*quantity),
            cost: n(*cost),
        });
        let (id, user) = (self.ids.order(number), self.ids.user(order.user));
        Some(Order { id, user, paid: order.paid, lines: lines.collect() })
    }

    /// The item as a store shows it.
    pub fn item(&self, number: usize) -> Option<Item> {
        self.items.get(&number).map(|item| Item { stock: n(item.available), price: n(item.price) })
    }

    /// The user's credit.
    pub fn credit(&self, number: usize) -> Option<Amount> {
        self.users.get(&number).map(|user| n(user.available))
    }
}

/// A number as an amount.
pub fn n(value: u64) -> Amount {
    Amount::new(value).unwrap()
}
