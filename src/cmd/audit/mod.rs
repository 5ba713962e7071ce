//! `storefront audit`: whether stock, credit and orders agree, and replicas hold the same.

mod report;

use self::report::{Format, Report};
use super::start::{Settings, runtime};
use crate::config::database::Database;
use crate::db::storage::{ReplicaReport, StorageError};
use crate::db::{self, MigrationPolicy, Stores};
use crate::telemetry::Registry;

/// Check that stock, credit and orders agree
///
/// Changes nothing, except with --repair. Servers may run meanwhile; the result is exact while no
/// checkout or other write is under way. The exit code is 0 if all agrees and 1 if something differs;
/// after --repair, if something still differs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the result looks
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Compare replicas too, range by range: on Cassandra those of each node, on PostgreSQL the
    /// replica of --replica-url with the primary
    #[arg(long)]
    replicas: bool,
    /// On Cassandra: end reservations and orders that would stay in progress for ever, then check
    /// again; with --replicas also repair the ranges that differ
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    settings: Settings<false>,
}

/// The store does not agree with itself; what differs has been printed.
#[derive(Debug, thiserror::Error)]
#[error("{0} differences: the store does not agree with itself")]
struct Differs(u64);

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    let report = runtime()?.block_on(audit(&config.database, args))?;
    report.print(args.format)?;
    if report.agrees { Ok(()) } else { Err(Differs(report.different()).into()) }
}

async fn audit(database: &Database, args: &Args) -> anyhow::Result<Report> {
    let stores = db::connect(database, MigrationPolicy::Require, &Registry::default()).await?;
    // Before the audit: its reads at a quorum would repair differences between replicas.
    let replica = match args.replicas {
        true => Some(compare_replicas(database, &stores, args.repair).await?),
        false => None,
    };
    let audit = match args.repair {
        true => stores.audit.repair().await?,
        false => stores.audit.audit().await?,
    };
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
