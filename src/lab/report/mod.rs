//! Reports of finished jobs: CSV, JSON, and an HTML page that needs nothing else.
//!
//! Each has the recipe beside the numbers: what ran where, under which settings.

mod html;
mod svg;

use serde::Serialize;

use super::machine::{self, Machine};
use super::model::{Job, Side, Window};

pub use html::page;

/// A job with everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of this program.
    version: &'static str,
    /// Where the lab runs.
    machine: Machine,
    /// The job, with the settings of its run.
    job: Job,
    /// One for each second.
    windows: Vec<Window>,
}

impl Report {
    /// The report of a job, written on this machine.
    #[must_use]
    pub fn new(job: Job, windows: Vec<Window>) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), machine: machine::describe(), job, windows }
    }
}

/// The header of [`csv`].
const COLUMNS: &str = "job,target,database,second,timestamp,final,side,offered,ok,failed,unsent,pending,\
                       average_latency_s,p50_s,p95_s,p99_s,failure_percent,errors,driver_lag_p99_s,driver_cpu\n";

/// One line for each second and side; a time is empty where nothing ended.
#[must_use]
pub fn csv(report: &Report) -> String {
    let Report { job, windows, .. } = report;
    let sides = windows
        .iter()
        .flat_map(|window| [(window, "read", &window.read), (window, "write", &window.write)]);
    let lines = sides.map(|(window, name, side)| {
        let time = |seconds: Option<f64>| seconds.map_or_else(String::new, |s| format!("{s:.6}"));
        let errors: Vec<String> =
            side.errors.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
        let cells = [
            job.id.to_string(),
            job.target.clone(),
            job.database.name.clone(),
            window.second.to_string(),
            window.timestamp.to_string(),
            window.is_final.to_string(),
            name.to_owned(),
            side.offered.to_string(),
            side.ok.to_string(),
            side.failed.to_string(),
            side.unsent.to_string(),
            side.pending.to_string(),
            time(side.average_latency),
            time(side.p50),
            time(side.p95),
            time(side.p99),
            format!("{:.3}", side.failure_percent),
            errors.join(" "),
            format!("{:.6}", window.driver.lag_p99),
            format!("{:.3}", window.driver.cpu),
        ];
        cells.map(|cell| quoted(&cell)).join(",") + "\n"
    });
    std::iter::once(COLUMNS.to_owned()).chain(lines).collect()
}

/// A cell of RFC 4180.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Sums over all seconds of one side. Percentiles are not among them: they cannot be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Due.
    pub offered: u64,
    /// Succeeded.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// Not sent.
    pub unsent: u64,
    /// Mean time in seconds of all that ended; `None`: none did.
    pub mean: Option<f64>,
    /// The largest 99th percentile of a second.
    pub worst_p99: Option<f64>,
}

impl Totals {
    /// Of reads or writes.
    pub fn of<'a>(sides: impl Iterator<Item = &'a Side>) -> Self {
        let (mut totals, mut time, mut ended) = (Self::default(), 0.0, 0);
        for side in sides {
            totals.offered += side.offered;
            totals.ok += side.ok;
            totals.failed += side.failed;
            totals.unsent += side.unsent;
            if let Some(mean) = side.average_latency {
                time += mean * (side.ok + side.failed) as f64;
                ended += side.ok + side.failed;
            }
            totals.worst_p99 = totals.worst_p99.into_iter().chain(side.p99).reduce(f64::max);
        }
        totals.mean = (ended > 0).then(|| time / ended as f64);
        totals
    }

    /// `(failed + unsent) / offered` in percent; 0 where nothing was offered.
    #[must_use]
    pub fn failure_percent(&self) -> f64 {
        if self.offered == 0 {
            return 0.0;
        }
        (self.failed + self.unsent) as f64 / self.offered as f64 * 100.0
    }
}
