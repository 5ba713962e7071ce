//! `storefront migrate`: the schema, and nothing else.

use std::sync::Arc;

use super::options::Common;
use crate::config::Config;
use crate::db::{self, MigrationPolicy};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

/// Bring the database's schema up to date, creating it where there is none. Safe to repeat and to
/// run while servers run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Carry over the games of the earlier service on Cassandra as well, from its keyspace (if not
    /// named: overviews) in the same cluster. Safe to repeat: games that are in the store stay as
    /// they are
    #[arg(long, value_name = "KEYSPACE", num_args = 0..=1, require_equals = true,
          default_missing_value = "overviews")]
    from_node_schema: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.common.flags())?;
    logs::start(&config.logs);
    super::runtime()?.block_on(async {
        db::connect(&config.database, MigrationPolicy::Migrate, &Arc::new(Metrics::new())).await?;
        println!("the schema of {} is up to date", config.database.url);
        if let Some(old_keyspace) = &args.from_node_schema {
            let carried = db::import_legacy(&config.database, old_keyspace).await?;
            println!("{} games of the earlier service are carried over", carried.games);
        }
        Ok(())
    })
}
