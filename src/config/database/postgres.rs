//! `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::parts::Parts;
use super::postgres_limits::Limits;
use super::text::{UrlText, encoded};

/// How long a connection attempt may take, unless the URL says `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long sent bytes may stay unacknowledged before a connection counts as broken.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
const ESCAPE: &str = "write an `@` of the user or the password as %40, a `/` as %2F";
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Everything that the driver takes from the URL.
    pub config: Config,
    /// `sslmode` and `sslrootcert`, with libpq's meaning.
    pub tls: Tls,
    /// `--replica-url`: a streaming replica that may answer reads.
    pub replica: Option<Box<Self>>,
    /// The numbers of connections and the limit of time.
    pub limits: Limits,
    /// The URL.
    pub text: UrlText,
}

/// How a connection is protected. The mode itself is the driver's `ssl_mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// `sslmode=disable`, `prefer` (the default) or `require`: the server's identity is not verified.
    Unverified,
    /// `sslmode=verify-full`: the server's certificate is for its host, and signed by an authority
    /// of the file `sslrootcert`, or of the system.
    Verified(Option<PathBuf>),
}

/// The URL without its password.
impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let ports = self.config.get_ports();
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            let comma = if n > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
                Host::Unix(path) => write!(f, "{comma}{}:{port}", path.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

/// Parses a URL. The error text never contains any part of it, because of the password.
pub(crate) fn parse(url: &str) -> Result<Postgres, String> {
    let parts = Parts::of(url).ok_or("write postgres://USER:PASSWORD@HOST/DATABASE")?;
    // The driver ends the password at the first `@` or `/`: what follows would be shown as the host
    // or the database.
    let (without, _) = url.split_once('?').unwrap_or((url, ""));
    if without.matches('@').count() > usize::from(parts.user.is_some()) {
        return Err(ESCAPE.to_owned());
    }
    let (ours, others): (Vec<_>, Vec<_>) =
        parts.query.iter().partition(|(key, _)| matches!(key.as_str(), "sslmode" | "sslrootcert"));
    let mut config = Config::from_str(&format!("{without}?{}", encoded(others)))
        .map_err(|_| "not a PostgreSQL URL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")?;
    if config.get_hosts().is_empty() {
        return Err("no host is named; write postgres://USER:PASSWORD@HOST/DATABASE".to_owned());
    }
    let value = |name| ours.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let tls = tls(&mut config, value("sslmode"), value("sslrootcert").map(PathBuf::from))?;
    defaults(&mut config);
    let text = UrlText::new(url);
    Ok(Postgres { config, tls, replica: None, limits: Limits::default(), text })
}

fn tls(config: &mut Config, mode: Option<&str>, roots: Option<PathBuf>) -> Result<Tls, String> {
    let (mode, tls) = match mode.unwrap_or("prefer") {
        "disable" => (SslMode::Disable, Tls::Unverified),
        "prefer" => (SslMode::Prefer, Tls::Unverified),
        "require" => (SslMode::Require, Tls::Unverified),
        "verify-full" => (SslMode::Require, Tls::Verified(roots.clone())),
        _ => {
            return Err("sslmode is none of disable, prefer, require and verify-full".to_owned());
        }
    };
    if let (Some(_), Tls::Unverified) = (&roots, &tls) {
        return Err("sslrootcert has a meaning only with sslmode=verify-full".to_owned());
    }
    if let Some(roots) = roots.filter(|roots| !roots.is_file()) {
        return Err(format!("there is no file {} (sslrootcert)", roots.display()));
    }
    config.ssl_mode(mode);
    Ok(tls)
}

/// A server that is gone must be noticed within seconds; the system's own timeouts are minutes.
fn defaults(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(USER_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("storefront");
    }
    config.keepalives_idle(KEEPALIVE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modes_are_those_of_libpq() {
        for (query, mode) in [
            ("", SslMode::Prefer),
            ("?sslmode=disable", SslMode::Disable),
            ("?sslmode=require&application_name=x", SslMode::Require),
        ] {
            let parsed = parse(&format!("postgres://u:p%40@h:1/d{query}")).unwrap();
            assert_eq!(parsed.config.get_ssl_mode(), mode);
            assert_eq!(parsed.tls, Tls::Unverified);
            assert_eq!(parsed.config.get_password(), Some(&b"p@"[..]));
        }
        let roots = tempfile::NamedTempFile::new().unwrap();
        let url = format!(
            "postgresql://u@h/d?sslmode=verify-full&sslrootcert={}",
            roots.path().display()
        );
        assert_eq!(parse(&url).unwrap().tls, Tls::Verified(Some(roots.path().into())));
    }

    #[test]
    fn several_options_are_told_apart() {
        let parsed = parse("postgres://u@h/d?options=-ca%3Db%20-cc%3Dd").unwrap();
        assert_eq!(parsed.config.get_options(), Some("-ca=b -cc=d"));
    }

    #[test]
    fn an_invalid_url_is_refused() {
        for url in [
            "postgres:///d",
            "postgres:u@h/d",
            "postgres://u@h/d?sslmode=verify-full&sslrootcert=/no/such/file",
            "postgres://u@h/d?sslrootcert=/etc/hostname",
            "postgres://u@h/d?unknown=1",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
