//! What a game costs in a demo shop, and how many there are.

use rand::seq::IndexedRandom;

use crate::game::Generator;

/// Prices, with how many games of a hundred or so have each.
const PRICES: [(u64, u32); 10] = [
    (199, 4),
    (499, 10),
    (799, 10),
    (999, 18),
    (1_499, 18),
    (1_999, 16),
    (2_499, 8),
    (2_999, 8),
    (3_999, 5),
    (5_999, 3),
];
/// Stocks, in the same way; a shop without a sold-out game looks made up.
const STOCKS: [(u64, u32); 5] = [(0, 4), (1, 3), (3, 5), (40, 28), (250, 60)];

/// Price and stock of one game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// Credits for one.
    pub price: u64,
    /// How many there are.
    pub stock: u64,
}

impl Generator {
    /// The offer of game number `game_id`. Of few different ones, so that a shop is stocked in few
    /// steps. Game 1, which every manual points to, can always be bought.
    #[must_use]
    pub fn offer(&self, game_id: i32) -> Offer {
        if game_id == 1 {
            return Offer { price: 1_499, stock: 250 };
        }
        let rng = &mut self.sibling().rng(game_id);
        let mut drawn = |from: &[(u64, u32)]| {
            from.choose_weighted(rng, |(_, weight)| *weight).map_or(0, |(value, _)| *value)
        };
        Offer { price: drawn(&PRICES), stock: drawn(&STOCKS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_make_the_same_offer_in_every_release() {
        let offers = [1, 2, 3, i32::MAX].map(|id| Generator::new(1).offer(id));
        let golden = [(1_499, 250), (799, 250), (5_999, 250), (799, 40)];
        assert_eq!(offers.map(|offer| (offer.price, offer.stock)), golden);
    }

    #[test]
    fn a_shop_has_everything_and_a_few_sold_out() {
        let offers: Vec<Offer> = (1..=1_000).map(|id| Generator::new(1).offer(id)).collect();
        for (price, _) in PRICES {
            assert!(offers.iter().any(|offer| offer.price == price), "{price}");
        }
        let sold_out = offers.iter().filter(|offer| offer.stock == 0).count();
        assert!((10..100).contains(&sold_out), "{sold_out}");
        // Among the first two dozen, which the catalogue opens with, there is one of either kind.
        assert!(offers[..24].iter().any(|offer| offer.stock == 0));
        assert!(offers[..24].iter().any(|offer| offer.stock > 3));
    }
}
