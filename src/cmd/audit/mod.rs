//! `storefront audit`: whether the cart's sums follow from its orders, and copies are the same.

mod report;

use std::sync::Arc;

use self::report::{Format, Report};
use super::options::Common;
use crate::config::Config;
use crate::config::database::Database;
use crate::db::storage::{ReplicaReport, StorageError};
use crate::db::{self, MigrationPolicy, Stores};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

/// Check that the credit of every user and the stock of every item follow from the orders.
///
/// Changes nothing, unless with --repair. Servers may run meanwhile; what it finds is exact when
/// nothing is under way.
/// The exit code is 0 when all agrees and 1 when something differs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the result looks
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Compare copies too, range by range: on Cassandra what each node has, on PostgreSQL the
    /// replica of --replica-url with the database
    #[arg(long)]
    replicas: bool,
    /// With --replicas on Cassandra: mend what differs, then compare it again
    #[arg(long, requires = "replicas")]
    repair: bool,
    #[command(flatten)]
    common: Common,
}

/// The store does not agree with itself; what differs has been printed.
#[derive(Debug, thiserror::Error)]
#[error("{0} differences: the store does not agree with itself")]
struct Differs(u64);

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.common.flags())?;
    logs::start(&config.logs);
    let report = super::runtime()?.block_on(audit(&config.database, args))?;
    report.print(args.format)?;
    if report.agrees { Ok(()) } else { Err(Differs(report.different()).into()) }
}

async fn audit(database: &Database, args: &Args) -> anyhow::Result<Report> {
    let metrics = Arc::new(Metrics::new());
    let stores = db::connect(database, MigrationPolicy::Require, &metrics).await?;
    // Copies first: reading the cart at a quorum may mend what it finds.
    let replica = match args.replicas {
        true => Some(compare_replicas(database, &stores, args.repair).await?),
        false => None,
    };
    let audit = stores.audit.audit().await?;
    Ok(Report::new(database.url.to_string(), audit, replica))
}

async fn compare_replicas(
    database: &Database,
    stores: &Stores,
    repair: bool,
) -> Result<Option<ReplicaReport>, StorageError> {
    match db::replica_check(database, stores, repair)? {
        Some(check) if repair => check.repair().await.map(Some),
        Some(check) => check.compare().await.map(Some),
        None => Ok(None),
    }
}
