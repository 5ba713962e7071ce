//! `storefront serve`: the server, from its settings to its last answer.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::options::{Common, given, switches};
use super::seed::demo;
use super::signals::Signals;
use crate::config::database::Database;
use crate::config::serve::Serve;
use crate::config::services::Services;
use crate::config::{Config, Flags};
use crate::db::{self, MigrationPolicy, Stores};
use crate::server::assets::Assets;
use crate::server::listener::{Ending, Server};
use crate::server::operations::Readiness;
use crate::server::router::{App, router};
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;
use crate::upstreams::routes::Upstreams;
use crate::web::body::BodyLimits;

/// How long tasks that nobody waits for may go on after the server has ended.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// Serve the store over HTTP
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port; port 0 takes a free one
    /// [env: STOREFRONT_LISTEN] [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    common: Common,
    /// What is served: any of overview, orders, stock and payment, with commas between them; cart
    /// is the last three [default: all]
    #[arg(long, value_name = "LIST")]
    services: Option<String>,
    /// Put a thousand demo games into an empty store, and stock of each
    #[arg(long)]
    demo: bool,
    /// Refuse a store whose schema is not up to date, in place of migrating it
    #[arg(long)]
    no_migrate: bool,
    /// The service that has the banners; without it they are drawn here
    #[arg(long, value_name = "URL")]
    images_url: Option<String>,
    /// The service that has the reviews; without it they are made up here
    #[arg(long, value_name = "URL")]
    reviews_url: Option<String>,
    /// Where the page finds the API if not where it came from itself
    /// [env: STOREFRONT_API_URL, PROD_API_URL or DEV_API_URL by NODE_ENV]
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// Serve the page from this folder, in place of the one in the program
    #[arg(long, value_name = "DIR")]
    assets: Option<String>,
    /// Open connections; more are told to come back [default: 10000]
    #[arg(long, value_name = "N")]
    max_connections: Option<String>,
    /// Requests answered at once; more get 503 [default: 2048]
    #[arg(long, value_name = "N")]
    max_in_flight: Option<String>,
    /// Bytes of a request's body; more is 413 [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    max_body: Option<String>,
    /// Seconds for a request's head, and between two requests [default: 15]
    #[arg(long, value_name = "SECONDS")]
    header_timeout: Option<String>,
    /// Seconds for a request's body; longer is 408 [default: 15]
    #[arg(long, value_name = "SECONDS")]
    body_timeout: Option<String>,
    /// Seconds after a signal in which /readyz says 503 and requests are still taken [default: 0]
    #[arg(long, value_name = "SECONDS")]
    drain_delay: Option<String>,
    /// Seconds that requests have to end after a signal [default: 30]
    #[arg(long, value_name = "SECONDS")]
    shutdown_timeout: Option<String>,
}

impl Args {
    fn flags(&self) -> Flags {
        let mut flags = self.common.flags();
        flags.extend(switches([("demo", self.demo), ("no_migrate", self.no_migrate)]));
        flags.extend(given([
            ("listen", &self.listen),
            ("services", &self.services),
            ("images_url", &self.images_url),
            ("reviews_url", &self.reviews_url),
            ("api_url", &self.api_url),
            ("assets", &self.assets),
            ("max_connections", &self.max_connections),
            ("max_in_flight", &self.max_in_flight),
            ("max_body", &self.max_body),
            ("header_timeout", &self.header_timeout),
            ("body_timeout", &self.body_timeout),
            ("drain_delay", &self.drain_delay),
            ("shutdown_timeout", &self.shutdown_timeout),
        ]));
        flags
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::read(args.flags())?;
    logs::start(&config.logs);
    raise_open_files();
    let runtime = super::runtime()?;
    let result = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_TASKS);
    result
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let Config { serve, database, .. } = config;
    let metrics = Arc::new(Metrics::new());
    let stores = open(&serve, &database, &metrics).await?;
    let (readiness, limits) = (Readiness::new(), serve.limits);
    let app = router(App {
        stores,
        services: serve.services,
        upstreams: Upstreams::new(serve.images_url.clone(), serve.reviews_url.clone())?,
        assets: assets(&serve)?,
        metrics: Arc::clone(&metrics),
        readiness: readiness.clone(),
        body: BodyLimits { bytes: limits.body, time: limits.body_timeout },
        in_flight: limits.in_flight,
    });
    let signals = Signals::watch(readiness)?;
    let server = Server::bind(serve.listen, app, &limits, metrics).with_context(|| {
        format!("cannot listen on {}: choose another address by --listen", serve.listen)
    })?;
    announce(server.address()?, serve.services)?;
    let stop = stop_after(signals.clone(), serve.drain_delay);
    match server.run(stop, signals.nth(2)).await {
        Ending::Drained => tracing::info!("stopped, every request was answered"),
        Ending::Cut(connections) => tracing::warn!(connections, "stopped, connections were cut"),
    }
    Ok(())
}

/// Balancers see that the server is not ready before it takes no connections more.
async fn stop_after(signals: Signals, delay: Duration) {
    signals.clone().nth(1).await;
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = signals.nth(2) => {}
    }
}

/// Opens the database, and stocks it if it is the default one and new.
async fn open(
    serve: &Serve,
    database: &Database,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Stores> {
    let is_new = database.is_new_default();
    let policy = if serve.no_migrate { MigrationPolicy::Require } else { MigrationPolicy::Migrate };
    let stores = db::connect(database, policy, metrics).await?;
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

/// Each connection is an open file; many systems start programs with a low soft limit.
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

/// The line that people and scripts wait for: it names a page to open.
fn announce(address: SocketAddr, services: Services) -> anyhow::Result<()> {
    let host = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    let mut out = std::io::stdout().lock();
    let open = SocketAddr::new(host, address.port());
    let page = if services.overview { "1" } else { "docs" };
    writeln!(out, "storefront is ready: open http://{open}/{page}")?;
    Ok(out.flush()?)
}
