//! Recomputing every sum of the cart from its orders.

use rusqlite::{Connection, Row};

use crate::db::storage::{Audit, Difference, ErrorKind, StorageError};

const COUNTS: &str = "SELECT (SELECT count(*) FROM cart_users), (SELECT count(*) FROM cart_items), \
                      (SELECT count(*) FROM cart_orders), \
                      (SELECT count(*) FROM cart_orders WHERE paid = 1)";
/// Each user with what follows from the paid orders of its present epoch.
const USERS: &str = "SELECT u.user_id, u.credit, u.funded - u.paid - u.charged - u.written_off, u.charged, \
            coalesce(o.cost, 0), u.written_off \
     FROM cart_users u LEFT JOIN ( \
         SELECT o.user_id, o.user_epoch, sum(l.cost) AS cost \
         FROM cart_orders o JOIN cart_lines l USING (order_id) \
         WHERE o.paid = 1 GROUP BY o.user_id, o.user_epoch \
     ) o ON o.user_id = u.user_id AND o.user_epoch = u.epoch";
const ITEMS: &str = "SELECT i.item_id, i.stock, i.added - i.subtracted - i.sold - i.written_off, i.sold, \
            coalesce(l.quantity, 0), i.written_off \
     FROM cart_items i LEFT JOIN ( \
         SELECT l.item_id, l.item_epoch, sum(l.quantity) AS quantity \
         FROM cart_orders o JOIN cart_lines l USING (order_id) \
         WHERE o.paid = 1 GROUP BY l.item_id, l.item_epoch \
     ) l ON l.item_id = i.item_id AND l.item_epoch = i.epoch";
/// Parts of paid orders whose user or item was reset since.
const RESET: &str = "SELECT (SELECT count(*) FROM cart_orders o JOIN cart_users u USING (user_id) \
             WHERE o.paid = 1 AND o.user_epoch <> u.epoch) \
          + (SELECT count(*) FROM cart_orders o JOIN cart_lines l USING (order_id) \
             JOIN cart_items i USING (item_id) WHERE o.paid = 1 AND l.item_epoch <> i.epoch)";

/// Why nothing is repaired: a checkout is one transaction, so a crash leaves nothing of it.
pub(super) fn nothing_to_repair() -> StorageError {
    let text = "--repair ends what a checkout on Cassandra left in progress, and an embedded database \
                leaves nothing: leave it out; if the audit finds a difference, restore a backup";
    StorageError::new(ErrorKind::Invalid, text)
}

/// Audits one snapshot of the store.
pub(super) fn audit(c: &Connection) -> rusqlite::Result<Audit> {
    let snapshot = c.unchecked_transaction()?;
    let mut audit = snapshot.query_row(COUNTS, (), |row| {
        let count = |n| row.get::<_, i64>(n).map(i64::cast_unsigned);
        Ok(Audit {
            users: count(0)?,
            items: count(1)?,
            orders: count(2)?,
            paid_orders: count(3)?,
            ..Audit::default()
        })
    })?;
    sums(&snapshot, USERS, ["credit", "charged"], "user", &mut audit)?;
    sums(&snapshot, ITEMS, ["stock", "sold"], "item", &mut audit)?;
    let reset: i64 = snapshot.query_row(RESET, (), |row| row.get(0))?;
    audit.reset += reset.cast_unsigned();
    snapshot.finish()?;
    Ok(audit)
}

/// Compares what rows have with what they should.
fn sums(
    c: &Connection,
    sql: &str,
    [available, captured]: [&str; 2],
    whose: &str,
    audit: &mut Audit,
) -> rusqlite::Result<()> {
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        for (name, column) in [(available, 1), (captured, 3)] {
            compare(row, column, name, whose, audit)?;
        }
        audit.reset += u64::from(row.get::<_, i64>(5)? != 0);
    }
    Ok(())
}

/// Compares the column with the next one.
fn compare(
    row: &Row<'_>,
    column: usize,
    name: &str,
    whose: &str,
    audit: &mut Audit,
) -> rusqlite::Result<()> {
    let (found, expected): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
    if found != expected {
        let what = format!("{name} of {whose} {}", row.get::<_, String>(0)?);
        audit.differs(Difference::Sum { what, found: found.into(), expected: expected.into() });
    }
    Ok(())
}
