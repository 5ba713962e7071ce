//! The promises about reading from a replica that lags behind.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;

use super::{Cursor, Page, StorageError};
use crate::overview::model::{GameId, Overview};

/// A replica of the store that answers reads and may lag behind.
///
/// The answer to a write carries a [`ReadToken`]; a read with a token is never answered from an
/// older state. Where the outer `Option` of an answer is `None` the replica has not replayed that
/// far, or cannot be reached: the primary answers then.
#[async_trait]
pub trait Replica: Send + Sync {
    /// A position behind every write that has returned.
    async fn read_token(&self) -> Result<ReadToken, StorageError>;

    /// As [`OverviewStore::find`](super::OverviewStore::find), from the replica.
    async fn find(&self, id: GameId, seen: Option<ReadToken>) -> Option<Option<Overview>>;

    /// As [`OverviewStore::page`](super::OverviewStore::page), from the replica.
    async fn page(
        &self,
        after: Option<Cursor>,
        limit: u32,
        seen: Option<ReadToken>,
    ) -> Option<Page>;
}

/// A place in the history of a store's writes, written as PostgreSQL writes its log positions:
/// two hexadecimal numbers of up to 32 bits, such as `16/B374D848`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadToken(pub u64);

impl ReadToken {
    /// Behind everything: no replica has replayed it.
    pub const LAST: Self = Self(u64::MAX);
}

impl fmt::Display for ReadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position such as 16/B374D848")]
pub struct InvalidReadToken;

impl FromStr for ReadToken {
    type Err = InvalidReadToken;

    fn from_str(text: &str) -> Result<Self, InvalidReadToken> {
        let half = |digits: &str| match digits.len() {
            1..=8 => u32::from_str_radix(digits, 16).map_err(|_| InvalidReadToken),
            _ => Err(InvalidReadToken),
        };
        let (high, low) = text.split_once('/').ok_or(InvalidReadToken)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for (text, position) in [
            ("0/0", ReadToken(0)),
            ("16/B374D848", ReadToken(0x16_b374_d848)),
            ("FFFFFFFF/FFFFFFFF", ReadToken::LAST),
        ] {
            assert_eq!(text.parse(), Ok(position));
            assert_eq!(position.to_string(), text);
        }
        for text in ["", "/", "1", "1/", "/1", "g/1", "123456789/1", "1/1/1", "-1/1"] {
            assert_eq!(text.parse::<ReadToken>(), Err(InvalidReadToken), "{text}");
        }
    }
}
