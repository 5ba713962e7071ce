//! The files of a bench: JSON and comma-separated values.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::Outcome;
use super::args::Plan;
use crate::lab::bench::database::Prepared;
use crate::lab::bench::run::{BenchSettings, Row};
use crate::lab::bench::summary::SideSummary;
use crate::lab::machine::{self, Machine};

const HEADER: &str = "database,read_pattern,write_pattern,workers,rate_scale,side,seconds,offered,ok,\
                      failed,unsent,offered_per_second,ok_per_second,failure_percent,mean_s,p50_s,p95_s,\
                      p99_s,worst_second_p99_s,driver_lag_p99_s,cpu,valid,why";

/// Files that are written at the end.
pub(super) struct Files {
    json: Option<(PathBuf, File)>,
    csv: Option<(PathBuf, File)>,
}

/// The file of JSON. Times are in seconds.
#[derive(Debug, Serialize)]
struct Report<'a> {
    version: &'static str,
    machine: Machine,
    settings: &'a BenchSettings,
    databases: &'a [Prepared],
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Files {
    /// Creates the files: that one cannot be written is known before anything is measured.
    pub(super) fn create(json: Option<&Path>, csv: Option<&Path>) -> anyhow::Result<Self> {
        let create = |path: &Path| -> anyhow::Result<_> {
            let file = File::create(path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            Ok((path.to_owned(), file))
        };
        Ok(Self { json: json.map(create).transpose()?, csv: csv.map(create).transpose()? })
    }

    pub(super) fn write(
        self,
        outcome: &Outcome,
        databases: &[Prepared],
        plan: &Plan,
    ) -> anyhow::Result<()> {
        if let Some((path, mut file)) = self.json {
            let (version, settings) = (env!("CARGO_PKG_VERSION"), &plan.settings);
            let report =
                Report { version, machine: machine::describe(), settings, databases, outcome };
            let text = serde_json::to_string_pretty(&report)?;
            let written = writeln!(file, "{text}");
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some((path, mut file)) = self.csv {
            let written = csv(&outcome.rows(), &mut file);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn csv(rows: &[&Row], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    for row in rows {
        for (name, side) in [("reads", &row.measured.read), ("writes", &row.measured.write)] {
            writeln!(out, "{}", values(row, name, side).join(","))?;
        }
    }
    Ok(())
}

fn values(row: &Row, name: &str, side: &SideSummary) -> Vec<String> {
    let (load, measured) = (&row.load, &row.measured);
    let time = |seconds: Option<f64>| seconds.map_or_else(String::new, |time| time.to_string());
    vec![
        row.database.clone(),
        load.read_pattern.to_string(),
        load.write_pattern.to_string(),
        load.intensity.to_string(),
        load.rate_scale.to_string(),
        name.to_owned(),
        measured.seconds.to_string(),
        side.offered.to_string(),
        side.ok.to_string(),
        side.failed.to_string(),
        side.unsent.to_string(),
        side.offered_per_second.to_string(),
        side.ok_per_second.to_string(),
        side.failure_percent.to_string(),
        time(side.mean),
        time(side.p50),
        time(side.p95),
        time(side.p99),
        time(side.worst_p99),
        measured.driver_lag_p99.to_string(),
        measured.cpu.to_string(),
        measured.invalid.is_none().to_string(),
        // A sentence may have commas and quotes.
        format!("\"{}\"", measured.invalid.as_deref().unwrap_or("").replace('"', "\"\"")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::bench::run::Load;
    use crate::lab::bench::summary::Measured;
    use crate::lab::model::{Intensity, Pattern};

    #[test]
    fn each_line_has_a_value_for_each_column() {
        let (pattern, intensity) = (Pattern::ALL[0], Intensity::ALL[0]);
        let load =
            Load { read_pattern: pattern, write_pattern: pattern, intensity, rate_scale: 1.5 };
        let measured = Measured::failed("a \"quoted\" word".to_owned());
        let row = Row { database: "sql".to_owned(), load, measured };
        let mut out = Vec::new();
        csv(&[&row], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let columns = |line: &str| line.split(',').count();
        assert!(text.lines().all(|line| columns(line) == columns(HEADER)), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("sql,1,1,1,1.5,reads,0,0,"), "{text}");
        assert!(text.ends_with(",false,\"a \"\"quoted\"\" word\"\n"), "{text}");
    }
}
