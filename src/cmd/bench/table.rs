//! Aligned tables, and the numbers in them.

use std::fmt::Write;

use crate::lab::bench::run::{Load, Row};
use crate::lab::bench::summary::SideSummary;

/// A table of texts: the first `left` columns and the last one are aligned to the left, numbers to the right.
pub(super) fn aligned(left: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Writing into a text does not fail.
            let _ = if column < left || column + 1 == columns {
                write!(line, "{gap}{cell:<width$}")
            } else {
                write!(line, "{gap}{cell:>width$}")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The runs of a matrix: two lines each.
pub(super) fn runs(rows: &[Row]) -> String {
    let header = [
        "database",
        "patterns",
        "workers",
        "side",
        "offered/s",
        "ok/s",
        "failed %",
        "unsent",
        "mean ms",
        "p50 ms",
        "p99 ms",
        "max p99 ms",
        "valid",
    ];
    let mut cells = vec![header.map(str::to_owned).to_vec()];
    for row in rows {
        cells.push(side(row, "reads", &row.measured.read));
        cells.push(side(row, "writes", &row.measured.write));
    }
    aligned(4, &cells)
}

fn side(row: &Row, name: &str, side: &SideSummary) -> Vec<String> {
    let Load { read_pattern, write_pattern, intensity, .. } = row.load;
    vec![
        row.database.clone(),
        format!("{read_pattern}-{write_pattern}"),
        intensity.to_string(),
        name.to_owned(),
        format!("{:.0}", side.offered_per_second),
        format!("{:.0}", side.ok_per_second),
        format!("{:.2}", side.failure_percent),
        side.unsent.to_string(),
        millis(side.mean),
        millis(side.p50),
        millis(side.p99),
        millis(side.worst_p99),
        row.measured.invalid.clone().unwrap_or_else(|| "valid".to_owned()),
    ]
}

/// A load in few words: `1-1 x2`, and its factor unless that is 1.
pub(super) fn load(load: &Load) -> String {
    let Load { read_pattern, write_pattern, intensity, rate_scale } = load;
    let workers = format!("{read_pattern}-{write_pattern} x{intensity}");
    if (rate_scale - 1.0).abs() < 1e-9 {
        workers
    } else {
        format!("{workers} scale {rate_scale:.3}")
    }
}

/// A time in milliseconds, with about three digits; `-` where nothing ended.
pub(super) fn millis(seconds: Option<f64>) -> String {
    let Some(millis) = seconds.map(|seconds| seconds * 1e3) else { return "-".to_owned() };
    match millis {
        _ if millis < 10.0 => format!("{millis:.3}"),
        _ if millis < 100.0 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::bench::summary::Measured;
    use crate::lab::model::{Intensity, Pattern};

    fn row(database: &str, invalid: Option<&str>) -> Row {
        let [one, two, _] = Pattern::ALL;
        let load = Load {
            read_pattern: one,
            write_pattern: two,
            intensity: Intensity::ALL[1],
            rate_scale: 1.0,
        };
        let read = SideSummary {
            offered_per_second: 200.0,
            ok_per_second: 199.6,
            failure_percent: 0.2,
            mean: Some(0.001_234),
            p50: Some(0.045_67),
            p99: Some(1.5),
            ..SideSummary::default()
        };
        let invalid = invalid.map(str::to_owned);
        Row {
            database: database.to_owned(),
            load,
            measured: Measured { read, invalid, ..Measured::default() },
        }
    }

    #[test]
    fn a_table_is_aligned_and_has_reads_and_writes_of_each_run() {
        let text = runs(&[row("sql", None), row("longer-name", Some("It was interrupted."))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            words(lines[1]),
            [
                "sql", "1-2", "2", "reads", "200", "200", "0.20", "0", "1.234", "45.7", "1500",
                "-", "valid"
            ]
        );
        assert_eq!(words(lines[2])[3..6], ["writes", "0", "0"]);
        assert!(lines[4].ends_with("  It was interrupted."), "{text}");
        // Columns begin or end at the same place in every line.
        let ends = |line: &str, cell: &str| line.find(cell).unwrap() + cell.len();
        assert_eq!(ends(lines[1], "1.234"), ends(lines[0], "mean ms"));
        assert_eq!(lines[0].find("valid"), lines[1].find("valid"));
        assert_eq!(lines[0].find("patterns"), lines[3].find("1-2"));
    }

    #[test]
    fn loads_and_times_are_short() {
        let mut offered = row("a", None).load;
        assert_eq!(load(&offered), "1-2 x2");
        offered.rate_scale = 0.5;
        assert_eq!(load(&offered), "1-2 x2 scale 0.500");
        let times = [None, Some(0.0), Some(0.000_012_3), Some(0.012_34), Some(5.0)];
        assert_eq!(times.map(millis), ["-", "0.000", "0.012", "12.3", "5000"]);
    }
}
