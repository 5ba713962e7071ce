//! What a bench prints.

use std::io::Write;

use super::Outcome;
use super::args::Plan;
use super::table::{aligned, load, millis, runs};
use crate::lab::bench::compare::{Comparison, Finding};
use crate::lab::bench::database::Prepared;
use crate::lab::bench::knee::{Knee, Probe};
use crate::lab::bench::objective::Objective;
use crate::lab::bench::run::Row;
use crate::lab::bench::statistics::Estimate;

/// Prints what was measured on which databases.
pub(super) fn outcome(
    outcome: &Outcome,
    databases: &[Prepared],
    plan: &Plan,
) -> std::io::Result<()> {
    let mut text = String::new();
    for Prepared { name, description, .. } in databases {
        text.push_str(&format!("{name}: {description}\n"));
    }
    let settings = &plan.settings;
    text.push_str(&format!(
        "{} games, keys {}, runs of {} s\n\n",
        settings.rows.games, settings.keys, settings.seconds
    ));
    text.push_str(&match outcome {
        Outcome::Matrix(rows) => matrix(rows),
        Outcome::Knee { objective, databases } => {
            databases.iter().map(|knee| found(knee, objective)).collect::<Vec<_>>().join("\n")
        }
        Outcome::Compare(comparison) => compared(comparison),
    });
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn matrix(rows: &[Row]) -> String {
    let mut text = runs(rows);
    for row in rows {
        for (name, side) in [("reads", &row.measured.read), ("writes", &row.measured.write)] {
            if side.errors.is_empty() {
                continue;
            }
            let kinds: Vec<String> =
                side.errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let what = format!("{} {} {name}", row.database, load(&row.load));
            text.push_str(&format!("failed: {what}: {}\n", kinds.join(", ")));
        }
    }
    text
}

fn found(knee: &Knee, objective: &Objective) -> String {
    let offered =
        |row: &Row| row.measured.read.offered_per_second + row.measured.write.offered_per_second;
    let name = &knee.database;
    let mut text = match &knee.holds {
        Some(row) => format!(
            "{name}: {:.0} transactions/s hold {objective} (scale {:.3})\n",
            offered(row),
            row.load.rate_scale
        ),
        None => format!("{name}: no rate was found that holds {objective}\n"),
    };
    match &knee.bound {
        Some(bound) => {
            text.push_str(&format!("  bound at scale {:.3} by {}\n", bound.rate_scale, bound.why));
        }
        None if knee.complete => {
            text.push_str("  it also held at the highest rate that is tried\n")
        }
        None => {}
    }
    if !knee.complete {
        text.push_str("  the search was interrupted\n");
    }
    let header =
        ["  scale", "offered/s", "ok/s", "reads p99 ms", "writes p99 ms", "unsent", "objective"];
    let mut cells = vec![header.map(str::to_owned).to_vec()];
    cells.extend(knee.probes.iter().map(probe));
    text.push_str(&aligned(0, &cells));
    text
}

fn probe(Probe { row, broken }: &Probe) -> Vec<String> {
    let (read, write) = (&row.measured.read, &row.measured.write);
    vec![
        format!("{:.3}", row.load.rate_scale),
        format!("{:.0}", read.offered_per_second + write.offered_per_second),
        format!("{:.0}", read.ok_per_second + write.ok_per_second),
        millis(read.p99),
        millis(write.p99),
        (read.unsent + write.unsent).to_string(),
        broken.clone().unwrap_or_else(|| "held".to_owned()),
    ]
}

fn compared(comparison: &Comparison) -> String {
    let Comparison { a, b, metrics, calibration, rounds } = comparison;
    let header = [
        "time",
        &format!("{a}/{b}"),
        "95 % interval",
        &format!("{a}/{a}"),
        "99 % interval",
        "finding",
    ];
    let mut cells = vec![header.map(str::to_owned).to_vec()];
    for metric in metrics {
        let [ratio, calibration] = [metric.ratio, metric.calibration].map(estimate);
        let finding = finding(metric.finding, a, b).to_owned();
        cells.push([vec![metric.name.clone()], ratio, calibration, vec![finding]].concat());
    }
    format!(
        "the time of {a} divided by that of {b}: median of {} pairs; calibration: {} pairs of {a} and {a}\n{}",
        rounds.len(),
        calibration.len(),
        aligned(1, &cells)
    )
}

/// The median and the interval.
fn estimate(estimate: Option<Estimate>) -> Vec<String> {
    let shown = estimate
        .map(|of| vec![format!("{:.3}", of.median), format!("{:.3} to {:.3}", of.low, of.high)]);
    shown.unwrap_or_else(|| vec!["-".to_owned(); 2])
}

fn finding(finding: Finding, a: &str, b: &str) -> String {
    match finding {
        Finding::NoDifferenceShown => "no difference shown".to_owned(),
        Finding::AFaster => format!("{a} is faster"),
        Finding::BFaster => format!("{b} is faster"),
        Finding::NotCalibrated => format!("cannot be used: {a} differs from itself"),
        Finding::TooFew => "too few pairs".to_owned(),
    }
}
