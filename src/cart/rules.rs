//! The rules of an order's lines, once for every backend that decides in Rust. Pure.
//!
//! PostgreSQL decides in functions of its schema (docs/decisions/0024); the conformance suite holds
//! both to the same cases.

use super::model::{Amount, ItemId, Line, MAX_LINES};
use crate::db::storage::CartRefusal;

/// The lines with more of an item, at its present price; lines stay ascending by item.
///
/// # Errors
/// [`CartRefusal::TooManyLines`] if that would be more than [`MAX_LINES`];
/// [`CartRefusal::AmountOverflow`] if a quantity, a cost or the total would leave the range of an
/// [`Amount`].
pub fn with_item(
    lines: &[Line],
    item: &ItemId,
    quantity: Amount,
    price: Amount,
) -> Result<Vec<Line>, CartRefusal> {
    let mut lines = lines.to_vec();
    let at = match lines.binary_search_by(|line| line.item.cmp(item)) {
        Ok(at) => at,
        Err(_) if lines.len() >= MAX_LINES => return Err(CartRefusal::TooManyLines),
        Err(at) => {
            lines.insert(at, Line::of(item.clone()));
            at
        }
    };
    lines[at] = lines[at].clone().with(quantity, price).ok_or(CartRefusal::AmountOverflow)?;
    let total = lines.iter().try_fold(Amount::ZERO, |sum, line| sum.plus(line.cost));
    total.map(|_| lines).ok_or(CartRefusal::AmountOverflow)
}

/// The lines without one of an item and its share of the line's cost.
///
/// # Errors
/// [`CartRefusal::NotInOrder`] if no line has the item.
pub fn without_one(lines: &[Line], item: &ItemId) -> Result<Vec<Line>, CartRefusal> {
    let mut lines = lines.to_vec();
    let at =
        lines.binary_search_by(|line| line.item.cmp(item)).map_err(|_| CartRefusal::NotInOrder)?;
    let line = lines.remove(at).without_one();
    if line.quantity > Amount::ZERO {
        lines.insert(at, line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cart::model::total;

    fn n(value: u64) -> Amount {
        Amount::new(value).unwrap()
    }

    #[test]
    fn lines_ascend_and_add_up() {
        let item = |id: &str| ItemId::parse(id).unwrap();
        let mut lines = Vec::new();
        for (id, quantity, price) in [("b", 1, 3), ("a", 2, 5), ("b", 2, 4)] {
            lines = with_item(&lines, &item(id), n(quantity), n(price)).unwrap();
        }
        let line =
            |id, quantity, cost| Line { item: item(id), quantity: n(quantity), cost: n(cost) };
        assert_eq!(lines, [line("a", 2, 10), line("b", 3, 11)]);
        lines = without_one(&lines, &item("b")).unwrap();
        assert_eq!(lines[1], line("b", 2, 8));
        assert_eq!(total(&lines), n(18));
        assert_eq!(without_one(&lines, &item("c")), Err(CartRefusal::NotInOrder));
        let overflow = with_item(&lines, &item("c"), Amount::MAX, n(1));
        assert_eq!(overflow, Err(CartRefusal::AmountOverflow));
    }
}
