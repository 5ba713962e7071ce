//! Orders, stock and payment in SQLite.
//!
//! Each write is a function of the writer's connection that reads first and writes last, so that a
//! refusal has written nothing. There is one writer at a time, in this process by its thread and
//! among processes by the file's lock: what was read has not changed when the write happens.

mod audit;
mod checkout;
mod fixtures;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use self::audit::{audit, nothing_to_repair};
use self::checkout::{cancel, checkout};
use self::rows::{ActResult, REMOVE_LINES, amount, execute, lines, order_state};
use super::idempotency;
use super::reader::Readers;
use super::writer::Writer;
use crate::cart::model::{Amount, Item, ItemId, Line, Order, OrderId, UserId};
use crate::cart::rules;
use crate::db::storage::{
    ActContext, Audit, CartAudit, CartRefusal, CartResult, FixtureStore, OrderStore, PaymentStore,
    StockStore, StorageError,
};

const SET_LINE: &str = "INSERT INTO cart_lines (order_id, item_id, quantity, cost) \
                        VALUES (?1, ?2, ?3, ?4) \
                        ON CONFLICT DO UPDATE SET quantity = ?3, cost = ?4";
const REMOVE_LINE: &str = "DELETE FROM cart_lines WHERE order_id = ?1 AND item_id = ?2";
const REMOVE_ORDER: &str = "DELETE FROM cart_orders WHERE order_id = ?1";
const CREATE_ORDER: &str = "INSERT INTO cart_orders (order_id, user_id) VALUES (?1, ?2)";
const ITEM: &str = "SELECT stock, price FROM cart_items WHERE item_id = ?1";
const CREATE_ITEM: &str =
    "INSERT INTO cart_items (item_id, price, stock, added) VALUES (?1, ?2, 0, 0)";
/// What is sold may return, and must fit then; the sum of everything ever added must stay a 64-bit
/// number. A change of no row is an overflow, because the item was found before.
const ADD_STOCK: &str = "UPDATE cart_items SET stock = stock + ?2, added = added + ?2 \
                         WHERE item_id = ?1 AND stock + sold <= 9007199254740991 - ?2 \
                         AND added <= 9223372036854775807 - ?2";
const SUBTRACT_STOCK: &str =
    "UPDATE cart_items SET stock = stock - ?2, subtracted = subtracted + ?2 WHERE item_id = ?1";
const CREDIT: &str = "SELECT credit FROM cart_users WHERE user_id = ?1";
const CREATE_USER: &str = "INSERT INTO cart_users (user_id, credit, funded) VALUES (?1, 0, 0)";
const ADD_FUNDS: &str = "UPDATE cart_users SET credit = credit + ?2, funded = funded + ?2 \
                         WHERE user_id = ?1 AND credit + charged <= 9007199254740991 - ?2 \
                         AND funded <= 9223372036854775807 - ?2";
const PAY: &str = "UPDATE cart_users SET credit = credit - ?2, paid = paid + ?2 WHERE user_id = ?1";

pub(super) struct EmbeddedCart {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
}

impl EmbeddedCart {
    pub(super) const fn new(writer: Arc<Writer>, readers: Arc<Readers>) -> Self {
        Self { writer, readers }
    }
}

#[async_trait]
impl OrderStore for EmbeddedCart {
    async fn create_order(
        &self,
        context: ActContext,
        order: OrderId,
        user: UserId,
    ) -> CartResult<OrderId> {
        self.writer
            .submit(context, move |c| {
                execute(c, CREATE_ORDER, [order.as_str(), user.as_str()])?;
                Ok(Ok(order))
            })
            .await
    }

    async fn find_order(&self, id: &OrderId) -> Result<Option<Order>, StorageError> {
        self.readers.with(|c| {
            // Order and lines are read in one transaction: they belong to the same moment.
            let snapshot = c.unchecked_transaction()?;
            let found = find_order(&snapshot, id)?;
            snapshot.finish().map(|()| found)
        })
    }

    async fn add_item(
        &self,
        context: ActContext,
        order: OrderId,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.writer.submit(context, move |c| add_item(c, &order, &item, quantity)).await
    }

