//! The audit: every sum of the cart recomputed from its orders and compared with what is stored.

use tokio_postgres::{Error, IsolationLevel, Row, Transaction};

use crate::db::postgres::connection::Connector;
use crate::db::postgres::error::storage;
use crate::db::storage::{Audit, Difference, ErrorKind, StorageError};

const COUNTS: &str = "SELECT (SELECT count(*) FROM cart_users), (SELECT count(*) FROM cart_items), \
                      (SELECT count(*) FROM cart_orders), \
                      (SELECT count(*) FROM cart_orders WHERE paid)";
/// Users whose sums differ from those of the paid orders of their present epoch, or who have sums of
/// orders that were replaced.
const USERS: &str = "SELECT * FROM ( \
         SELECT u.user_id, u.credit, u.funded - u.paid - u.charged - u.written_off AS available, u.charged, \
                coalesce(o.cost, 0)::bigint AS cost, u.written_off \
         FROM cart_users u LEFT JOIN ( \
             SELECT user_id, user_epoch, sum((SELECT sum(c) FROM unnest(costs) c)) AS cost \
             FROM cart_orders WHERE paid GROUP BY user_id, user_epoch \
         ) o ON o.user_id = u.user_id AND o.user_epoch = u.epoch \
     ) sums WHERE credit <> available OR charged <> cost OR written_off <> 0 ORDER BY user_id";
const ITEMS: &str = "SELECT * FROM ( \
         SELECT i.item_id, i.stock, i.added - i.subtracted - i.sold - i.written_off AS available, i.sold, \
                coalesce(l.quantity, 0)::bigint AS quantity, i.written_off \
         FROM cart_items i LEFT JOIN ( \
             SELECT item, epoch, sum(quantity) AS quantity \
             FROM cart_orders, unnest(items, quantities, item_epochs) AS l (item, quantity, epoch) \
             WHERE paid GROUP BY item, epoch \
         ) l ON l.item = i.item_id AND l.epoch = i.epoch \
     ) sums WHERE stock <> available OR sold <> quantity OR written_off <> 0 ORDER BY item_id";
/// Parts of paid orders whose user or item fixtures have reset since.
const RESET: &str = "SELECT (SELECT count(*) FROM cart_orders o JOIN cart_users u USING (user_id) \
             WHERE o.paid AND o.user_epoch <> u.epoch) \
          + (SELECT count(*) FROM cart_orders o, unnest(o.items, o.item_epochs) AS l (item, epoch) \
             JOIN cart_items i ON i.item_id = l.item WHERE o.paid AND l.epoch <> i.epoch)";

/// Why nothing is repaired: a checkout is one transaction, so a crash leaves nothing of it.
pub(super) fn nothing_to_repair() -> StorageError {
    let text = "--repair ends what a checkout on Cassandra left in progress, and PostgreSQL leaves \
                nothing: leave it out; if the audit finds a difference, restore a backup";
    StorageError::new(ErrorKind::Invalid, text)
}

/// Reads one snapshot of the store, so that a checkout that commits meanwhile is no difference.
pub(super) async fn audit(connector: &Connector) -> Result<Audit, StorageError> {
    let mut client = connector.connect().await.map_err(storage)?;
    let snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(storage)?;
    let audit = recompute(&snapshot).await.map_err(storage)?;
    // A transaction that is only dropped keeps its locks until the server notices.
    snapshot.commit().await.map_err(storage)?;
    Ok(audit)
}

async fn recompute(t: &Transaction<'_>) -> Result<Audit, Error> {
    let counts = t.query_typed_one(COUNTS, &[]).await?;
    let count = |n| counts.try_get::<_, i64>(n).map(i64::cast_unsigned);
    let mut audit = Audit {
        users: count(0)?,
        items: count(1)?,
        orders: count(2)?,
        paid_orders: count(3)?,
        ..Audit::default()
    };
    for row in t.query_typed(USERS, &[]).await? {
        compare(&row, ["credit", "charged"], "user", &mut audit)?;
    }
    for row in t.query_typed(ITEMS, &[]).await? {
        compare(&row, ["stock", "sold"], "item", &mut audit)?;
    }
    let reset: i64 = t.query_typed_one(RESET, &[]).await?.try_get(0)?;
    audit.reset += reset.cast_unsigned();
    Ok(audit)
}

/// Compares each of two columns with the column after it.
fn compare(
    row: &Row,
    [available, captured]: [&str; 2],
    whose: &str,
    audit: &mut Audit,
) -> Result<(), Error> {
    for (name, column) in [(available, 1), (captured, 3)] {
        let (found, expected): (i64, i64) = (row.try_get(column)?, row.try_get(column + 1)?);
        if found != expected {
            let what = format!("{name} of {whose} {}", row.try_get::<_, &str>(0)?);
            audit.differs(Difference::Sum { what, found: found.into(), expected: expected.into() });
        }
    }
    audit.reset += u64::from(row.try_get::<_, i64>(5)? != 0);
    Ok(())
}
