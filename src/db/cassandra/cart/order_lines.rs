//! The lines of an order. Pure.

use super::orders_table::damaged;
use crate::cart::model::{Amount, ItemId, Line};
use crate::db::storage::{CartRefusal, StorageError};

/// The lines with more of an item.
pub(super) fn with(
    lines: &[Line],
    item: &ItemId,
    quantity: Amount,
    price: Amount,
) -> Result<Vec<Line>, CartRefusal> {
    let mut lines = lines.to_vec();
    let at = lines.binary_search_by(|line| line.item.cmp(item)).unwrap_or_else(|at| {
        lines.insert(at, Line::of(item.clone()));
        at
    });
    lines[at] = lines[at].clone().with(quantity, price).ok_or(CartRefusal::AmountOverflow)?;
    let total = lines.iter().try_fold(Amount::ZERO, |sum, line| sum.plus(line.cost));
    total.map(|_| lines).ok_or(CartRefusal::AmountOverflow)
}

/// The lines without one of an item and its share of the cost.
pub(super) fn without_one(lines: &[Line], item: &ItemId) -> Result<Vec<Line>, CartRefusal> {
    let mut lines = lines.to_vec();
    let at =
        lines.binary_search_by(|line| line.item.cmp(item)).map_err(|_| CartRefusal::NotInOrder)?;
    let line = lines.remove(at).without_one();
    if line.quantity > Amount::ZERO {
        lines.insert(at, line);
    }
    Ok(lines)
}

/// An amount as it is kept.
pub(super) fn amount(value: i64) -> Result<Amount, StorageError> {
    Amount::stored(value).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(value: u64) -> Amount {
        Amount::new(value).unwrap()
    }

    #[test]
    fn lines_ascend_and_add_up() {
        let item = |id: &str| ItemId::parse(id).unwrap();
        let mut lines = Vec::new();
        for (id, quantity, price) in [("b", 1, 3), ("a", 2, 5), ("b", 2, 4)] {
            lines = with(&lines, &item(id), n(quantity), n(price)).unwrap();
        }
        let line =
            |id, quantity, cost| Line { item: item(id), quantity: n(quantity), cost: n(cost) };
        assert_eq!(lines, [line("a", 2, 10), line("b", 3, 11)]);
        lines = without_one(&lines, &item("b")).unwrap();
        assert_eq!(lines[1], line("b", 2, 8));
        assert_eq!(without_one(&lines, &item("c")), Err(CartRefusal::NotInOrder));
        assert_eq!(with(&lines, &item("c"), Amount::MAX, n(1)), Err(CartRefusal::AmountOverflow));
    }
}
