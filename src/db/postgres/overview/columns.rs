//! The columns of a group of games, as the arrays that one statement takes.

use tokio_postgres::types::{ToSql, Type};

use crate::db::postgres::text_array::text_array;
use crate::overview::model::{Changes, GameId, NewOverview};

/// The types of a group's ids, texts and tags; the tags of each game are an array in text form.
pub(super) const TYPES: [Type; 7] = [
    Type::INT4_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
];

/// What is given of one game: its id, its texts in the order of the columns, its tags.
#[derive(Default)]
pub(super) struct Given<'a> {
    id: Option<i32>,
    texts: [Option<&'a str>; 5],
    tags: Option<&'a [String]>,
}

impl<'a> Given<'a> {
    /// Everything but perhaps the id.
    pub(super) fn new_game(game: &'a NewOverview) -> Self {
        let NewOverview {
            game_id,
            game_name,
            description,
            release_date,
            developer,
            publisher,
            tags,
        } = game;
        let texts = [game_name, description, release_date, developer, publisher];
        Self {
            id: game_id.map(|id| id.0),
            texts: texts.map(|text| Some(text.as_str())),
            tags: Some(tags),
        }
    }

    pub(super) fn changes(id: GameId, changes: &'a Changes) -> Self {
        let Changes { game_name, description, release_date, developer, publisher, tags } = changes;
        let texts = [game_name, description, release_date, developer, publisher];
        Self { id: Some(id.0), texts: texts.map(Option::as_deref), tags: tags.as_deref() }
    }

    pub(super) fn only_id(id: GameId) -> Self {
        Self { id: Some(id.0), ..Self::default() }
    }
}

/// The values of a group's columns, of the [`TYPES`].
#[derive(Default)]
pub(super) struct Columns<'a> {
    ids: Vec<Option<i32>>,
    texts: [Vec<Option<&'a str>>; 5],
    tags: Vec<Option<String>>,
}

impl<'a> FromIterator<Given<'a>> for Columns<'a> {
    fn from_iter<I: IntoIterator<Item = Given<'a>>>(games: I) -> Self {
        let mut columns = Self::default();
        for Given { id, texts, tags } in games {
            columns.ids.push(id);
            columns.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
            columns.tags.push(tags.map(text_array));
        }
        columns
    }
}

impl Columns<'_> {
    pub(super) fn values(&self) -> [&(dyn ToSql + Sync); 7] {
        let [game_name, description, release_date, developer, publisher] = &self.texts;
        [&self.ids, game_name, description, release_date, developer, publisher, &self.tags]
    }
}
