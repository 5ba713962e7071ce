//! Fixtures: orders, items and users that replace those of the same ids.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{ActResult, REMOVE_LINES, execute};
use crate::cart::model::{Amount, Item, ItemId, Order, UserId};

const FORMER: &str = "SELECT user_id, user_epoch, paid FROM cart_orders WHERE order_id = ?1";
const FORMER_LINES: &str =
    "SELECT item_id, item_epoch, quantity, cost FROM cart_lines WHERE order_id = ?1";
const WRITE_OFF_SALE: &str = "UPDATE cart_items SET sold = sold - ?3, written_off = written_off + ?3 \
                          WHERE item_id = ?1 AND epoch = ?2";
const WRITE_OFF_CHARGE: &str = "UPDATE cart_users SET charged = charged - ?3, written_off = written_off + ?3 \
                            WHERE user_id = ?1 AND epoch = ?2";
const PUT_ORDER: &str = "INSERT INTO cart_orders (order_id, user_id) VALUES (?1, ?2) \
                         ON CONFLICT DO UPDATE SET user_id = ?2, paid = 0, user_epoch = 0";
const PUT_LINE: &str =
    "INSERT INTO cart_lines (order_id, item_id, quantity, cost) VALUES (?1, ?2, ?3, ?4)";
const PUT_ITEM: &str = "INSERT INTO cart_items (item_id, price, stock, added) VALUES (?1, ?2, ?3, ?3) \
     ON CONFLICT DO UPDATE SET price = ?2, stock = ?3, added = ?3, subtracted = 0, sold = 0, \
                               written_off = 0, epoch = epoch + 1";
const PUT_USER: &str = "INSERT INTO cart_users (user_id, credit, funded) VALUES (?1, ?2, ?2) \
                        ON CONFLICT DO UPDATE SET credit = ?2, funded = ?2, paid = 0, \
                                                  charged = 0, written_off = 0, epoch = epoch + 1";

pub(super) fn put_orders(c: &Connection, orders: &[Order]) -> ActResult {
    for order in orders {
        let id = order.id.as_str();
        write_off(c, id)?;
        execute(c, PUT_ORDER, [id, order.user.as_str()])?;
        for line in &order.lines {
            let (quantity, cost) = (line.quantity.signed(), line.cost.signed());
            execute(c, PUT_LINE, params![id, line.item.as_str(), quantity, cost])?;
        }
    }
    Ok(Ok(()))
}

/// Removes the lines of the order of that id, if there is one. What it took when it was paid is
/// written off, so that the sums of the remaining orders stay right.
fn write_off(c: &Connection, id: &str) -> rusqlite::Result<()> {
    let owner = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?));
    let former = c.prepare_cached(FORMER)?.query_row([id], owner).optional()?;
    let Some((user, epoch, paid)) = former else { return Ok(()) };
    if paid {
        let mut cost = 0;
        let mut lines = c.prepare_cached(FORMER_LINES)?;
        let mut lines = lines.query([id])?;
        while let Some(line) = lines.next()? {
            let (item, epoch) = (line.get::<_, String>(0)?, line.get::<_, i64>(1)?);
            execute(c, WRITE_OFF_SALE, params![item, epoch, line.get::<_, i64>(2)?])?;
            cost += line.get::<_, i64>(3)?;
        }
        execute(c, WRITE_OFF_CHARGE, params![user, epoch, cost])?;
    }
    execute(c, REMOVE_LINES, [id])
}

pub(super) fn put_items(c: &Connection, items: &[ItemId], item: Item) -> ActResult {
    for id in items {
        let (price, stock) = (item.price.signed(), item.stock.signed());
        execute(c, PUT_ITEM, params![id.as_str(), price, stock])?;
    }
    Ok(Ok(()))
}

pub(super) fn put_users(c: &Connection, users: &[UserId], credit: Amount) -> ActResult {
    for id in users {
        execute(c, PUT_USER, params![id.as_str(), credit.signed()])?;
    }
    Ok(Ok(()))
}
