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
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.common.flags())?;
    logs::start(&config.logs);
    super::runtime()?.block_on(async {
        db::connect(&config.database, Schema::Migrate, &Arc::new(Metrics::new())).await?;
        println!("the schema of {} is up to date", config.database.url);
        Ok(())
    })
}
