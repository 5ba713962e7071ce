//! A store in memory, by which the real ones are judged.

use std::collections::{BTreeMap, BTreeSet};

use storefront::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use storefront::db::storage::CartRefusal;

/// The largest amount.
pub const MAX: u64 = Amount::MAX.get();
/// What one costs in an order that is put into the store.
pub const PUT_PRICE: u64 = 2;

/// An act on orders, items and users by number.
#[derive(Debug, Clone)]
pub enum Act {
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

#[derive(Debug, Clone, Default)]
struct OwnOrder {
    user: usize,
    paid: bool,
    /// Quantity, cost, and the item's age when it was paid.
    lines: BTreeMap<usize, (u64, u64, u64)>,
    user_age: u64,
}

impl OwnOrder {
    fn cost(&self) -> u64 {
        self.lines.values().map(|(_, cost, _)| cost).sum()
    }
}

#[derive(Debug, Clone, Copy)]
struct Stock {
    free: u64,
    price: u64,
    age: u64,
}

#[derive(Debug, Clone, Copy)]
struct Credit {
    free: u64,
    age: u64,
}

/// A store in memory. Ages tell what a set of fixtures has begun anew.
#[derive(Default)]
pub struct Model {
    orders: BTreeMap<usize, OwnOrder>,
    items: BTreeMap<usize, Stock>,
    users: BTreeMap<usize, Credit>,
    /// Ids of orders are never used again.
    used: BTreeSet<usize>,
    pub ids: Ids,
}

/// Numbers as this sequence's ids.
#[derive(Default)]
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
    /// Whether the act's caller keeps its side: a new id is new.
    pub fn is_allowed(&self, act: &Act) -> bool {
        match act {
            Act::CreateOrder(o, _) => !self.used.contains(o),
            Act::CreateItem(i, _) => !self.items.contains_key(i),
            Act::CreateUser(u) => !self.users.contains_key(u),
            _ => true,
        }
    }

