//! Settings of the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::loader::SettingsLoader;
use super::services::Services;
use super::setting::{Setting, settings};

settings! {
    /// Where the server listens, and what it serves besides the store.
    pub struct Serve {
        /// Address and port; port 0 takes a free one; IPv6 as `[::]:80`. Every route is open without
        /// authentication: beyond this machine, listen only behind a proxy that authenticates
        listen: SocketAddr = address("ADDR:PORT"), default "127.0.0.1:3000";
        /// What is served, with commas: any of overview, orders, stock, payment and activities; cart is
        /// orders, stock and payment
        services: Services = Services::parse("LIST"), default "overview,cart,activities";
        /// Put 1,000 demo games into an empty store, and stock of each. Without it only the default
        /// file gets them, when it is new and no database was named
        demo: bool = switch(), default "false";
        /// Refuse a store that is absent or whose schema is not up to date, instead of migrating it
        no_migrate: bool = switch(), default "false";
        /// The service that has the banners; without one they are drawn from the game's number
        images_url: Option<Url> = url("URL");
        /// The service that has the reviews; without one they are made from the game's number
        reviews_url: Option<Url> = url("URL");
        /// Where the page finds the API, if not at its own origin; HOST:PORT means http. PROD_API_URL
        /// counts if NODE_ENV is production, else DEV_API_URL
        api_url: Option<Url> = url_or_host("URL"), older "PROD_API_URL" "DEV_API_URL";
        /// Serve the page from this folder, read at start, instead of the one in the program
        assets: Option<PathBuf> = folder("DIR");
        /// Seconds after a signal in which /readyz says 503 and requests are still answered, so that
        /// load balancers notice
        drain_delay: Duration = delay("SECONDS"), default "0";
        /// Seconds for which a write that has an Idempotency-Key is remembered: a repeat in that time
        /// gets the same answer and changes nothing
        idempotency_ttl: Duration = key_ttl("SECONDS"), default "86400";
    }
}

settings! {
    /// Limits that bound what clients can make the server hold.
    #[derive(Copy)]
    pub struct Limits {
        /// Open connections; further connections get 503
        max_connections: usize = positive("N"), default "10000";
        /// Reads answered at once, and as many writes besides; further requests get 503
        max_in_flight: usize = positive("N"), default "2048";
        /// Bytes of a request's body; more is 413
        max_body: usize = positive("BYTES"), default "1048576";
        /// Seconds for a request's head, and between two requests of a connection
        header_timeout: Duration = seconds("SECONDS"), default "15";
        /// Seconds for a request's whole body; longer is 408
        body_timeout: Duration = seconds("SECONDS"), default "15";
        /// Seconds that requests have to end after the drain delay
        shutdown_timeout: Duration = seconds("SECONDS"), default "30";
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::read(&mut SettingsLoader::default())
    }
}

/// More of anything than a machine can have.
const MAX_NUMBER: usize = 1 << 30;
/// A day; a longer wait is surely a wrong unit.
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
        // It may hold a password, so an error names no part of it.
        _ => Err("not a URL such as http://images.example:3001".to_owned()),
    }
}

/// The earlier service was given a host and put the scheme in front itself.
pub(super) fn url_or_host(text: &str) -> Result<Url, String> {
    if text.contains("://") { url(text) } else { url(&format!("http://{text}")) }
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
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

/// Up to a year: each key that is stored takes some hundred bytes of the store.
fn key_ttl(text: &str) -> Result<Duration, String> {
    const MAX: u64 = 366 * 86_400;
    match text.parse() {
        Ok(seconds) if (1..=MAX).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("`{text}` is not a whole number of seconds from 1 to {MAX}")),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_the_api_may_lack_its_scheme() {
        for (text, expected) in [
            ("localhost:80", "http://localhost/"),
            ("store.example", "http://store.example/"),
            ("127.0.0.1:3000/shop", "http://127.0.0.1:3000/shop"),
            ("https://store.example", "https://store.example/"),
        ] {
            assert_eq!(url_or_host(text).unwrap().as_str(), expected);
        }
        for text in ["", "not a host", "ftp://store.example", "://store.example", "host:port"] {
            assert!(url_or_host(text).is_err(), "{text}");
        }
        assert!(url("localhost:80").is_err());
    }

    #[test]
    fn an_error_shows_no_part_of_a_url() {
        for text in ["htp://u:secret@h", "http://u:secret@h:port", "u:secret@h"] {
            let error = url(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
