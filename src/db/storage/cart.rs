//! The promises about orders, stock and payment.
//!
//! However many clients and servers write at once, and wherever they crash, at any moment
//! `stock = added - subtracted - sold - written_off` of every item and
//! `credit = funded - paid - charged - written_off` of every user, where `sold` are the quantities in
//! paid orders, `charged` is the cost of that user's paid orders, and `written_off` is what paid orders
//! had taken that fixtures replaced. The store keeps these sums beside stock and credit and changes them in the same
//! atomic step, so that [`CartAudit::audit`](super::CartAudit::audit) needs the store alone.
//!
//! Every write is durable when its method returns. A refusal was true at some moment between call
//! and return, and has changed nothing. While an order is being checked out or cancelled all other
//! writes to it wait for the end. After an error of kind `Unavailable` or `Timeout` the write may
//! have happened or not, wholly in either case; `checkout` may then be repeated. A checkout or a cancel
//! whose server has died may still take effect, but not after another change of the order was
//! acknowledged.
//!
//! A write whose context has an [`IdempotencyKey`](super::IdempotencyKey) takes effect once, however
//! often it is repeated: then every one may be.

use async_trait::async_trait;

use super::{ActContext, StorageError};
use crate::cart::model::{Amount, Item, ItemId, MAX_LINES, Order, OrderId, UserId};

/// Orders and their checkout.
#[async_trait]
pub trait OrderStore: Send + Sync {
    /// Stores a new, empty order and returns its id: the one given, which must be a new one, or that
    /// of the first request under the key. The user need not exist.
    async fn create_order(
        &self,
        context: ActContext,
        order: OrderId,
        user: UserId,
    ) -> CartResult<OrderId>;

    /// The order of that id, its lines ascending by item.
    async fn find_order(&self, order: &OrderId) -> Result<Option<Order>, StorageError>;

    /// Puts some of an item into an unpaid order, at the item's present price; the quantity is added
    /// to what the order has of the item already.
    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult;

    /// Takes one of an item off an unpaid order; its share of the line's cost goes with it.
    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult;

    /// Removes an unpaid order.
    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult;

    /// Takes all stock, charges all credit and marks the order paid, together or not at all. A paid
    /// order is left as it is, and that is no refusal.
    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult;
}

/// Items in stock.
#[async_trait]
pub trait StockStore: Send + Sync {
    /// Stores a new item of which there is none yet, and returns its id as
    /// [`OrderStore::create_order`] does.
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> CartResult<ItemId>;

    /// The item of that id.
    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError>;

    /// Adds to the stock.
    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult;

    /// Takes off the stock, all or nothing.
    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult;
}

/// Users and their credit.
#[async_trait]
pub trait PaymentStore: Send + Sync {
    /// Stores a new user without credit, and returns the id as [`OrderStore::create_order`] does.
    async fn create_user(&self, context: ActContext, user: UserId) -> CartResult<UserId>;

    /// The credit of that user.
    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError>;

    /// Adds to the credit.
    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult;

    /// Takes off the credit, all or nothing.
    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult;

    /// Undoes a checkout: the user's credit and the stock return and the order is open again. A part
    /// that [`FixtureStore`] has reset since does not return.
    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult;

    /// Whether that order of that user is paid; `None` if the user has no such order.
    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError>;
}

/// Fixtures for tests and demo data: each row is replaced by itself, not all of them together.
///
/// A request is many writes. The last one has the request's key in its context, and is recorded under it.
#[async_trait]
pub trait FixtureStore: Send + Sync {
    /// Whether a request was made before under the key of the context: `Some(Ok(()))` if this one,
    /// `Some(Err(CartRefusal::KeyReused))` if another one.
    async fn find_outcome(
        &self,
        context: &ActContext,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError>;

    /// Stores unpaid orders in place of any of the same ids. What a paid order that is replaced had
    /// taken does not return, and the audit reports it as reset.
    async fn put_orders(&self, context: ActContext, orders: Vec<Order>) -> CartResult;

    /// Stores items in place of any of the same ids, their sums reset.
    async fn put_items(&self, context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult;

    /// Stores users in place of any of the same ids, their sums reset.
    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> CartResult;
}

/// The outcome of a write that may be refused.
pub type CartResult<T = ()> = Result<Result<T, CartRefusal>, StorageError>;

/// Why a write was refused. Nothing has changed.
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
    /// The order has [`MAX_LINES`] lines.
    #[error("The order has {max} different items, which is the limit: use another order.", max = MAX_LINES)]
    TooManyLines,
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
    /// The context's key is stored with another request.
    #[error(
        "The Idempotency-Key belongs to another request: send this one under a key of its own."
    )]
    KeyReused,
}
