//! Checkout and cancel, which change an order, a user and many items in one transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{ActResult, amount, execute, lines, order_state};
use crate::cart::model::{Amount, Line, OrderId, UserId, total};
use crate::db::storage::CartRefusal;

const USER: &str = "SELECT credit, epoch FROM cart_users WHERE user_id = ?1";
const STOCK: &str = "SELECT stock, epoch FROM cart_items WHERE item_id = ?1";
const CHARGE: &str =
    "UPDATE cart_users SET credit = credit - ?2, charged = charged + ?2 WHERE user_id = ?1";
const SELL: &str = "UPDATE cart_items SET stock = stock - ?2, sold = sold + ?2 WHERE item_id = ?1";
const LINE_PAID: &str =
    "UPDATE cart_lines SET item_epoch = ?3 WHERE order_id = ?1 AND item_id = ?2";
const PAID: &str = "UPDATE cart_orders SET paid = 1, user_epoch = ?2 WHERE order_id = ?1";
const LINES_OPEN: &str =
    "UPDATE cart_lines SET item_epoch = 0 WHERE order_id = ?1 AND item_epoch <> 0";
const OPEN: &str = "UPDATE cart_orders SET paid = 0, user_epoch = 0 WHERE order_id = ?1";
/// Fenced by the epoch: a user or item that fixtures have reset since gets nothing back.
const REFUND: &str = "UPDATE cart_users SET credit = credit + ?2, charged = charged - ?2 \
                      WHERE user_id = ?1 AND epoch = \
                      (SELECT user_epoch FROM cart_orders WHERE order_id = ?3)";
const RETURN: &str = "UPDATE cart_items SET stock = stock + ?2, sold = sold - ?2 \
                      WHERE item_id = ?1 AND epoch = \
                      (SELECT item_epoch FROM cart_lines WHERE order_id = ?3 AND item_id = ?1)";

/// Takes all stock, charges all credit and marks the order paid.
pub(super) fn checkout(c: &Connection, order: &OrderId) -> ActResult {
    let user = match order_state(c, order)? {
        None => return Ok(Err(CartRefusal::NoOrder)),
        Some((_, true)) => return Ok(Ok(())),
        Some((user, false)) => user,
    };
    let lines = lines(c, order)?;
    if lines.is_empty() {
        return Ok(Err(CartRefusal::Empty));
    }
    let Some((credit, user_epoch)) = amount_and_epoch(c, USER, user.as_str())? else {
        return Ok(Err(CartRefusal::NoUser(user)));
    };
    let cost = total(&lines);
    if credit < cost {
        return Ok(Err(CartRefusal::NotEnoughCredit));
    }
    let epochs = match in_stock(c, &lines)? {
        Ok(epochs) => epochs,
        Err(refused) => return Ok(Err(refused)),
    };
    for (line, epoch) in lines.iter().zip(epochs) {
        execute(c, SELL, params![line.item.as_str(), line.quantity.signed()])?;
        if epoch != 0 {
            execute(c, LINE_PAID, params![order.as_str(), line.item.as_str(), epoch])?;
        }
    }
    execute(c, CHARGE, params![user.as_str(), cost.signed()])?;
    execute(c, PAID, params![order.as_str(), user_epoch]).map(Ok)
}

/// The present epoch of each line's item, if there is enough of all.
fn in_stock(c: &Connection, lines: &[Line]) -> ActResult<Vec<i64>> {
    let mut epochs = Vec::with_capacity(lines.len());
    for line in lines {
        match amount_and_epoch(c, STOCK, line.item.as_str())? {
            None => return Ok(Err(CartRefusal::NoItem(line.item.clone()))),
            Some((stock, _)) if stock < line.quantity => {
                return Ok(Err(CartRefusal::OutOfStock(line.item.clone())));
            }
            Some((_, epoch)) => epochs.push(epoch),
        }
    }
    Ok(Ok(epochs))
}

/// Returns what a checkout took, and opens the order again.
pub(super) fn cancel(c: &Connection, user: &UserId, order: &OrderId) -> ActResult {
    match order_state(c, order)? {
        None => return Ok(Err(CartRefusal::NoOrder)),
        Some((owner, _)) if owner != *user => return Ok(Err(CartRefusal::WrongUser)),
        Some((_, false)) => return Ok(Err(CartRefusal::NotPaid)),
        Some((_, true)) => {}
    }
    let lines = lines(c, order)?;
    execute(c, REFUND, params![user.as_str(), total(&lines).signed(), order.as_str()])?;
    for line in &lines {
        execute(c, RETURN, params![line.item.as_str(), line.quantity.signed(), order.as_str()])?;
    }
    execute(c, LINES_OPEN, [order.as_str()])?;
    execute(c, OPEN, [order.as_str()]).map(Ok)
}

/// An amount and an epoch.
fn amount_and_epoch(
    c: &Connection,
    sql: &str,
    id: &str,
) -> rusqlite::Result<Option<(Amount, i64)>> {
    let found = |row: &rusqlite::Row<'_>| Ok((amount(row, 0)?, row.get(1)?));
    c.prepare_cached(sql)?.query_row([id], found).optional()
}
