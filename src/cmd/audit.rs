//! `storefront audit`: whether the cart's sums follow from its orders.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;

use super::options::Common;
use crate::config::Config;
use crate::config::database::Database;
use crate::db::storage::{Audit, Compared};
use crate::db::{self, Schema};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

/// Check that the credit of every user and the stock of every item follow from the orders.
///
/// Changes nothing. Servers may run meanwhile; what it finds is exact when nothing is under way.
/// The exit code is 0 when all agrees and 1 when something differs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the result looks
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Compare the replica of --replica-url with the database too, range by range
    #[arg(long)]
    replicas: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

/// The store does not agree with itself; what differs has been printed.
#[derive(Debug, thiserror::Error)]
#[error("{0} differences: the store does not agree with itself")]
struct Differs(u64);

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    agrees: bool,
    #[serde(flatten)]
    audit: Audit,
    /// What `--replicas` found; null where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    replica: Option<Option<Compared>>,
}

impl Report {
    fn different(&self) -> u64 {
        let copy = self.replica.iter().flatten().map(|copy| copy.different.len() as u64);
        self.audit.different + copy.sum::<u64>()
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.common.flags())?;
    logs::start(&config.logs);
    let report = super::runtime()?.block_on(look(&config.database, args.replicas))?;
    print(&report, args.format)?;
    if report.agrees { Ok(()) } else { Err(Differs(report.different()).into()) }
}

async fn look(database: &Database, replicas: bool) -> anyhow::Result<Report> {
    let metrics = Arc::new(Metrics::new());
    let stores = db::connect(database, Schema::Require, &metrics).await?;
    let copy = if replicas { Some(db::copy(database, &stores)?) } else { None };
    let audit = stores.cart.audit().await?;
    let replica = match copy {
        Some(Some(copy)) => Some(Some(copy.compare().await?)),
        Some(None) => Some(None),
        None => None,
    };
    let mut report = Report { database: database.url.to_string(), agrees: true, audit, replica };
    report.agrees = report.different() == 0;
    Ok(report)
}

fn print(report: &Report, format: Format) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Table => table(report, &mut out)?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(report)?)?,
    }
    Ok(out.flush()?)
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
        ("differences", audit.different),
    ] {
        writeln!(out, "  {name:<12} {count:>12}")?;
    }
    for difference in &audit.differences {
        writeln!(out, "  {difference}")?;
    }
    if audit.different > audit.differences.len() as u64 {
        writeln!(out, "  and so on; the first {} are listed", Audit::SHOWN)?;
    }
    match replica {
        Some(Some(copy)) => copied(copy, out)?,
        Some(None) => writeln!(out, "  an embedded database has no copies")?,
        None => {}
    }
    writeln!(out, "{}", if *agrees { "everything agrees" } else { "not everything agrees" })
}

fn copied(copy: &Compared, out: &mut impl Write) -> std::io::Result<()> {
    let Compared { ranges, rows, unsettled, different } = copy;
    writeln!(out, "  replica: {rows} rows in {ranges} ranges, {} differ", different.len())?;
    if *unsettled > 0 {
        writeln!(out, "  {unsettled} ranges kept changing and were not judged")?;
    }
    different.iter().try_for_each(|range| writeln!(out, "  the replica differs in {range}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::storage::Difference;

    fn report(audit: Audit) -> Report {
        let (database, agrees) = ("embedded:x.db".to_owned(), audit.different == 0);
        Report { database, agrees, audit, replica: None }
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
            audit.differs(Difference { what, found: 5, expected: 6 });
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
        audit.differs(Difference { what, found: -1, expected: 0 });
        let json = serde_json::to_value(report(audit)).unwrap();
        assert_eq!(json["agrees"], false);
        assert_eq!((&json["items"], &json["different"]), (&3.into(), &1.into()));
        let listed = serde_json::json!([{"what": "stock of item a", "found": -1, "expected": 0}]);
        assert_eq!(json["differences"], listed);
    }
}