    async fn remove_item(&self, context: ActContext, order: OrderId, item: ItemId) -> CartResult {
        self.writer.submit(context, move |c| remove_item(c, &order, &item)).await
    }

    async fn remove_order(&self, context: ActContext, order: OrderId) -> CartResult {
        self.writer.submit(context, move |c| remove_order(c, &order)).await
    }

    async fn checkout(&self, context: ActContext, order: OrderId) -> CartResult {
        self.writer.submit(context, move |c| checkout(c, &order)).await
    }
}

#[async_trait]
impl StockStore for EmbeddedCart {
    async fn create_item(
        &self,
        context: ActContext,
        item: ItemId,
        price: Amount,
    ) -> CartResult<ItemId> {
        self.writer
            .submit(context, move |c| {
                execute(c, CREATE_ITEM, params![item.as_str(), price.signed()])?;
                Ok(Ok(item))
            })
            .await
    }

    async fn find_item(&self, item: &ItemId) -> Result<Option<Item>, StorageError> {
        self.readers.with(|c| find_item(c, item))
    }

    async fn add_stock(&self, context: ActContext, item: ItemId, quantity: Amount) -> CartResult {
        self.writer.submit(context, move |c| add_stock(c, &item, quantity)).await
    }

    async fn subtract_stock(
        &self,
        context: ActContext,
        item: ItemId,
        quantity: Amount,
    ) -> CartResult {
        self.writer.submit(context, move |c| subtract_stock(c, &item, quantity)).await
    }
}

#[async_trait]
impl PaymentStore for EmbeddedCart {
    async fn create_user(&self, context: ActContext, user: UserId) -> CartResult<UserId> {
        self.writer
            .submit(context, move |c| {
                execute(c, CREATE_USER, [user.as_str()])?;
                Ok(Ok(user))
            })
            .await
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        self.readers.with(|c| find_credit(c, user))
    }

    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.writer.submit(context, move |c| add_funds(c, &user, amount)).await
    }

    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.writer.submit(context, move |c| pay(c, &user, amount)).await
    }

    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult {
        self.writer.submit(context, move |c| cancel(c, &user, &order)).await
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        let state = self.readers.with(|c| order_state(c, order))?;
        Ok(state.and_then(|(owner, paid)| (owner == *user).then_some(paid)))
    }
}

#[async_trait]
impl FixtureStore for EmbeddedCart {
    async fn find_outcome(
        &self,
        context: &ActContext,
    ) -> Result<Option<Result<(), CartRefusal>>, StorageError> {
        let Some(key) = context.key() else { return Ok(None) };
        self.readers.with(|c| idempotency::find(c, key))
    }

    async fn put_orders(&self, context: ActContext, orders: Vec<Order>) -> CartResult {
        self.writer.submit(context, move |c| fixtures::put_orders(c, &orders)).await
    }

    async fn put_items(&self, context: ActContext, items: Vec<ItemId>, item: Item) -> CartResult {
        self.writer.submit(context, move |c| fixtures::put_items(c, &items, item)).await
    }

    async fn put_users(
        &self,
        context: ActContext,
        users: Vec<UserId>,
        credit: Amount,
    ) -> CartResult {
        self.writer.submit(context, move |c| fixtures::put_users(c, &users, credit)).await
    }
}

#[async_trait]
impl CartAudit for EmbeddedCart {
    async fn audit(&self) -> Result<Audit, StorageError> {
        let readers = Arc::clone(&self.readers);
        crate::db::embedded::blocking(move || readers.with(audit)).await
    }

    async fn repair(&self) -> Result<Audit, StorageError> {
        Err(nothing_to_repair())
    }
}

fn find_order(c: &Connection, id: &OrderId) -> rusqlite::Result<Option<Order>> {
    let Some((user, paid)) = order_state(c, id)? else { return Ok(None) };
    Ok(Some(Order { id: id.clone(), user, paid, lines: lines(c, id)? }))
}

fn find_item(c: &Connection, item: &ItemId) -> rusqlite::Result<Option<Item>> {
    let found = |row: &Row<'_>| Ok(Item { stock: amount(row, 0)?, price: amount(row, 1)? });
    c.prepare_cached(ITEM)?.query_row([item.as_str()], found).optional()
}

