//! What an audit prints.

use std::io::Write;

use serde::Serialize;

use crate::db::storage::{Audit, ReplicaReport};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

/// What is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    database: String,
    pub(super) agrees: bool,
    #[serde(flatten)]
    audit: Audit,
    /// What `--replicas` found; null if the backend has no replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    replica: Option<Option<ReplicaReport>>,
}

impl Report {
    pub(super) fn new(
        database: String,
        audit: Audit,
        replica: Option<Option<ReplicaReport>>,
    ) -> Self {
        let mut report = Self { database, agrees: true, audit, replica };
        report.agrees = report.different() == 0;
        report
    }

    pub(super) fn different(&self) -> u64 {
        let replica = self.replica.iter().flatten().map(|report| report.different.len() as u64);
        self.audit.different + replica.sum::<u64>()
    }

    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match format {
            Format::Table => table(self, &mut out)?,
            Format::Json => writeln!(out, "{}", serde_json::to_string(self)?)?,
        }
        Ok(out.flush()?)
    }
}

fn table(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let Report { database, agrees, audit, replica } = report;
    writeln!(out, "{database}")?;
    for (name, count) in [
        ("users", audit.users),
        ("items", audit.items),
        ("orders", audit.orders),
        ("paid orders", audit.paid_orders),
        ("reset", audit.reset),
        ("unfinished", audit.unfinished),
        ("unsettled", audit.unsettled),
        ("differences", audit.different),
    ] {
        writeln!(out, "  {name:<12} {count:>12}")?;
    }
    if let Some(repaired) = &audit.repaired {
        writeln!(out, "  {:<12} {:>12}", "repaired", repaired.len())?;
        listed("repaired:", repaired, out)?;
    }
    for difference in &audit.differences {
        writeln!(out, "  {difference}")?;
    }
    if audit.different > audit.differences.len() as u64 {
        writeln!(out, "  and so on; the first {} are listed", Audit::SHOWN)?;
    }
    match replica {
        Some(Some(report)) => replicas(report, out)?,
        Some(None) => writeln!(out, "  an embedded database has no replicas")?,
        None => {}
    }
    writeln!(out, "{}", if *agrees { "everything agrees" } else { "not everything agrees" })
}

fn replicas(compared: &ReplicaReport, out: &mut impl Write) -> std::io::Result<()> {
    let ReplicaReport { ranges, rows, unsettled, different, replicas, repaired } = compared;
    let (what, differs) = match replicas {
        Some(1) => return writeln!(out, "  there is a single replica of everything"),
        Some(replicas) => (format!("up to {replicas} replicas"), "different:"),
        None => ("replica".to_owned(), "the replica differs in"),
    };
    writeln!(out, "  {what}: {rows} rows in {ranges} ranges, {} differ", different.len())?;
    if *unsettled > 0 {
        writeln!(out, "  {unsettled} ranges kept changing and were not judged")?;
    }
    if let Some(repaired) = repaired {
        writeln!(out, "  {} ranges were repaired", repaired.len())?;
        listed("repaired:", repaired, out)?;
    }
    listed(differs, different, out)
}

fn listed(what: &str, ranges: &[String], out: &mut impl Write) -> std::io::Result<()> {
    for range in ranges.iter().take(Audit::SHOWN) {
        writeln!(out, "  {what} {range}")?;
    }
    match ranges.len().checked_sub(Audit::SHOWN) {
        Some(1..) => writeln!(out, "  and so on; the first {} are listed", Audit::SHOWN),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::storage::Difference;

    fn report(audit: Audit) -> Report {
        Report::new("embedded:x.db".to_owned(), audit, None)
    }

    fn shown(report: &Report) -> String {
        let mut out = Vec::new();
        table(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_is_for_people() {
        let agreed = report(Audit { users: 1_000, paid_orders: 7, ..Audit::default() });
        let lines: Vec<_> = shown(&agreed).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "embedded:x.db");
        assert_eq!(lines[1], "  users                1000");
        assert_eq!(lines.last().unwrap(), "everything agrees");
    }

    #[test]
    fn differences_are_listed_up_to_a_number() {
        let mut audit = Audit::default();
        for n in 0..=Audit::SHOWN {
            let what = format!("credit of user {n}");
            audit.differs(Difference::Sum { what, found: 5, expected: 6 });
        }
        let shown = shown(&report(audit));
        assert!(shown.contains("  credit of user 99 is 5, should be 6\n  and so on;"), "{shown}");
        assert!(!shown.contains("user 100 "), "{shown}");
        assert!(shown.ends_with("not everything agrees\n"));
    }

    #[test]
    fn json_is_for_programs() {
        let mut audit = Audit { items: 3, ..Audit::default() };
        let what = "stock of item a".to_owned();
        audit.differs(Difference::Sum { what, found: -1, expected: 0 });
        let json = serde_json::to_value(report(audit)).unwrap();
        assert_eq!(json["agrees"], false);
        assert_eq!((&json["items"], &json["different"]), (&3.into(), &1.into()));
        let listed = serde_json::json!(
            [{"kind": "sum", "what": "stock of item a", "found": -1, "expected": 0}]
        );
        assert_eq!(json["differences"], listed);
    }

    #[test]
    fn replicas_that_differ_and_were_repaired_are_listed() {
        let mut report = report(Audit::default());
        let one = ReplicaReport { replicas: Some(1), ..ReplicaReport::default() };
        report.replica = Some(Some(one));
        assert!(shown(&report).contains("  there is a single replica of everything\n"));
        let (different, repaired) = (vec!["x".to_owned()], Some(vec!["y".to_owned(); 101]));
        let (ranges, rows, unsettled, replicas) = (5, 9, 1, Some(3));
        let several = ReplicaReport { ranges, rows, unsettled, different, replicas, repaired };
        report.replica = Some(Some(several));
        assert_eq!(report.different(), 1);
        let text = shown(&report);
        assert!(text.contains("  up to 3 replicas: 9 rows in 5 ranges, 1 differ\n"), "{text}");
        assert!(text.contains("  101 ranges were repaired\n  repaired: y\n"), "{text}");
        assert!(text.contains("  repaired: y\n  and so on; the first 100 are listed\n"), "{text}");
        assert!(text.contains("  different: x\n"), "{text}");
    }
}
