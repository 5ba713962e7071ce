//! The URL of a replica that is named by its host alone.

use std::net::Ipv6Addr;

use tokio_postgres::config::Host;

use super::{Url, parse_url};

/// Parameters that would name the primary's host again.
const OF_THE_HOST: [&str; 3] = ["host", "hostaddr", "port"];

/// The URL of a PostgreSQL primary at the host of its replica, `HOST` or `HOST:PORT`. User, password,
/// database, TLS and all other parameters are the primary's, and so is the port unless it is given.
///
/// # Errors
/// What to write instead; it names no part of the URL, because of the password.
pub fn replica_url(primary: &str, replica: &str) -> Result<String, String> {
    let Url::Postgres(postgres) = parse_url(primary)? else {
        return Err("only a PostgreSQL database has a replica".to_owned());
    };
    let (host, port) = host_and_port(replica)
        .ok_or("the replica is not HOST or HOST:PORT, such as 10.0.0.2 or [::1]:5433")?;
    let port = port.or(postgres.config.get_ports().first().copied()).unwrap_or(5432);
    let url = postgres.text.without_parameters(&OF_THE_HOST).with_hosts(&format!("{host}:{port}"));
    parse_url(url.reveal())?;
    Ok(url.reveal().to_owned())
}

/// `HOST:PORT` of a PostgreSQL URL that names one host, which is reached by TCP; `None` for any other.
#[must_use]
pub fn server_of(url: &str) -> Option<String> {
    let Ok(Url::Postgres(postgres)) = parse_url(url) else { return None };
    let [Host::Tcp(host)] = postgres.config.get_hosts() else { return None };
    let port = postgres.config.get_ports().first().copied().unwrap_or(5432);
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((format!("[{text}]"), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']')?.parse::<Ipv6Addr>().ok())
        .is_some();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_sound = is_ipv6 || !host.is_empty() && host.chars().all(is_name);
    is_sound.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_host_is_the_primarys() {
        for (primary, replica, expected) in [
            ("postgres://u:p%40@h/d", "r", "postgres://u:p%40@r:5432/d"),
            ("postgres://u@h:6000/d?sslmode=require", "r", "postgres://u@r:6000/d?sslmode=require"),
            ("postgres://u@h:6000/d", "10.0.0.2:7000", "postgres://u@10.0.0.2:7000/d"),
            (
                "postgres://u@h/d?port=6000&options=-c%20a",
                "[::1]:1",
                "postgres://u@[::1]:1/d?options=-c%20a",
            ),
            ("postgres://u@h/d", "::1", "postgres://u@[::1]:5432/d"),
        ] {
            assert_eq!(replica_url(primary, replica).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_without_showing_the_url() {
        for replica in ["", "r:x", "r:70000", "u@r", "r/d", "r?a=b", "r,s", "[::x]:1", "a b"] {
            let error = replica_url("postgres://u:secret@h/d", replica).unwrap_err();
            assert!(error.contains("HOST:PORT") && !error.contains("secret"), "{replica}: {error}");
        }
        assert!(replica_url("cassandra://h/k", "r").is_err());
    }
}
