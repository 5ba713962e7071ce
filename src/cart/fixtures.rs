//! Test fixtures: orders, items and users in large numbers, whose ids are their numbers.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::model::{Amount, ItemId, Line, Order, OrderId, UserId};
use crate::db::storage::ActContext;

/// How many one request may make.
pub const MAX_COUNT: u64 = 10_000_000;
/// How many are written to the store at a time.
pub const CHUNK: u64 = 2_000;

/// How long one chunk may take: the store waits for checkouts of what the chunk replaces.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(90);

/// The context of one chunk of a request.
#[must_use]
pub fn context(request: &ActContext) -> ActContext {
    request.clone().with_timeout(CHUNK_TIMEOUT)
}

/// The numbers up to `count`, in chunks.
pub fn chunks(count: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..count.div_ceil(CHUNK)).map(move |n| n * CHUNK..count.min((n + 1) * CHUNK))
}

/// An unpaid order of a random user, with two random items at a price each.
#[must_use]
pub fn order(number: u64, items: u64, users: u64, price: Amount, rng: &mut StdRng) -> Order {
    let mut drawn = || ItemId::numbered(rng.random_range(0..items));
    let (one, other) = (drawn(), drawn());
    let line = |item, quantity: u64| Line {
        item,
        quantity: Amount::new(quantity).unwrap_or(Amount::MAX),
        cost: Amount::new(price.get().saturating_mul(quantity)).unwrap_or(Amount::MAX),
    };
    let lines = match one.cmp(&other) {
        std::cmp::Ordering::Less => vec![line(one, 1), line(other, 1)],
        std::cmp::Ordering::Equal => vec![line(one, 2)],
        std::cmp::Ordering::Greater => vec![line(other, 1), line(one, 1)],
    };
    let user = UserId::numbered(rng.random_range(0..users));
    Order { id: OrderId::numbered(number), user, paid: false, lines }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn chunks_cover_every_number_once() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let numbers: Vec<u64> = chunks(count).flatten().collect();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_order_has_two_items_at_the_price() {
        let rng = &mut StdRng::seed_from_u64(1);
        for (number, items) in (0..200).zip([1, 2, 50].into_iter().cycle()) {
            let order = order(number, items, 3, Amount::new(7).unwrap(), rng);
            assert_eq!(order.total_cost().get(), 14);
            assert_eq!(order.lines.iter().map(|line| line.quantity.get()).sum::<u64>(), 2);
            assert!(order.lines.is_sorted_by(|a, b| a.item < b.item));
        }
    }
}
