//! Reading the cart's rows, and the small helpers of its statements.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::cart::model::{Amount, ItemId, Line, OrderId, UserId};
use crate::db::storage::CartRefusal;

/// The outcome of a write's statements: the outer result is SQLite's, the inner one the cart's.
pub(super) type ActResult<T = ()> = rusqlite::Result<Result<T, CartRefusal>>;

const ORDER: &str = "SELECT user_id, paid FROM cart_orders WHERE order_id = ?1";
const LINES: &str =
    "SELECT item_id, quantity, cost FROM cart_lines WHERE order_id = ?1 ORDER BY item_id";
pub(super) const REMOVE_LINES: &str = "DELETE FROM cart_lines WHERE order_id = ?1";

/// Runs one statement that gives nothing back.
pub(super) fn execute(
    c: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    c.prepare_cached(sql)?.execute(params).map(drop)
}

/// An amount in a column.
pub(super) fn amount(row: &Row<'_>, column: usize) -> rusqlite::Result<Amount> {
    let value: i64 = row.get(column)?;
    Amount::stored(value).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// An id in a column.
pub(super) fn id<T>(
    row: &Row<'_>,
    column: usize,
    parse: fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or(rusqlite::Error::InvalidColumnType(
        column,
        "an id".to_owned(),
        rusqlite::types::Type::Text,
    ))
}

/// The order's user, and whether it is paid.
pub(super) fn order_state(
    c: &Connection,
    order: &OrderId,
) -> rusqlite::Result<Option<(UserId, bool)>> {
    let state = |row: &Row<'_>| Ok((id(row, 0, UserId::parse)?, row.get(1)?));
    c.prepare_cached(ORDER)?.query_row([order.as_str()], state).optional()
}

/// What is in the order, ascending by item.
pub(super) fn lines(c: &Connection, order: &OrderId) -> rusqlite::Result<Vec<Line>> {
    let line = |row: &Row<'_>| {
        let item = id(row, 0, ItemId::parse)?;
        Ok(Line { item, quantity: amount(row, 1)?, cost: amount(row, 2)? })
    };
    c.prepare_cached(LINES)?.query_map([order.as_str()], line)?.collect()
}
