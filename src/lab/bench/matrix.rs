//! Every combination of loads and databases.

use super::database::Prepared;
use super::run::{Bench, Load, Row};
use crate::lab::model::{Intensity, Pattern};

/// The loads of a matrix.
#[must_use]
pub fn loads(
    patterns: &[(Pattern, Pattern)],
    intensities: &[Intensity],
    rate_scale: f64,
) -> Vec<Load> {
    let with = |(read_pattern, write_pattern): &(Pattern, Pattern)| {
        let (read_pattern, write_pattern) = (*read_pattern, *write_pattern);
        intensities.iter().map(move |intensity| Load {
            read_pattern,
            write_pattern,
            intensity: *intensity,
            rate_scale,
        })
    };
    patterns.iter().flat_map(with).collect()
}

/// Runs each load on each database, one at a time: the databases take turns, so that what changes on the
/// machine meanwhile hits all of them. After a stop it returns what was measured.
pub async fn run(bench: &Bench<'_>, databases: &[Prepared], loads: &[Load]) -> Vec<Row> {
    let mut rows = Vec::new();
    for load in loads {
        for database in databases {
            if bench.is_stopped() {
                return rows;
            }
            rows.push(bench.run(database, *load).await);
        }
    }
    rows
}

/// Reads patterns of reads and writes, such as `1-1,2-3`, or `all`.
///
/// # Errors
/// What to write instead.
pub fn parse_patterns(text: &str) -> Result<Vec<(Pattern, Pattern)>, String> {
    if text == "all" {
        let with = |read| Pattern::ALL.into_iter().map(move |write| (read, write));
        return Ok(Pattern::ALL.into_iter().flat_map(with).collect());
    }
    let pattern = |text: &str| text.parse::<u8>().ok().and_then(|n| Pattern::try_from(n).ok());
    let pair = |text: &str| {
        let (read, write) = text.split_once('-')?;
        Some((pattern(read)?, pattern(write)?))
    };
    text.split(',')
        .map(|one| pair(one.trim()))
        .collect::<Option<_>>()
        .ok_or_else(|| "write READS-WRITES of patterns 1 to 3, such as 1-1,2-3, or all".to_owned())
}

/// Reads intensities such as `1,3`.
///
/// # Errors
/// What to write instead.
pub fn parse_intensities(text: &str) -> Result<Vec<Intensity>, String> {
    let one = |text: &str| text.trim().parse::<u8>().ok().and_then(|n| Intensity::try_from(n).ok());
    let all = text.split(',').map(one).collect::<Option<_>>();
    all.ok_or_else(|| "write numbers of workers from 1 to 3, such as 1 or 1,3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_intensities_are_lists() {
        let numbers = |text: &str| {
            let all = parse_patterns(text).unwrap();
            all.iter().map(|(read, write)| (read.get(), write.get())).collect::<Vec<_>>()
        };
        assert_eq!(numbers("1-1, 2-3"), [(1, 1), (2, 3)]);
        assert_eq!(numbers("all").len(), 9);
        for text in ["", "1", "1-4", "1-1,", "1-1;2-2"] {
            assert!(parse_patterns(text).is_err(), "{text}");
        }
        assert_eq!(parse_intensities("1,3").unwrap(), [Intensity::ALL[0], Intensity::ALL[2]]);
        assert!(parse_intensities("4").is_err() && parse_intensities("").is_err());
    }

    #[test]
    fn every_combination_is_a_load() {
        let loads = loads(&parse_patterns("1-1,3-2").unwrap(), &Intensity::ALL, 0.5);
        let facts =
            |load: &Load| (load.read_pattern.get(), load.write_pattern.get(), load.intensity.get());
        let expected = [(1, 1, 1), (1, 1, 2), (1, 1, 3), (3, 2, 1), (3, 2, 2), (3, 2, 3)];
        assert_eq!(loads.iter().map(facts).collect::<Vec<_>>(), expected);
    }
}
