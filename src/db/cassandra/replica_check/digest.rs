//! A range of rows with a digest of each replica, and the comparison of two scans.

use std::fmt;

use super::topology::Part;

/// Number of rows, and a sum of their hashes, which does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u128,
}

impl Digest {
    pub(super) const fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

/// Rows, and a digest for each node of the part, in its order.
pub(super) struct Range {
    pub(super) part: Part,
    pub(super) digests: Vec<Digest>,
}

/// What two scans of a range show.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    /// The replicas differ and did not change between the scans.
    Different,
    /// The replicas differ and are written to; they may become equal.
    Changing,
}

impl Range {
    /// Rows of the replica that has most.
    pub(super) fn rows(&self) -> u64 {
        self.digests.iter().map(|digest| digest.rows).max().unwrap_or(0)
    }

    pub(super) fn is_equal(&self) -> bool {
        is_equal(&self.digests)
    }

    /// Compares this scan with the one before.
    pub(super) fn compare_with(&self, before: &Self) -> Comparison {
        compare_with(&before.digests, &self.digests)
    }
}

fn is_equal(digests: &[Digest]) -> bool {
    digests.windows(2).all(|pair| pair[0] == pair[1])
}

fn compare_with(before: &[Digest], now: &[Digest]) -> Comparison {
    match (is_equal(now), before == now) {
        (true, _) => Comparison::Equal,
        (false, true) => Comparison::Different,
        (false, false) => Comparison::Changing,
    }
}

/// For the operator: table, tokens and which nodes have how many rows.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part { table, after, to, nodes } = &self.part;
        let nodes: Vec<_> = nodes.iter().map(|node| node.address.to_string()).collect();
        let found = found(&nodes, &self.digests);
        write!(f, "{} in tokens {after} to {to}: {found}", table.name)
    }
}

/// The nodes grouped by equal digests, the largest group first.
fn found(nodes: &[String], digests: &[Digest]) -> String {
    let mut groups: Vec<(Digest, Vec<&str>)> = Vec::new();
    for (node, digest) in nodes.iter().zip(digests) {
        match groups.iter_mut().find(|(known, _)| known == digest) {
            Some((_, group)) => group.push(node),
            None => groups.push((*digest, vec![node])),
        }
    }
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    let of_group = |(digest, group): &(Digest, Vec<&str>)| {
        format!("{} rows on {}", digest.rows, group.join(" and "))
    };
    groups.iter().map(of_group).collect::<Vec<_>>().join(", other ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: u64, sum: u128) -> Digest {
        Digest { rows, sum }
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_rows() {
        let sum_of = |hashes: [u128; 3]| {
            let mut digest = Digest::default();
            hashes.into_iter().for_each(|hash| digest.add(hash));
            digest
        };
        assert_eq!(sum_of([7, u128::MAX, 9]), sum_of([9, 7, u128::MAX]));
        assert_ne!(sum_of([7, 7, 9]), sum_of([7, 9, 9]));
    }

    #[test]
    fn only_unchanged_replicas_count_as_different() {
        let (one, other, third) = (digest(1, 1), digest(1, 2), digest(2, 3));
        assert_eq!(compare_with(&[one, other], &[other, other]), Comparison::Equal);
        assert_eq!(compare_with(&[one, other], &[one, other]), Comparison::Different);
        assert_eq!(compare_with(&[one, other], &[third, other]), Comparison::Changing);
    }

    #[test]
    fn the_largest_group_of_nodes_is_named_first() {
        let nodes = ["a:1", "b:1", "c:1"].map(str::to_owned);
        let (full, less) = (digest(9, 1), digest(8, 2));
        assert_eq!(
            found(&nodes, &[less, full, full]),
            "9 rows on b:1 and c:1, other 8 rows on a:1"
        );
        assert_eq!(
            found(&nodes, &[full, less, digest(9, 3)]),
            "9 rows on a:1, other 8 rows on b:1, other 9 rows on c:1"
        );
    }
}
