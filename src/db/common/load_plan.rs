//! What a bulk load may do to a store, and what is left to do of one.

use std::ops::Range;

use super::id_search::ID_LIMIT;
use crate::db::storage::{Begin, Contents, LoadMode, NewLoad};

/// What [`LoadStore::begin`](crate::db::storage::LoadStore::begin) does.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::db) enum LoadPlan {
    /// Change nothing and give this answer.
    Refuse(Begin),
    /// Remove every game, then load.
    ReplaceAll,
    /// Remove the demo games, then load.
    ReplaceDemo,
    /// Load beside what is there.
    Add,
}

impl LoadPlan {
    /// Decides from what the store holds.
    pub(in crate::db) fn new(contents: Contents, load: NewLoad) -> Self {
        if load.rows >= ID_LIMIT.cast_unsigned() {
            return Self::Refuse(Begin::Exhausted);
        }
        match (contents, load.mode) {
            (_, LoadMode::Reset) => Self::ReplaceAll,
            (Contents::Interrupted(open), _) => Self::Refuse(Begin::Interrupted(open)),
            (Contents::Games, LoadMode::Fresh) => Self::Refuse(Begin::NotEmpty),
            (Contents::Demo, LoadMode::Fresh) => Self::ReplaceDemo,
            (Contents::Empty, LoadMode::Fresh) | (_, LoadMode::Append) => Self::Add,
        }
    }
}

/// What of the reserved ranges no finished chunk covers, ascending. Both arguments ascend; chunks
/// may overlap, because a chunk may be written again after a crash.
pub(in crate::db) fn remaining(reserved: &[Range<i64>], done: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut remaining = Vec::new();
    for range in reserved {
        let mut from = range.start;
        for chunk in done.iter().filter(|chunk| range.contains(&chunk.start)) {
            remaining.push(from..chunk.start);
            from = from.max(chunk.end);
        }
        remaining.push(from..range.end);
    }
    remaining.retain(|range| !range.is_empty());
    remaining
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(contents: Contents, mode: LoadMode) -> LoadPlan {
        LoadPlan::new(contents, NewLoad { seed: 1, rows: 1, mode })
    }

    #[test]
    fn only_a_reset_replaces_games() {
        use Contents::{Demo, Empty, Games};
        use LoadMode::{Append, Fresh, Reset};
        for (contents, mode, expected) in [
            (Empty, Fresh, LoadPlan::Add),
            (Demo, Fresh, LoadPlan::ReplaceDemo),
            (Games, Fresh, LoadPlan::Refuse(Begin::NotEmpty)),
            (Empty, Append, LoadPlan::Add),
            (Demo, Append, LoadPlan::Add),
            (Games, Append, LoadPlan::Add),
            (Games, Reset, LoadPlan::ReplaceAll),
        ] {
            assert_eq!(plan(contents.clone(), mode), expected, "{contents:?} {mode:?}");
        }
    }

    #[test]
    fn no_store_has_more_ids_than_32_bits() {
        for (rows, refused) in [(ID_LIMIT - 1, false), (ID_LIMIT, true)] {
            let load = NewLoad { seed: 1, rows: rows.cast_unsigned(), mode: LoadMode::Reset };
            let plan = LoadPlan::new(Contents::Empty, load);
            assert_eq!(plan == LoadPlan::Refuse(Begin::Exhausted), refused);
        }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one chunk is one range")]
    fn what_remains_is_what_no_chunk_covers() {
        let reserved = [1..10, 20..25];
        for (done, expected) in [
            (vec![], vec![1..10, 20..25]),
            (vec![1..4], vec![4..10, 20..25]),
            (vec![4..7], vec![1..4, 7..10, 20..25]),
            (vec![1..4, 4..10, 20..22], vec![22..25]),
            (vec![1..6, 2..4, 20..25], vec![6..10]),
            (vec![1..10, 20..25], vec![]),
        ] {
            assert_eq!(remaining(&reserved, &done), expected, "{done:?}");
        }
        assert_eq!(remaining(&[1..1], &[]), []);
    }
}
