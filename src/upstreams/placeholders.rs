//! Banners and reviews that are made from a game's number, where no upstream service is configured.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::overview::model::GameId;

/// A review, as far as the page needs it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Review {
    /// Whether the player recommends the game.
    recommended: bool,
    /// When it was posted, ISO 8601 in UTC.
    #[schema(value_type = String, example = "2016-02-26T12:00:00Z")]
    posted: Timestamp,
}

/// The N-th pseudo-random number of a game, below `bound`; the same on every machine and in every
/// release.
fn random(id: GameId, n: u64, bound: u64) -> u64 {
    xxh3_64_with_seed(&id.0.to_le_bytes(), n) % bound
}

/// 0 to 160 reviews of the two years before `now`, the newest first, about a third of them of the
/// last 30 days. The share of recommendations is drawn for each game and again for its recent
/// reviews, so that the page shows every sentiment.
#[must_use]
pub(super) fn reviews(id: GameId, now: Timestamp) -> Vec<Review> {
    // Midnight, so that the reviews stay the same all day and their entity tag with them.
    let today = Timestamp::from_second(now.as_second().div_euclid(86_400) * 86_400).unwrap_or(now);
    let (all, recent) = (20 + random(id, 0, 80), 20 + random(id, 1, 80));
    let mut reviews: Vec<Review> = (0..random(id, 2, 161))
        .map(|n| {
            let n = 10 + 4 * n;
            let is_recent = random(id, n, 3) == 0;
            let days =
                if is_recent { 1 + random(id, n + 1, 28) } else { 31 + random(id, n + 1, 700) };
            let seconds = days * 86_400 - random(id, n + 2, 86_400);
            Review {
                recommended: random(id, n + 3, 100) < if is_recent { recent } else { all },
                posted: today
                    .checked_sub(SignedDuration::from_secs(seconds.cast_signed()))
                    .unwrap_or(today),
            }
        })
        .collect();
    reviews.sort_by_key(|review| std::cmp::Reverse(review.posted));
    reviews
}

/// A landscape at dusk, 460 by 215: sky, sun, stars and three ranges of hills.
#[must_use]
pub(super) fn banner(id: GameId) -> String {
    // From blue over purple to red, and the sky's lower end some way further towards yellow.
    let hue = 205 + random(id, 1_000, 140);
    let second = (hue + 35 + random(id, 1_001, 60)) % 360;
    let (sun_x, sun_y) = (60 + random(id, 1_002, 340), 40 + random(id, 1_003, 80));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 460 215\" width=\"460\" \
         height=\"215\"><defs><linearGradient id=\"s\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"1\">\
         <stop offset=\"0\" stop-color=\"hsl({hue} 55% 16%)\"/>\
         <stop offset=\"1\" stop-color=\"hsl({second} 65% 52%)\"/></linearGradient></defs>\
         <rect width=\"460\" height=\"215\" fill=\"url(#s)\"/>"
    );
    for star in 0..24 {
        let n = 2_000 + 3 * star;
        let (x, y, r) = (random(id, n, 460), random(id, n + 1, 110), 4 + random(id, n + 2, 6));
        put(&mut svg, format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\".{r}\" fill=\"#fff\"/>"));
    }
    let radius = 18 + random(id, 1_004, 26);
    put(
        &mut svg,
        format_args!(
            "<circle cx=\"{sun_x}\" cy=\"{sun_y}\" r=\"{radius}\" \
             fill=\"hsl({second} 90% 82%)\" opacity=\".9\"/>"
        ),
    );
    for range in 0..3 {
        hills(&mut svg, id, range, hue);
    }
    svg.push_str("</svg>");
    svg
}

/// One range of hills; the nearer, the darker and lower.
fn hills(svg: &mut String, id: GameId, range: u64, hue: u64) {
    let (base, light) = (105 + 35 * range, 30 - 9 * range);
    svg.push_str("<path d=\"M0 215");
    for step in 0..=8 {
        let (x, n) = (step * 58, 3_000 + 100 * range + step);
        let y = base + random(id, n, 50);
        put(svg, format_args!(" L{x} {y}"));
    }
    put(svg, format_args!(" L464 215Z\" fill=\"hsl({hue} 45% {light}%)\"/>"));
}

fn put(svg: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = svg.write_fmt(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_are_past_sorted_and_the_same_all_day() {
        let now: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-05T21:00:00Z".parse().unwrap();
        let text = |at| serde_json::to_string(&reviews(GameId(1), at)).unwrap();
        assert_eq!(text(now), text(later));
        for id in 1..200 {
            let reviews = reviews(GameId(id), now);
            assert!(reviews.is_sorted_by(|a, b| a.posted >= b.posted));
            assert!(reviews.iter().all(|review| review.posted < now));
        }
    }

    #[test]
    fn placeholders_of_different_games_differ() {
        let now: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let counts: std::collections::HashSet<_> =
            (1..100).map(|id| reviews(GameId(id), now).len()).collect();
        assert!(counts.len() > 40, "{counts:?}");
        assert_ne!(banner(GameId(1)), banner(GameId(2)));
    }
}
