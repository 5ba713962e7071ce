//! `storefront serve`: the server, from its settings to its last answer.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use super::openable;
use super::seed::demo;
use super::signals::Signals;
use super::start::{Settings, runtime};
use super::worker;
use crate::activities::pushgateway::Pushgateway;
use crate::activities::service::{Service, host_name};
use crate::config::Config;
use crate::config::activities::Activities;
use crate::config::database::Database;
use crate::config::serve::Serve;
use crate::config::services::Services;
use crate::db::{self, MigrationPolicy, Stores};
use crate::server::assets::Assets;
use crate::server::listener::{Server, ShutdownOutcome};
use crate::server::metrics::ServerMetrics;
use crate::server::operations::Readiness;
use crate::server::request_layer::RequestLimits;
use crate::server::router::{App, router};
use crate::telemetry::{Registry, logs};
use crate::upstreams::Upstreams;
use crate::web::body::BodyLimits;

/// How long tasks of the store, such as a checkout whose client is gone, may go on after the server
/// has ended.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// Serve the store over HTTP
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings<true>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    raise_open_files();
    let runtime = runtime()?;
    let result = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_TASKS);
    result
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let Config { serve, database, limits, activities, .. } = config;
    let registry = Registry::default();
    logs::register(&registry);
    let mut stores = open(&serve, &database, &registry).await?;
    if serve.services.activities {
        stores = worker::queued(stores, &activities, &registry).await?;
    }
    let activities = start_activities(&stores, &serve, &activities, &registry);
    let (readiness, metrics) = (Readiness::default(), ServerMetrics::register(&registry));
    let app = router(App {
        stores,
        services: serve.services,
        activities: activities.as_ref().map(Service::gate),
        upstreams: Upstreams::new(serve.images_url.clone(), serve.reviews_url.clone())?,
        assets: assets(&serve)?,
        metrics: metrics.clone(),
        registry,
        readiness: readiness.clone(),
        limits: RequestLimits {
            in_flight: limits.max_in_flight,
            body: BodyLimits { bytes: limits.max_body, time: limits.body_timeout },
            key_kept_for: serve.idempotency_ttl,
        },
    });
    let signals = Signals::watch()?;
    let server = Server::bind(serve.listen, app, &limits, metrics).with_context(|| {
        format!("cannot listen on {}: choose another address by --listen", serve.listen)
    })?;
    let address = server.address()?;
    if let Err(error) = announce(address, serve.services) {
        tracing::warn!(%error, %address, "serving, but the line that says so could not be printed");
    }
    let stop = stop_after(signals.clone(), readiness, serve.drain_delay);
    let outcome = server.run(stop, signals.nth(2)).await;
    // After the last request, which may wait for its message.
    if let Some(activities) = activities {
        activities.stop().await;
    }
    match outcome {
        ShutdownOutcome::Drained => tracing::info!("stopped, every request was answered"),
        ShutdownOutcome::Cut(connections) => {
            tracing::warn!(connections, "stopped, connections were cut")
        }
    }
    Ok(())
}

/// Starts the gate and the worker of activities, if they are served and the backend has them.
fn start_activities(
    stores: &Stores,
    serve: &Serve,
    settings: &Activities,
    registry: &Registry,
) -> Option<Service> {
    let store = stores.activities.clone().filter(|_| serve.services.activities)?;
    let worker = !settings.no_activities_worker;
    let mut service = Service::start(store, worker::service_settings(settings, worker), registry);
    if let Some(url) = settings.pushgateway.clone() {
        let instance = format!("{} {}", host_name(), serve.listen);
        service.push_to(Pushgateway { url, instance }, registry);
    }
    Some(service)
}

/// Turns readiness off at the first signal, and ends after the delay: load balancers notice the one
/// before the listener closes.
async fn stop_after(signals: Signals, readiness: Readiness, delay: Duration) {
    signals.clone().nth(1).await;
    readiness.turn_off();
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = signals.nth(2) => {}
    }
}

/// Opens the database, and puts the demo data into the default one if it is new.
async fn open(serve: &Serve, database: &Database, registry: &Registry) -> anyhow::Result<Stores> {
    // Before connecting, which creates the file.
    let is_new = database.is_new_default();
    let policy = if serve.no_migrate { MigrationPolicy::Require } else { MigrationPolicy::Migrate };
    let stores = db::connect(database, policy, registry).await?;
    if serve.demo || is_new {
        demo(&stores).await?;
    }
    tracing::info!(database = %database.url, backend = stores.backend, "store is open");
    Ok(stores)
}

fn assets(serve: &Serve) -> anyhow::Result<Assets> {
    let assets = match &serve.assets {
        Some(folder) => Assets::folder(folder).context("cannot read the folder of --assets")?,
        None => Assets::embedded(),
    };
    Ok(match &serve.api_url {
        Some(url) => assets.with_api_url(url.as_str())?,
        None => assets,
    })
}

/// Each connection is an open file, and many systems start programs with a low soft limit.
fn raise_open_files() {
    let before = rlimit::Resource::NOFILE.get();
    let after = rlimit::increase_nofile_limit(u64::MAX);
    match (before, after) {
        (Ok((soft, hard)), Ok(now)) => {
            tracing::info!(before = soft, now, hard, "limit of open files");
        }
        (_, Err(error)) | (Err(error), _) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
}

/// Prints the line that scripts wait for, with a page to open.
fn announce(address: SocketAddr, services: Services) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let page = if services.overview { "1" } else { "docs" };
    writeln!(out, "storefront is ready: open http://{}/{page}", openable(address))?;
    out.flush()
}