    /// Everything that speaks against the act.
    pub fn refusals(&self, act: &Act) -> Vec<CartRefusal> {
        match act {
            Act::AddItem(o, i, n) => self.against_adding(*o, *i, *n),
            Act::RemoveItem(o, i) => match self.orders.get(o) {
                Some(order) if order.paid => vec![CartRefusal::Paid],
                Some(order) if order.lines.contains_key(i) => vec![],
                Some(_) => vec![CartRefusal::NotInOrder],
                None => vec![CartRefusal::NoOrder],
            },
            Act::RemoveOrder(o) => match self.orders.get(o) {
                Some(order) if order.paid => vec![CartRefusal::Paid],
                Some(_) => vec![],
                None => vec![CartRefusal::NoOrder],
            },
            Act::Checkout(o) => self.against_checkout(*o),
            Act::Cancel(u, o) => self.against_cancel(*u, *o),
            Act::AddStock(i, n) => match self.items.get(i) {
                Some(item) if item.free + self.sold(*i) + n > MAX => {
                    vec![CartRefusal::AmountOverflow]
                }
                Some(_) => vec![],
                None => vec![CartRefusal::NoItem(self.ids.item(*i))],
            },
            Act::SubtractStock(i, n) => match self.items.get(i) {
                Some(item) if item.free < *n => vec![CartRefusal::OutOfStock(self.ids.item(*i))],
                Some(_) => vec![],
                None => vec![CartRefusal::NoItem(self.ids.item(*i))],
            },
            Act::AddFunds(u, n) => match self.users.get(u) {
                Some(user) if user.free + self.charged(*u) + n > MAX => {
                    vec![CartRefusal::AmountOverflow]
                }
                Some(_) => vec![],
                None => vec![CartRefusal::NoUser(self.ids.user(*u))],
            },
            Act::Pay(u, n) => match self.users.get(u) {
                Some(user) if user.free < *n => vec![CartRefusal::NotEnoughCredit],
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
            Some(user) if user.free < order.cost() => vec![CartRefusal::NotEnoughCredit],
            Some(_) => vec![],
        };
        for (item, (quantity, ..)) in &order.lines {
            match self.items.get(item) {
                None => against.push(CartRefusal::NoItem(self.ids.item(*item))),
                Some(stock) if stock.free < *quantity => {
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
        let of_item = |basket: &OwnOrder| basket.lines.get(&item).copied();
        let lines = self.orders.values().filter(|basket| basket.paid).filter_map(of_item);
        lines.filter(|(.., age)| *age == self.items[&item].age).map(|(quantity, ..)| quantity).sum()
    }

    /// What a user's paid orders cost.
    fn charged(&self, user: usize) -> u64 {
        let age = self.users[&user].age;
        let of_user =
            |basket: &&OwnOrder| basket.paid && basket.user == user && basket.user_age == age;
        self.orders.values().filter(of_user).map(OwnOrder::cost).sum()
    }

    /// Does the act, against which nothing speaks.
    pub fn apply(&mut self, act: &Act) {
        match act {
            Act::CreateOrder(o, u) => self.put_order(*o, *u, &BTreeMap::new()),
            Act::CreateItem(i, price) => {
                self.items.insert(*i, Stock { free: 0, price: *price, age: 0 });
            }
            Act::CreateUser(u) => drop(self.users.insert(*u, Credit { free: 0, age: 0 })),
            Act::AddItem(o, i, n) => {
                let price = self.items[i].price;
                let line = self.basket(*o).lines.entry(*i).or_default();
                *line = (line.0 + n, line.1 + price * n, 0);
            }
            Act::RemoveItem(o, i) => self.remove_item(*o, *i),
            Act::RemoveOrder(o) => drop(self.orders.remove(o)),
            Act::Checkout(o) => self.checkout(*o),
            Act::Cancel(_, o) => self.cancel(*o),
            Act::AddStock(i, n) => self.items.get_mut(i).unwrap().free += n,
            Act::SubtractStock(i, n) => self.items.get_mut(i).unwrap().free -= n,
            Act::AddFunds(u, n) => self.users.get_mut(u).unwrap().free += n,
            Act::Pay(u, n) => self.users.get_mut(u).unwrap().free -= n,
            Act::PutOrder(o, u, lines) => self.put_order(*o, *u, lines),
            Act::PutItem(i, stock, price) => {
                let age = self.items.get(i).map_or(0, |item| item.age + 1);
                self.items.insert(*i, Stock { free: *stock, price: *price, age });
            }
            Act::PutUser(u, credit) => {
                let age = self.users.get(u).map_or(0, |user| user.age + 1);
                self.users.insert(*u, Credit { free: *credit, age });
            }
        }
    }

    fn basket(&mut self, order: usize) -> &mut OwnOrder {
        self.orders.get_mut(&order).unwrap()
    }

    fn put_order(&mut self, order: usize, user: usize, lines: &BTreeMap<usize, u64>) {
        let lines = lines.iter().map(|(item, n)| (*item, (*n, n * PUT_PRICE, 0))).collect();
        self.used.insert(order);
        self.orders.insert(order, OwnOrder { user, lines, ..OwnOrder::default() });
    }

    fn remove_item(&mut self, order: usize, item: usize) {
        let lines = &mut self.basket(order).lines;
        let (quantity, cost, _) = lines[&item];
        lines.insert(item, (quantity - 1, cost - cost / quantity, 0));
        lines.retain(|_, (quantity, ..)| *quantity > 0);
    }

    fn checkout(&mut self, order: usize) {
        let mut basket = self.orders[&order].clone();
        if basket.paid {
            return;
        }
        for (item, (quantity, _, age)) in &mut basket.lines {
            let stock = self.items.get_mut(item).unwrap();
            stock.free -= *quantity;
            *age = stock.age;
        }
        let user = self.users.get_mut(&basket.user).unwrap();
        user.free -= basket.cost();
        (basket.paid, basket.user_age) = (true, user.age);
        self.orders.insert(order, basket);
    }

    /// What was begun anew since takes nothing back.
    fn cancel(&mut self, order: usize) {
        let mut basket = self.orders[&order].clone();
        for (item, (quantity, _, age)) in &basket.lines {
            if let Some(stock) = self.items.get_mut(item).filter(|stock| stock.age == *age) {
                stock.free += quantity;
            }
        }
        let user = self.users.get_mut(&basket.user);
        if let Some(user) = user.filter(|user| user.age == basket.user_age) {
            user.free += basket.cost();
        }
        basket.paid = false;
        self.orders.insert(order, basket);
    }

    /// The order as a store shows it.
    pub fn order(&self, number: usize) -> Option<Order> {
        let basket = self.orders.get(&number)?;
        let lines = basket.lines.iter().map(|(item, (quantity, cost, _))| Line {
            item: self.ids.item(*item),
            quantity: n(*quantity),
            cost: n(*cost),
        });
        let (id, user) = (self.ids.order(number), self.ids.user(basket.user));
        Some(Order { id, user, paid: basket.paid, lines: lines.collect() })
    }

    /// The item as a store shows it.
    pub fn item(&self, number: usize) -> Option<Item> {
        self.items.get(&number).map(|item| Item { stock: n(item.free), price: n(item.price) })
    }

    /// The user's credit.
    pub fn credit(&self, number: usize) -> Option<Amount> {
        self.users.get(&number).map(|user| n(user.free))
    }
}

/// A number as an amount.
pub fn n(value: u64) -> Amount {
    Amount::new(value).unwrap()
}
