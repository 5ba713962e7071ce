//! The data of a game's page. Values of these types are valid: they are parsed at the boundary, and
//! no code behind it checks them again.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// Number of a game, any signed 32-bit integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(transparent)]
pub struct GameId(pub i32);

impl GameId {
    /// Parses decimal digits with an optional minus; `None` for anything else and out of range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('+') { None } else { text.parse().ok().map(Self) }
    }
}

impl fmt::Display for GameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A game's page. The order of the fields is the order on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Overview {
    /// Number of the game.
    pub game_id: GameId,
    /// The name; in generated data its words are joined by underscores.
    #[schema(example = "Stardew_Valley")]
    pub game_name: String,
    /// A paragraph.
    pub description: String,
    /// The date as it was stored; the page shows its first ten characters.
    #[schema(example = "2016-02-26T00:00:00.000Z")]
    pub release_date: String,
    /// The company that made it.
    pub developer: String,
    /// The company that sells it.
    pub publisher: String,
    /// Tags in the order given, possibly none.
    pub tags: Vec<String>,
}

/// A game to be created; without an id the store assigns the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOverview {
    /// The id that the client asks for.
    pub game_id: Option<GameId>,
    /// See [`Overview::game_name`].
    pub game_name: String,
    /// See [`Overview::description`].
    pub description: String,
    /// See [`Overview::release_date`].
    pub release_date: String,
    /// See [`Overview::developer`].
    pub developer: String,
    /// See [`Overview::publisher`].
    pub publisher: String,
    /// See [`Overview::tags`].
    pub tags: Vec<String>,
}

/// A change of a game; a field that is `None` keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// See [`Overview::game_name`].
    pub game_name: Option<String>,
    /// See [`Overview::description`].
    pub description: Option<String>,
    /// See [`Overview::release_date`].
    pub release_date: Option<String>,
    /// See [`Overview::developer`].
    pub developer: Option<String>,
    /// See [`Overview::publisher`].
    pub publisher: Option<String>,
    /// See [`Overview::tags`].
    pub tags: Option<Vec<String>>,
}

impl From<storefront_seed::Game> for Overview {
    fn from(game: storefront_seed::Game) -> Self {
        Self {
            game_id: GameId(game.game_id),
            game_name: game.game_name,
            description: game.description,
            release_date: game.release_date,
            developer: game.developer,
            publisher: game.publisher,
            tags: game.tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_decimal_int32() {
        for (text, id) in [("1", 1), ("-5", -5), ("007", 7), ("2147483647", i32::MAX)] {
            assert_eq!(GameId::parse(text), Some(GameId(id)));
        }
        for text in ["", "+1", "1.0", "1e3", "2147483648", "-2147483649", "one", "１", " 1"] {
            assert_eq!(GameId::parse(text), None, "{text}");
        }
    }
}
