//! `storefront lab`: loading several databases side by side, live in the browser.
//!
//! In this module: the arguments, and the lab from its store to its last answer; what it registers at its
//! start is in [`registrations`], servers of this machine in [`local`]
//! and [`processes`], where workers run in [`places`], and
//! the command of a worker elsewhere in [`worker`].

mod local;
mod places;
mod processes;
mod registrations;
mod worker;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use self::local::{LocalControl, LocalServers};
use self::places::{Place, WorkerPlaces};
use super::signals::Signals;
use super::start::{Settings, runtime};
use crate::config::Config;
use crate::db;
use crate::lab::cached_set;
use crate::lab::databases::Databases;
use crate::lab::model::{KeyDistribution, StartingState};
use crate::lab::routes::Lab;
use crate::lab::routes::origin::LocalOnly;
use crate::lab::runs::Runs;
use crate::lab::servers::{NoControl, ServerControl};
use crate::lab::settings::LabSettings;
use crate::server::assets::Assets;
use crate::server::lab::{LabApp, router};
use crate::server::listener::{Server, ShutdownOutcome};
use crate::server::metrics::ServerMetrics;
use crate::server::request_layer::RequestLimits;
use crate::telemetry::{Registry, logs};
use crate::web::body::BodyLimits;

/// How long tasks of the databases may go on after the lab has ended.
const LAST_TASKS: std::time::Duration = std::time::Duration::from_secs(5);

/// Load several databases side by side, live in the browser
///
/// Without a database it loads embedded ones, which stand for the three types. A database that is named gets
/// a schema or keyspace of its own (storefront_lab_N); nothing else there is touched.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    lab: LabArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Offer load for a lab elsewhere
    Worker(worker::Args),
}

#[derive(Debug, clap::Args)]
struct LabArgs {
    /// Address and port; port 0 takes a free one. No route asks for authentication
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    /// The lab's own store: what is registered, leased and measured; created where it does not exist
    #[arg(long, value_name = "FILE", default_value = "./data/lab.db")]
    lab_data: PathBuf,
    #[command(flatten)]
    named: registrations::Named,
    /// Register the servers that scripts/servers has started in this folder, and allow faults of them
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".cache/servers/default")]
    local: Option<PathBuf>,
    /// The script that has started them
    #[arg(long, value_name = "FILE", default_value = "scripts/servers", hide = true)]
    servers_script: PathBuf,
    /// Where workers run: in the lab's own process, in children of it, or in processes elsewhere that are
    /// started by `storefront lab worker`
    #[arg(long, value_enum, default_value_t = Place::InProcess)]
    workers: Place,
    /// Games in each database at the start of a lease
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    rows: u32,
    /// Length of a run in seconds, unless its request says another one
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u16).range(5..=600))]
    seconds: u16,
    /// Factor of the patterns' rates
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = rate_scale)]
    rate_scale: f64,
    /// Which keys transactions draw: uniform, zipf:THETA, latest or hotspot:SHARE
    #[arg(long, value_name = "KEYS", default_value = "uniform")]
    keys: KeyDistribution,
    /// Transactions of one worker that may be under way at once; one that is due beyond that is not sent
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    #[command(flatten)]
    settings: Settings<false, false, false>,
}

pub(super) fn rate_scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (0.01..=1_000.0).contains(&scale) => Ok(scale),
        _ => Err("a number from 0.01 to 1000".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Some(Command::Worker(args)) => worker::run(args),
        None => run_lab(&args.lab),
    }
}

fn run_lab(args: &LabArgs) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    let runtime = runtime()?;
    let result = runtime.block_on(lab(args, config));
    runtime.shutdown_timeout(LAST_TASKS);
    result
}

impl LabArgs {
    fn settings(&self) -> LabSettings {
        LabSettings {
            stand_ins: stand_ins(&self.lab_data),
            rows: StartingState { games: self.rows, items: 1_000, users: 1_000, orders: 10_000 },
            seconds: self.seconds,
            rate_scale: self.rate_scale,
            keys: self.keys,
            max_in_flight: self.in_flight,
        }
    }
}

/// The folder of the embedded databases that stand for others: beside the lab's store, and named after it.
fn stand_ins(store: &Path) -> PathBuf {
    let mut name = store.file_stem().unwrap_or_default().to_owned();
    name.push("-databases");
    store.with_file_name(name)
}

