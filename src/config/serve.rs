//! Settings of the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::SettingsLoader;
use super::services::Services;

/// Where the server listens, what it serves beside the store, and its limits.
#[derive(Debug, Clone)]
pub struct Serve {
    /// `--listen`: address and port; port 0 takes a free one. Default 127.0.0.1:3000.
    pub listen: SocketAddr,
    /// `--services`: which groups of routes are served. Default all.
    pub services: Services,
    /// `--assets`: a folder to serve the page from, in place of the one in the program.
    pub assets: Option<PathBuf>,
    /// `--images-url`: the service that has the banners; without one they are drawn here.
    pub images_url: Option<Url>,
    /// `--reviews-url`: the service that has the reviews; without one they are made up here.
    pub reviews_url: Option<Url>,
    /// `--api-url`, else `PROD_API_URL` or `DEV_API_URL` by `NODE_ENV`: where the page finds the
    /// API if not where it came from itself.
    pub api_url: Option<Url>,
    /// `--demo`: put demo games into an empty store. By default only into the default file when
    /// it is new.
    pub demo: bool,
    /// `--no-migrate`: refuse a store whose schema is not up to date.
    pub no_migrate: bool,
    /// `--drain-delay`: seconds after a signal in which `/readyz` says 503 and requests are still
    /// taken, for balancers that ask only now and then. Default 0.
    pub drain_delay: Duration,
    /// Limits of the server.
    pub limits: Limits,
}

/// Limits that keep the server answering whatever clients do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `--max-connections`: more are told to come back. Default 10,000.
    pub connections: usize,
    /// `--max-in-flight`: requests answered at once; more get 503. Default 2,048.
    pub in_flight: usize,
    /// `--max-body`: bytes of a request's body; more is 413. Default 1,048,576.
    pub body: usize,
    /// `--header-timeout`: seconds that a client may take over a request's head, and between two
    /// requests. Default 15.
    pub header_timeout: Duration,
    /// `--body-timeout`: seconds that a client may take over a body; longer is 408. Default 15.
    pub body_timeout: Duration,
    /// `--shutdown-timeout`: seconds that requests have to end after a signal. Default 30.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            in_flight: 2_048,
            body: 1 << 20,
            header_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(15),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl Serve {
    /// Reads the settings.
    pub fn read(loader: &mut SettingsLoader) -> Self {
        let production = loader.variable("NODE_ENV").as_deref() == Some("production");
        let older = if production { "PROD_API_URL" } else { "DEV_API_URL" };
        Self {
            listen: loader.setting("listen", SocketAddr::from(([127, 0, 0, 1], 3000)), address),
            services: loader.setting("services", Services::ALL, Services::parse),
            assets: loader.optional("assets", &[], folder),
            images_url: loader.optional("images_url", &[], url),
            reviews_url: loader.optional("reviews_url", &[], url),
            api_url: loader.optional("api_url", &[older], url),
            demo: loader.setting("demo", false, switch),
            no_migrate: loader.setting("no_migrate", false, switch),
            drain_delay: loader.setting("drain_delay", Duration::ZERO, delay),
            limits: Limits::read(loader),
        }
    }
}

impl Limits {
    fn read(loader: &mut SettingsLoader) -> Self {
        let default = Self::default();
        Self {
            connections: loader.setting("max_connections", default.connections, positive),
            in_flight: loader.setting("max_in_flight", default.in_flight, positive),
            body: loader.setting("max_body", default.body, positive),
            header_timeout: loader.setting("header_timeout", default.header_timeout, seconds),
            body_timeout: loader.setting("body_timeout", default.body_timeout, seconds),
            shutdown_timeout: loader.setting("shutdown_timeout", default.shutdown_timeout, seconds),
        }
    }
}

/// More of anything than a machine can have.
const MAX_NUMBER: usize = 1 << 30;
/// Seconds; longer waits are mistakes.
const MAX_SECONDS: f64 = 86_400.0;

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not ADDRESS:PORT such as 127.0.0.1:3000 or [::]:80"))
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.join("index.html").is_file() {
        Ok(path)
    } else {
        Err(format!("`{text}` is not a folder with a built page: it has no index.html"))
    }
}

fn url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(format!("`{text}` is not a URL such as http://images.example:3001")),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MAX_NUMBER).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a whole number from 1 to {MAX_NUMBER}")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    delay(text)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("`{text}` is not a number of seconds above 0, up to {MAX_SECONDS}"))
}

fn delay(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds <= MAX_SECONDS)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{text}` is not a number of seconds from 0 to {MAX_SECONDS}"))
}