fn find_credit(c: &Connection, user: &UserId) -> rusqlite::Result<Option<Amount>> {
    c.prepare_cached(CREDIT)?.query_row([user.as_str()], |row| amount(row, 0)).optional()
}

/// Whether the order may be changed.
fn open(c: &Connection, order: &OrderId) -> ActResult {
    Ok(match order_state(c, order)? {
        None => Err(CartRefusal::NoOrder),
        Some((_, true)) => Err(CartRefusal::Paid),
        Some((_, false)) => Ok(()),
    })
}

/// Stores what an order has of an item now: a line, or none.
fn set_line(
    c: &Connection,
    order: &OrderId,
    lines: &[Line],
    item: &ItemId,
) -> rusqlite::Result<()> {
    match lines.iter().find(|line| line.item == *item) {
        Some(Line { quantity, cost, .. }) => {
            let values = params![order.as_str(), item.as_str(), quantity.signed(), cost.signed()];
            execute(c, SET_LINE, values)
        }
        None => execute(c, REMOVE_LINE, [order.as_str(), item.as_str()]),
    }
}

fn add_item(c: &Connection, order: &OrderId, item: &ItemId, quantity: Amount) -> ActResult {
    if let Err(refused) = open(c, order)? {
        return Ok(Err(refused));
    }
    let Some(Item { price, .. }) = find_item(c, item)? else {
        return Ok(Err(CartRefusal::NoItem(item.clone())));
    };
    match rules::with_item(&lines(c, order)?, item, quantity, price) {
        Ok(lines) => set_line(c, order, &lines, item).map(Ok),
        Err(refused) => Ok(Err(refused)),
    }
}

fn remove_item(c: &Connection, order: &OrderId, item: &ItemId) -> ActResult {
    if let Err(refused) = open(c, order)? {
        return Ok(Err(refused));
    }
    match rules::without_one(&lines(c, order)?, item) {
        Ok(lines) => set_line(c, order, &lines, item).map(Ok),
        Err(refused) => Ok(Err(refused)),
    }
}

fn remove_order(c: &Connection, order: &OrderId) -> ActResult {
    if let Err(refused) = open(c, order)? {
        return Ok(Err(refused));
    }
    execute(c, REMOVE_LINES, [order.as_str()])?;
    execute(c, REMOVE_ORDER, [order.as_str()]).map(Ok)
}

fn add_stock(c: &Connection, item: &ItemId, quantity: Amount) -> ActResult {
    if find_item(c, item)?.is_none() {
        return Ok(Err(CartRefusal::NoItem(item.clone())));
    }
    add(c, ADD_STOCK, item.as_str(), quantity)
}

fn subtract_stock(c: &Connection, item: &ItemId, quantity: Amount) -> ActResult {
    let Some(found) = find_item(c, item)? else {
        return Ok(Err(CartRefusal::NoItem(item.clone())));
    };
    if found.stock < quantity {
        return Ok(Err(CartRefusal::OutOfStock(item.clone())));
    }
    execute(c, SUBTRACT_STOCK, params![item.as_str(), quantity.signed()]).map(Ok)
}

fn add_funds(c: &Connection, user: &UserId, amount: Amount) -> ActResult {
    if find_credit(c, user)?.is_none() {
        return Ok(Err(CartRefusal::NoUser(user.clone())));
    }
    add(c, ADD_FUNDS, user.as_str(), amount)
}

fn add(c: &Connection, sql: &str, id: &str, amount: Amount) -> ActResult {
    let changed = c.prepare_cached(sql)?.execute(params![id, amount.signed()])?;
    Ok(if changed == 0 { Err(CartRefusal::AmountOverflow) } else { Ok(()) })
}

fn pay(c: &Connection, user: &UserId, amount: Amount) -> ActResult {
    let Some(credit) = find_credit(c, user)? else {
        return Ok(Err(CartRefusal::NoUser(user.clone())));
    };
    if credit < amount {
        return Ok(Err(CartRefusal::NotEnoughCredit));
    }
    execute(c, PAY, params![user.as_str(), amount.signed()]).map(Ok)
}
