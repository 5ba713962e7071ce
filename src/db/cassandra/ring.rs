//! Cutting the ring of tokens into parts that are read one by one.

/// `parts` ranges of tokens that together are the ring: beginnings exclusive, ends inclusive. No
/// row has the smallest token.
pub(super) fn parts(parts: i64) -> impl Iterator<Item = (i64, i64)> {
    let at = move |n: i64| -> i64 {
        let width = (1_i128 << 64) / i128::from(parts);
        let token = i128::from(i64::MIN) + width * i128::from(n);
        if n == parts { i64::MAX } else { i64::try_from(token).unwrap_or(i64::MAX) }
    };
    (0..parts).map(move |n| (at(n), at(n + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_ring() {
        for count in [1, 2, 3, 128, 1_000] {
            let all: Vec<_> = parts(count).collect();
            assert_eq!(all.len() as i64, count);
            assert_eq!((all[0].0, all[all.len() - 1].1), (i64::MIN, i64::MAX));
            assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].0 < pair[0].1));
        }
    }
}
