//! `storefront worker`: the worker of activities, apart from the servers.

use anyhow::bail;

use super::signals::Signals;
use super::start::{Settings, runtime};
use crate::activities::queue_monitor::QueueLimits;
use crate::activities::service::{Service, ServiceSettings};
use crate::activities::validate::MessageLimits;
use crate::config::Config;
use crate::config::activities::Activities;
use crate::config::database::Url;
use crate::db::{self, MigrationPolicy, Stores};
use crate::telemetry::Registry;

/// Apply queued activities, apart from the servers
///
/// One worker is active for a store at a time; further ones stand by and take over when it ends or dies.
/// Servers run one too, unless they are told not to by --no-activities-worker. Not for the embedded
/// store, whose server applies its messages itself.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings<false, true>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    runtime()?.block_on(work(config))
}

async fn work(config: Config) -> anyhow::Result<()> {
    if matches!(config.database.url, Url::Embedded(_)) {
        bail!(
            "the embedded store has no worker apart: its server applies the messages; name another \
             database by --database-url"
        );
    }
    let registry = Registry::default();
    let mut stores = db::connect(&config.database, MigrationPolicy::Require, &registry).await?;
    stores = queued(stores, &config.activities, &registry).await?;
    let Some(store) = stores.activities else {
        bail!("{} has no activities", stores.backend);
    };
    let signals = Signals::watch()?;
    let settings = service_settings(&config.activities, true);
    let service = Service::start(store, settings, &registry);
    tracing::info!(database = %config.database.url, "worker of activities stands by");
    signals.nth(1).await;
    service.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// The stores with the queue that the settings name.
pub(super) async fn queued(
    stores: Stores,
    settings: &Activities,
    registry: &Registry,
) -> anyhow::Result<Stores> {
    if let Some(queue) = &settings.queue {
        return Ok(db::queue_in_nats(stores, queue, registry).await?);
    }
    db::warn_without_queue(&stores).await;
    Ok(stores)
}

/// The settings of the gate and the worker.
pub(super) fn service_settings(settings: &Activities, worker: bool) -> ServiceSettings {
    ServiceSettings {
        message: MessageLimits {
            depth: settings.activities_depth,
            activities: settings.activities_per_message,
            columns: settings.activities_columns,
        },
        queue: QueueLimits {
            messages: settings.activities_queue_messages,
            bytes: settings.activities_queue_bytes,
            age: settings.activities_queue_age,
        },
        keep: settings.activities_keep,
        worker,
    }
}