async fn lab(args: &LabArgs, config: Config) -> anyhow::Result<()> {
    let registry = Registry::default();
    logs::register(&registry);
    let store = db::open_lab(args.lab_data.clone(), &registry).await?;
    // Another lab may import them into the same store at this moment.
    if let Err(error) = cached_set::import(store.as_ref()).await {
        tracing::warn!(error = error.with_causes(), "the cached runs are not complete");
    }
    let settings = args.settings();
    let databases = Arc::new(Databases::new(Arc::clone(&store), settings.rows).await?);
    let local = args
        .local
        .as_deref()
        .map(|folder| LocalServers::read(&args.servers_script, folder))
        .transpose()?
        .map(Arc::new);
    args.named.register(&databases, local.as_deref(), &settings.stand_ins).await?;
    let servers: Arc<dyn ServerControl> = match local {
        Some(local) => Arc::new(LocalControl::of(local)),
        None => Arc::new(NoControl),
    };
    let stop = CancellationToken::new();
    let workers = WorkerPlaces::of(args.workers);
    let runs = Runs::new(
        Arc::clone(&store),
        Arc::clone(&databases),
        settings.clone(),
        Arc::clone(&servers),
        workers.source(),
        stop.clone(),
    );
    let background = background(&databases, &runs, &registry, &stop);
    let limits = &config.limits;
    let body = BodyLimits { bytes: limits.max_body, time: limits.body_timeout };
    let metrics = ServerMetrics::register(&registry);
    let app = router(LabApp {
        lab: Lab {
            store,
            databases,
            runs: Arc::clone(&runs),
            servers: Arc::clone(&servers),
            settings: Arc::new(settings),
            local_only: LocalOnly(args.listen.ip().is_loopback()),
            body,
            stop: stop.clone(),
        },
        workers: workers.routes(body),
        assets: Assets::embedded(),
        metrics: metrics.clone(),
        registry,
        limits: RequestLimits {
            in_flight: limits.max_in_flight,
            body,
            key_kept_for: config.serve.idempotency_ttl,
        },
    });
    let signals = Signals::watch()?;
    let server = Server::bind(args.listen, app, limits, metrics).with_context(|| {
        format!("cannot listen on {}: choose another address by --listen", args.listen)
    })?;
    announce(&workers, server.address()?)?;
    let ended = {
        let (signals, stop) = (signals.clone(), stop.clone());
        let (runs, workers) = (Arc::clone(&runs), &workers);
        async move {
            signals.clone().nth(1).await;
            // Ends the streams of events too, which would keep the server from draining.
            stop.cancel();
            // While the server still answers: workers elsewhere send their last windows.
            tokio::select! {
                () = runs.ended() => {}
                () = signals.nth(2) => {}
            }
            workers.close();
        }
    };
    let outcome = server.run(ended, signals.clone().nth(2)).await;
    let tasks = async {
        // Of a request that was under way when the others ended.
        runs.ended().await;
        servers.undone().await;
        for task in background {
            // It has ended, or panicked, which the panic hook has logged.
            let _ = task.await;
        }
    };
    tokio::select! {
        () = tasks => {}
        () = signals.nth(2) => {}
    }
    workers.end();
    match outcome {
        ShutdownOutcome::Drained => tracing::info!("stopped, every request was answered"),
        ShutdownOutcome::Cut(connections) => {
            tracing::warn!(connections, "stopped, connections were cut");
        }
    }
    Ok(())
}

/// The tasks that live as long as the lab.
fn background(
    databases: &Arc<Databases>,
    runs: &Arc<Runs>,
    registry: &Registry,
    stop: &CancellationToken,
) -> [tokio::task::JoinHandle<()>; 2] {
    let resets = {
        let (databases, stop) = (Arc::clone(databases), stop.clone());
        async move || databases.run(&stop).await
    };
    let orphans = {
        let (runs, stop) = (Arc::clone(runs), stop.clone());
        async move || runs.watch_orphans(&stop).await
    };
    [
        tokio::spawn(registry.supervisor().supervise("resets of databases", resets)),
        tokio::spawn(registry.supervisor().supervise("watch of orphaned jobs", orphans)),
    ]
}

/// Prints the line that scripts wait for, with a page to open, and what a worker elsewhere needs.
fn announce(workers: &WorkerPlaces, address: SocketAddr) -> std::io::Result<()> {
    let url = format!("http://{}/", super::openable(address));
    let mut out = std::io::stdout().lock();
    writeln!(out, "storefront lab is ready: open {url}")?;
    if let Some(command) = workers.serve_at(url) {
        writeln!(out, "start a worker by: {command}")?;
    }
    out.flush()
}
