//! `storefront migrate`: the schema, and nothing else.

use std::sync::Arc;

use super::options::Common;
use crate::config::Config;
use crate::db::{self, Schema};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

/// Bring the database's schema up to date, creating it where there is none. Safe to repeat and to
/// run while servers run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Carry over the games of the earlier service on Cassandra (keyspace overviews) as well. Safe
    /// to repeat: games that are in the store already stay as they are
    #[arg(long)]
    from_node_schema: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.common.flags())?;
    logs::start(&config.logs);
    super::runtime()?.block_on(async {
        db::connect(&config.database, Schema::Migrate, &Arc::new(Metrics::new())).await?;
        println!("the schema of {} is up to date", config.database.url);
        if args.from_node_schema {
            let carried = db::carry_over(&config.database).await?;
            println!("{} games of the earlier service are carried over", carried.games);
        }
        Ok(())
    })
}
