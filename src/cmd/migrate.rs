//! `storefront migrate`: the schema, and nothing else.

use std::io::{self, Write};

use super::start::{Settings, runtime};
use crate::db::{self, MigrationPolicy};
use crate::telemetry::Registry;

/// Bring the database's schema up to date, creating it where there is none. Safe to repeat and to
/// run while servers run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// On Cassandra, also copy the games of the earlier Node service from this keyspace of the same
    /// cluster (default: overviews). Safe to repeat: games that are in the store stay as they are
    #[arg(long, value_name = "KEYSPACE", num_args = 0..=1, require_equals = true,
          default_missing_value = "overviews")]
    from_node_schema: Option<String>,
    #[command(flatten)]
    settings: Settings<false>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    runtime()?.block_on(async {
        db::connect(&config.database, MigrationPolicy::Migrate, &Registry::default()).await?;
        let mut out = io::stdout();
        writeln!(out, "the schema of {} is up to date", config.database.url)?;
        if let Some(old_keyspace) = &args.from_node_schema {
            let imported = db::import_legacy(&config.database, old_keyspace).await?;
            writeln!(out, "{} games of the earlier service were imported", imported.games)?;
        }
        Ok(())
    })
}
