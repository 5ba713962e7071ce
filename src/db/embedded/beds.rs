//! Test beds: orders, items and users that take the place of those of the same ids.

use rusqlite::{Connection, OptionalExtension, params};

use super::cart::execute;
use crate::cart::model::{Amount, Item, ItemId, Order, UserId};

const IS_PAID: &str = "SELECT paid FROM cart_orders WHERE order_id = ?1";
/// What a paid order took that is replaced is remembered apart from what present orders took.
const ERASE_CHARGE: &str = "UPDATE cart_users SET charged = charged - o.cost, erased = erased + o.cost \
     FROM (SELECT user_id, user_epoch, \
                  (SELECT coalesce(sum(cost), 0) FROM cart_lines WHERE order_id = ?1) AS cost \
           FROM cart_orders WHERE order_id = ?1) AS o \
     WHERE cart_users.user_id = o.user_id AND cart_users.epoch = o.user_epoch";
const ERASE_SALES: &str = "UPDATE cart_items SET sold = sold - l.quantity, erased = erased + l.quantity \
     FROM (SELECT item_id, item_epoch, quantity FROM cart_lines WHERE order_id = ?1) AS l \
     WHERE cart_items.item_id = l.item_id AND cart_items.epoch = l.item_epoch";
const REMOVE_LINES: &str = "DELETE FROM cart_lines WHERE order_id = ?1";
const PUT_ORDER: &str = "INSERT INTO cart_orders (order_id, user_id) VALUES (?1, ?2) \
                         ON CONFLICT DO UPDATE SET user_id = ?2, paid = 0, user_epoch = 0";
const PUT_LINE: &str =
    "INSERT INTO cart_lines (order_id, item_id, quantity, cost) VALUES (?1, ?2, ?3, ?4)";
const PUT_ITEM: &str = "INSERT INTO cart_items (item_id, price, stock, added) VALUES (?1, ?2, ?3, ?3) \
     ON CONFLICT DO UPDATE SET price = ?2, stock = ?3, added = ?3, subtracted = 0, sold = 0, \
                               erased = 0, epoch = epoch + 1";
const PUT_USER: &str = "INSERT INTO cart_users (user_id, credit, funded) VALUES (?1, ?2, ?2) \
                        ON CONFLICT DO UPDATE SET credit = ?2, funded = ?2, paid = 0, \
                                                  charged = 0, erased = 0, epoch = epoch + 1";

pub(super) fn put_orders(c: &Connection, orders: &[Order]) -> rusqlite::Result<()> {
    for order in orders {
        let id = order.id.as_str();
        let paid = c.prepare_cached(IS_PAID)?.query_row([id], |row| row.get(0)).optional()?;
        let former: &[&str] = match paid {
            None => &[],
            Some(false) => &[REMOVE_LINES],
            Some(true) => &[ERASE_CHARGE, ERASE_SALES, REMOVE_LINES],
        };
        for sql in former {
            execute(c, sql, [id])?;
        }
        execute(c, PUT_ORDER, [id, order.user.as_str()])?;
        for line in &order.lines {
            let (quantity, cost) = (line.quantity.signed(), line.cost.signed());
            execute(c, PUT_LINE, params![id, line.item.as_str(), quantity, cost])?;
        }
    }
    Ok(())
}

pub(super) fn put_items(c: &Connection, items: &[ItemId], item: Item) -> rusqlite::Result<()> {
    for id in items {
        let (price, stock) = (item.price.signed(), item.stock.signed());
        execute(c, PUT_ITEM, params![id.as_str(), price, stock])?;
    }
    Ok(())
}

pub(super) fn put_users(c: &Connection, users: &[UserId], credit: Amount) -> rusqlite::Result<()> {
    for id in users {
        execute(c, PUT_USER, params![id.as_str(), credit.signed()])?;
    }
    Ok(())
}
