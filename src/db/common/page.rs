//! Cutting a page of games from what was read.

use crate::db::storage::{Cursor, Page};
use crate::overview::model::Overview;

/// Makes a page of at most `limit` games from up to `limit + 1` that were read after the cursor:
/// the one game more tells that there is a next page, without a second query.
pub(in crate::db) fn cut(mut games: Vec<Overview>, after: Option<Cursor>, limit: u32) -> Page {
    let more = games.len() > limit as usize;
    games.truncate(limit as usize);
    let last = games.last().map(|game| Cursor(game.game_id)).or(after);
    Page { games, next: last.filter(|_| more) }
}
