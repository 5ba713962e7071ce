//! Ids, amounts, orders and items. Values of these types are valid: they are parsed at the boundary,
//! and no code behind it checks them again.

use std::fmt;

use serde::{Serialize, Serializer};

/// In characters.
pub const MAX_ID_LENGTH: usize = 64;
/// Lines of an order, because every edit and checkout handles all of them in one step.
pub const MAX_LINES: usize = 1_000;

/// Declares an opaque id: 1 to 64 letters, digits, `-` and `_`.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses an id; `None` for any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                is_id(text).then(|| Self(text.into()))
            }

            /// A new, unique id; later ones are greater, which keeps inserts into an index together.
            #[must_use]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7().simple().to_string().into())
            }

            /// The id of the fixture of that number.
            #[must_use]
            pub fn numbered(number: u64) -> Self {
                Self(number.to_string().into())
            }

            /// The id as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

id!(
    /// Names an order.
    OrderId
);
id!(
    /// Names an item in stock.
    ItemId
);
id!(
    /// Names a user.
    UserId
);

fn is_id(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// A quantity, price or credit: 0 to 2^53 - 1, which a double holds exactly, as JavaScript clients
/// need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Amount(u64);

impl Amount {
    /// None.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1);
    /// The largest.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// An amount, unless it is too large.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// An amount from the signed integer that databases have.
    #[must_use]
    pub fn stored(value: i64) -> Option<Self> {
        u64::try_from(value).ok().and_then(Self::new)
    }

    /// Parses decimal digits; `None` for anything else and out of range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('+') { None } else { text.parse().ok().and_then(Self::new) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as the signed integer that databases have.
    #[must_use]
    pub const fn signed(self) -> i64 {
        self.0.cast_signed()
    }

    /// The sum, unless it is too large.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    /// The difference, unless there is too little.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, unless it is too large.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        self.0.checked_mul(other.0).and_then(Self::new)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who pays; need not exist before the checkout.
    pub user: UserId,
    /// Whether it was checked out.
    pub paid: bool,
    /// Its lines, ascending by item.
    pub lines: Vec<Line>,
}

impl Order {
    /// What it costs; every write keeps this within an [`Amount`].
    #[must_use]
    pub fn total_cost(&self) -> Amount {
        total(&self.lines)
    }
}

/// What lines cost together. [`super::rules`] keeps this within an [`Amount`].
#[must_use]
pub fn total(lines: &[Line]) -> Amount {
    let sum = lines.iter().map(|line| line.cost.get()).sum();
    Amount::new(sum).unwrap_or(Amount::MAX)
}

/// A quantity of one item in an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// The item.
    pub item: ItemId,
    /// At least one.
    pub quantity: Amount,
    /// Of the whole quantity, each piece at the price of the moment when it was added.
    pub cost: Amount,
}

impl Line {
    /// An empty line of an item.
    #[must_use]
    pub const fn of(item: ItemId) -> Self {
        Self { item, quantity: Amount::ZERO, cost: Amount::ZERO }
    }

    /// With more of it at that price, unless a sum is too large.
    #[must_use]
    pub fn with(self, quantity: Amount, price: Amount) -> Option<Self> {
        let cost = self.cost.plus(price.times(quantity)?)?;
        Some(Self { quantity: self.quantity.plus(quantity)?, cost, ..self })
    }

    /// Without one of it and its share of the cost.
    #[must_use]
    pub fn without_one(self) -> Self {
        let share = Amount::new(self.cost.get() / self.quantity.get().max(1)).unwrap_or(self.cost);
        let quantity = self.quantity.minus(Amount::ONE).unwrap_or_default();
        Self { quantity, cost: self.cost.minus(share).unwrap_or_default(), ..self }
    }
}

/// An item in stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The quantity that can be sold.
    pub stock: Amount,
    /// Of one piece.
    pub price: Amount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_1_to_64_plain_characters() {
        for text in ["0", "a-b_C9", &"x".repeat(64)] {
            assert_eq!(OrderId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "ä", "a/b", "a.b", "a\0", &"x".repeat(65)] {
            assert_eq!(OrderId::parse(text), None, "{text}");
        }
        assert!(OrderId::parse(OrderId::new().as_str()).is_some());
    }

    #[test]
    fn an_amount_is_what_a_double_holds() {
        for (text, value) in [("0", 0), ("007", 7), ("9007199254740991", (1 << 53) - 1)] {
            assert_eq!(Amount::parse(text).unwrap().get(), value);
        }
        for text in ["", "-1", "+1", "1.0", "1e3", "9007199254740992", "99999999999999999999"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sums_stay_amounts() {
        assert_eq!(Amount::MAX.plus(Amount::ONE), None);
        assert_eq!(Amount::ZERO.minus(Amount::ONE), None);
        assert_eq!(Amount::MAX.times(Amount::new(2).unwrap()), None);
        assert_eq!(Amount::ONE.plus(Amount::ONE), Amount::new(2));
    }
}
