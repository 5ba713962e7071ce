//! Splits the ring of tokens into ranges that are read one by one.

/// The whole ring in so many ranges, starts exclusive, ends inclusive. No row has the smallest token.
pub(super) fn parts(parts: i64) -> impl Iterator<Item = (i64, i64)> {
    let at = move |n: i64| -> i64 {
        let width = (1_i128 << 64) / i128::from(parts);
        let token = i128::from(i64::MIN) + width * i128::from(n);
        if n == parts { i64::MAX } else { i64::try_from(token).unwrap_or(i64::MAX) }
    };
    (0..parts).map(move |n| (at(n), at(n + 1)))
}

/// The whole ring in at least so many ranges, none of which spans one of the tokens: the rows of each
/// have the same replicas.
pub(super) fn parts_cut_at(tokens: impl IntoIterator<Item = i64>, count: i64) -> Vec<(i64, i64)> {
    let tokens = tokens.into_iter().filter(|token| *token > i64::MIN);
    let mut ends: Vec<_> = parts(count).map(|(_, end)| end).chain(tokens).collect();
    ends.sort_unstable();
    ends.dedup();
    std::iter::once(i64::MIN).chain(ends.iter().copied()).zip(ends.iter().copied()).collect()
}

/// The share of the ring up to a token, from 0 (exclusive) to 1.
pub(super) fn share_up_to(token: i64) -> f64 {
    let tokens = i128::from(token) - i128::from(i64::MIN) + 1;
    tokens as f64 / (1_i128 << 64) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_ring_grows_with_the_token() {
        assert!((share_up_to(i64::MAX) - 1.0).abs() < 1e-9);
        assert!((share_up_to(0) - 0.5).abs() < 1e-9);
        assert!(share_up_to(i64::MIN) > 0.0);
    }

    #[test]
    fn no_range_spans_a_token() {
        assert_eq!(
            parts_cut_at([7, i64::MIN, -1, 7], 2),
            [(i64::MIN, -1), (-1, 0), (0, 7), (7, i64::MAX)]
        );
        assert_eq!(parts_cut_at([i64::MAX], 3), parts(3).collect::<Vec<_>>());
    }

    #[test]
    fn the_ranges_cover_the_ring() {
        for count in [1, 2, 3, 128, 1_000] {
            let all: Vec<_> = parts(count).collect();
            assert_eq!(all.len() as i64, count);
            assert_eq!((all[0].0, all[all.len() - 1].1), (i64::MIN, i64::MAX));
            assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].0 < pair[0].1));
        }
    }
}
