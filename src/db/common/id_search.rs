//! The search for a free id behind a run of taken ids.
//!
//! Clients may create millions of games under ids of their own, and the counter that assigns ids
//! must get past them. Trying one id after the other would take as long as the run; this search
//! takes as many lookups as the run's length has binary digits. It holds no connection: the caller
//! looks ids up, so the same search serves a synchronous and an asynchronous driver.

/// One more than the largest id: a counter that stands here has assigned every id.
pub(in crate::db) const ID_LIMIT: i64 = i32::MAX as i64 + 1;

/// Consecutive taken ids that are tried one by one before a search: most runs are short.
pub(in crate::db) const TRIES_BEFORE_SEARCH: u32 = 32;

/// A search in progress: `taken` is known to be taken, `free` to be free.
#[derive(Debug)]
pub(in crate::db) struct IdSearch {
    taken: i32,
    free: Option<i32>,
    stride: i32,
}

impl IdSearch {
    /// A search from an id that is taken. Free ids on the way may be passed over.
    pub(in crate::db) const fn after(taken: i32) -> Self {
        Self { taken, free: None, stride: 1 }
    }

    /// The id to look up next; `None` when the search has ended.
    pub(in crate::db) fn probe(&self) -> Option<i32> {
        match self.free {
            // Doubling strides find an upper bound ...
            None => Some(self.taken.saturating_add(self.stride)).filter(|id| *id > self.taken),
            // ... between which and the last taken id bisection finds the first free one.
            Some(free) if free - self.taken > 1 => Some(self.taken + (free - self.taken) / 2),
            Some(_) => None,
        }
    }

    /// Takes the answer to a probe.
    pub(in crate::db) const fn record(&mut self, id: i32, is_taken: bool) {
        if !is_taken {
            self.free = Some(id);
            return;
        }
        self.taken = id;
        self.stride = self.stride.saturating_mul(2);
    }

    /// Where the counter continues: [`ID_LIMIT`] if the run reaches the largest id.
    pub(in crate::db) fn next_free_id(&self) -> i64 {
        self.free.map_or(ID_LIMIT, i64::from)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// What is found behind a run, and in how many lookups.
    fn search(taken: &Range<i64>) -> (i64, u32) {
        let mut search = IdSearch::after(i32::try_from(taken.start).unwrap());
        let mut lookups = 0;
        while let Some(id) = search.probe() {
            lookups += 1;
            search.record(id, taken.contains(&i64::from(id)));
        }
        (search.next_free_id(), lookups)
    }

    #[test]
    fn the_first_id_behind_a_run_is_found_in_logarithmic_lookups() {
        for length in [1, 2, 3, 31, 32, 33, 1_000_000] {
            let (free, lookups) = search(&(7..7 + length));
            assert_eq!(free, 7 + length);
            assert!(lookups <= 2 * (64 - length.leading_zeros()) + 1, "{lookups} for {length}");
        }
    }

    #[test]
    fn a_run_may_reach_the_largest_id() {
        assert_eq!(search(&(2_000_000_000..ID_LIMIT)).0, ID_LIMIT);
        assert_eq!(search(&(ID_LIMIT - 1..ID_LIMIT)).0, ID_LIMIT);
    }
}
