//! `storefront audit`: whether the cart's sums follow from its orders.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;

use super::options::Common;
use crate::config::Config;
use crate::db::storage::Audit;
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
#[error("{0} sums of the store are not what follows from its orders")]
struct Differs(u64);

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    database: String,
    agrees: bool,
    #[serde(flatten)]
    audit: Audit,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.common.flags())?;
    logs::start(&config.logs);
    let audit = super::runtime()?.block_on(async {
        let metrics = Arc::new(Metrics::new());
        let stores = db::connect(&config.database, Schema::Require, &metrics).await?;
        anyhow::Ok(stores.cart.audit().await?)
    })?;
    let different = audit.different;
    let database = config.database.url.to_string();
    print(&Report { database, agrees: different == 0, audit }, args.format)?;
    if different == 0 { Ok(()) } else { Err(Differs(different).into()) }
}

fn print(report: &Report, format: Format) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Table => table(report, &mut out)?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(report)?)?,
    }
    Ok(out.flush()?)
}

fn table(Report { database, agrees, audit }: &Report, out: &mut impl Write) -> std::io::Result<()> {
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
    writeln!(out, "{}", if *agrees { "all sums agree" } else { "the sums do not agree" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::storage::Difference;

    fn report(audit: Audit) -> Report {
        Report { database: "embedded:x.db".to_owned(), agrees: audit.different == 0, audit }
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
        assert_eq!(lines.last().unwrap(), "all sums agree");
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
        assert!(shown.ends_with("the sums do not agree\n"));
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
