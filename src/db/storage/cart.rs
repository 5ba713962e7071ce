//! The promises about orders, stock and payment.

use async_trait::async_trait;
use serde::Serialize;

use super::StorageError;
use crate::cart::model::{Amount, Item, ItemId, Order, OrderId, UserId};

/// Orders, items and users of a store.
///
/// However many clients and servers act at once, and wherever they crash, at any moment
/// `stock = added - subtracted - sold` of every item and `credit = funded - paid - charged` of every
/// user, where `sold` are the quantities in paid orders and `charged` is the cost of that user's
/// paid orders. The store keeps these sums beside stock and credit and changes them in the same
/// atomic step, so that [`CartStore::audit`] needs the store alone.
///
/// Every write is durable when its method returns. A refusal is the truth at some moment between
/// call and return, and has changed nothing. While an order is being checked out or cancelled all
/// other acts on it wait for the end. After an error of kind `Unavailable` or `Timeout` the act may
/// have happened or not, wholly in either case; `checkout` may then be repeated.
#[async_trait]
pub trait CartStore: Send + Sync {
    /// Stores a new, empty order; its id must be a new one. The user need not exist.
    async fn create_order(&self, order: OrderId, user: UserId) -> Result<(), StorageError>;

    /// The order of that id, its lines ascending by item.
    async fn find_order(&self, order: &OrderId) -> Result<Option<Order>, StorageError>;

    /// Puts some of an item into an unpaid order, at the item's present price; what was in it
    /// already adds up.
    async fn add_item(&self, order: OrderId, item: ItemId, quantity: Amount) -> CartResult;

    /// Takes one of an item off an unpaid order; its share of the line's cost goes with it.
    async fn remove_item(&self, order: OrderId, item: ItemId) -> CartResult;

    /// Removes an unpaid order.
    async fn remove_order(&self, order: OrderId) -> CartResult;

    /// Takes all stock, charges all credit and marks the order paid, together or not at all. A paid
    /// order is left as it is, and that is no refusal.
    async fn checkout(&self, order: OrderId) -> CartResult;

    /// Takes back a checkout: the user's credit and the stock return and the order is open again. A
    /// part that [`put_users`](Self::put_users) or [`put_items`](Self::put_items) has begun anew
    /// since does not return.
    async fn cancel(&self, user: UserId, order: OrderId) -> CartResult;

    /// Stores a new item of which there is none yet; its id must be a new one.
    async fn create_item(&self, item: ItemId, price: Amount) -> Result<(), StorageError>;

    /// The item of that id.
    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError>;

    /// Adds to the stock.
    async fn add_stock(&self, item: ItemId, quantity: Amount) -> CartResult;

    /// Takes off the stock, all or nothing.
    async fn subtract_stock(&self, item: ItemId, quantity: Amount) -> CartResult;

    /// Stores a new user without credit; the id must be a new one.
    async fn create_user(&self, user: UserId) -> Result<(), StorageError>;

    /// The credit of that user.
    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError>;

    /// Adds to the credit.
    async fn add_funds(&self, user: UserId, amount: Amount) -> CartResult;

    /// Takes off the credit, all or nothing.
    async fn pay(&self, user: UserId, amount: Amount) -> CartResult;

    /// Stores unpaid orders in place of any of the same ids, each by itself. A paid order that is
    /// replaced is gone: what it took does not return, and the audit reports it as reset.
    async fn put_orders(&self, orders: Vec<Order>) -> Result<(), StorageError>;

    /// Stores items in place of any of the same ids, each by itself, their sums begun anew.
    async fn put_items(&self, items: Vec<ItemId>, item: Item) -> Result<(), StorageError>;

    /// Stores users in place of any of the same ids, each by itself, their sums begun anew.
    async fn put_users(&self, users: Vec<UserId>, credit: Amount) -> Result<(), StorageError>;

    /// Recomputes every sum from the orders and compares. Exact when nothing is under way.
    async fn audit(&self) -> Result<Audit, StorageError>;
}

/// The outcome of an act that may be refused.
pub type CartResult = Result<Result<(), CartRefusal>, StorageError>;

/// Why an act was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CartRefusal {
    /// There is no such order.
    #[error("There is no such order: create it first.")]
    NoOrder,
    /// There is no such item.
    #[error("There is no item {0}: create it first.")]
    NoItem(ItemId),
    /// There is no such user.
    #[error("There is no user {0}: create it first.")]
    NoUser(UserId),
    /// The item is not in the order.
    #[error("The item is not in the order: add it first.")]
    NotInOrder,
    /// The order is paid.
    #[error("The order is paid: cancel the payment first.")]
    Paid,
    /// The order is not paid.
    #[error("The order is not paid: there is nothing to cancel.")]
    NotPaid,
    /// The order is another user's.
    #[error("The order is another user's: name the user whose it is.")]
    WrongUser,
    /// There is nothing in the order.
    #[error("The order is empty: add an item first.")]
    Empty,
    /// There is too little of an item.
    #[error("There is not enough of item {0} in stock: take less, or add stock.")]
    OutOfStock(ItemId),
    /// The user has too little credit.
    #[error("There is not enough credit: spend less, or add funds.")]
    NotEnoughCredit,
    /// A sum would leave the range of an amount. What paid orders took counts as well: it may
    /// return, and must fit then.
    #[error(
        "The amount is too large, because with what is there it exceeds 9007199254740991: take less."
    )]
    AmountOverflow,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    /// Users looked at.
    pub users: u64,
    /// Items looked at.
    pub items: u64,
    /// Orders looked at.
    pub orders: u64,
    /// Orders among them that are paid.
    pub paid_orders: u64,
    /// Parts of paid orders (a user's charge, an item's quantity) that were begun anew since, and
    /// sums of paid orders that were replaced: reported, but no differences.
    pub reset: u64,
    /// Acts under way when the audit began, also those that a dead server left half done and that
    /// recovery will end.
    pub unfinished: u64,
    /// What does not agree, at most the first [`Audit::SHOWN`].
    pub differences: Vec<Difference>,
    /// How many do not agree.
    pub different: u64,
}

impl Audit {
    /// Differences that are listed.
    pub const SHOWN: usize = 100;

    /// Notes a difference.
    pub fn differs(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < Self::SHOWN {
            self.differences.push(difference);
        }
    }
}

/// A sum that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{what} is {found}, should be {expected}")]
pub struct Difference {
    /// Whose sum, such as `credit of user 5`.
    pub what: String,
    /// What the store has.
    pub found: i128,
    /// What follows from the other sums, or from the orders.
    pub expected: i128,
}
