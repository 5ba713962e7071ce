//! Reads `cassandra://USER:PASSWORD@HOST1,HOST2:PORT/KEYSPACE?replication=3&consistency=local_quorum`.
//! How a session is made of it is in `db/cassandra/connection.rs`.

use std::fmt;
use std::time::Duration;

use super::parts::{Parts, decoded};
use super::text::UrlText;

const DEFAULT_PORT: u16 = 9042;
/// The longest name that Cassandra allows.
const LONGEST_NAME: usize = 48;

/// A Cassandra or ScyllaDB cluster, and one keyspace of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Cassandra {
    /// `HOST:PORT` of nodes to connect to first; the driver discovers the others.
    pub hosts: Vec<String>,
    /// The keyspace; created where it does not exist.
    pub keyspace: String,
    /// User and password, for a cluster with authentication.
    pub credentials: Option<Credentials>,
    /// `replication=N`: replicas of each row in each data centre, used when the keyspace is created.
    /// Default 1.
    pub replication: u8,
    /// `consistency=`: of every read and write; `local_one` applies to reads only. Default
    /// `local_quorum`.
    pub consistency: Consistency,
    /// `dc=NAME`: the preferred data centre of a cluster with several; LWTs are decided there.
    pub data_center: Option<String>,
    /// `speculative=MILLISECONDS`: how long a read waits for the first node before it is sent to a
    /// second one as well. Off by default.
    pub speculative: Option<Duration>,
    /// `timeout=MILLISECONDS`: the timeout of a statement. Default 5,000.
    pub timeout: Duration,
    /// The URL.
    pub text: UrlText,
}

/// A user and a password. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

/// How many replicas must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// One replica in the preferred data centre. Reads may be stale.
    LocalOne,
    /// A majority of the replicas in the preferred data centre.
    LocalQuorum,
    /// A majority of all replicas.
    Quorum,
    /// A majority of the replicas in every data centre.
    EachQuorum,
    /// All replicas.
    All,
}

const CONSISTENCIES: [(&str, Consistency); 5] = [
    ("local_one", Consistency::LocalOne),
    ("local_quorum", Consistency::LocalQuorum),
    ("quorum", Consistency::Quorum),
    ("each_quorum", Consistency::EachQuorum),
    ("all", Consistency::All),
];

/// Without the password, so that it may be shown.
impl fmt::Display for Cassandra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cassandra://")?;
        if let Some(Credentials { user, .. }) = &self.credentials {
            write!(f, "{user}@")?;
        }
        write!(f, "{}/{}", self.hosts.join(","), self.keyspace)
    }
}

impl fmt::Debug for Cassandra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}?replication={}&consistency={:?}", self.replication, self.consistency)
    }
}

/// Reads a URL. The error text contains nothing of it, because of the password.
pub(super) fn parse(url: &str) -> Result<Cassandra, String> {
    let parts = Parts::of(url).ok_or("write cassandra://HOST1,HOST2/KEYSPACE")?;
    let credentials = match (parts.user, parts.password) {
        (None, _) => None,
        (Some(user), Some(password)) => {
            Some(Credentials { user: decoded(user)?, password: decoded(password)? })
        }
        (Some(_), None) => return Err("the user has no password".to_owned()),
    };
    let mut cassandra = Cassandra {
        hosts: hosts(parts.hosts)?,
        keyspace: keyspace(parts.path)?,
        credentials,
        replication: 1,
        consistency: Consistency::LocalQuorum,
        data_center: None,
        speculative: None,
        timeout: Duration::from_secs(5),
        text: UrlText::new(url),
    };
    for (name, value) in &parts.query {
        cassandra.set(name, value)?;
    }
    Ok(cassandra)
}

impl Cassandra {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "replication" => {
                self.replication = value
                    .parse()
                    .ok()
                    .filter(|replicas| *replicas > 0)
                    .ok_or("replication is not a number of replicas such as 3")?;
            }
            "consistency" => self.consistency = consistency(value)?,
            "dc" => self.data_center = Some(value.to_owned()),
            "speculative" => self.speculative = Some(milliseconds(name, value)?),
            "timeout" => self.timeout = milliseconds(name, value)?,
            _ => {
                return Err("after the `?` there may be replication, consistency, dc, \
                            speculative and timeout"
                    .to_owned());
            }
        }
        Ok(())
    }
}

fn consistency(text: &str) -> Result<Consistency, String> {
    let found = CONSISTENCIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, consistency)| *consistency).ok_or_else(|| {
        "consistency is none of local_one, local_quorum, quorum, each_quorum and all".to_owned()
    })
}

fn milliseconds(name: &str, value: &str) -> Result<Duration, String> {
    value
        .parse()
        .ok()
        .filter(|ms| (1..=600_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{name} is not a number of milliseconds from 1 to 600000"))
}

/// The hosts, each with its port: its own, else that of the last host, else the default.
fn hosts(list: &str) -> Result<Vec<String>, String> {
    let bad = || "the hosts are not HOST or HOST:PORT with commas between them".to_owned();
    let split: Vec<(&str, Option<&str>)> = list.split(',').map(host_and_port).collect();
    let common = match split.last().and_then(|(_, port)| *port) {
        Some(port) => port.parse().map_err(|_| bad())?,
        None => DEFAULT_PORT,
    };
    let with_port = |(host, port): (&str, Option<&str>)| {
        let port = port.map_or(Ok(common), str::parse).map_err(|_| bad())?;
        if host.is_empty() { Err(bad()) } else { Ok(format!("{host}:{port}")) }
    };
    split.into_iter().map(with_port).collect()
}

/// IPv6 addresses are in brackets, so a colon after the last bracket precedes a port.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn keyspace(path: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match path {
        "" => Err("no keyspace is named; write cassandra://HOST/KEYSPACE".to_owned()),
        name if name.len() > LONGEST_NAME || !name.chars().all(is_name) => {
            Err(format!("a keyspace is at most {LONGEST_NAME} letters, digits and underscores"))
        }
        name => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_share_the_last_port() {
        for (url, hosts) in [
            ("cassandra://a/k", &["a:9042"][..]),
            ("cassandra://a,b:9142/k", &["a:9142", "b:9142"]),
            ("cassandra://a:1,b:2/k", &["a:1", "b:2"]),
            ("cassandra://u:p@[::1],[::2]:3/k", &["[::1]:3", "[::2]:3"]),
        ] {
            assert_eq!(parse(url).unwrap().hosts, hosts);
        }
    }

    #[test]
    fn settings_are_read() {
        let all = "cassandra://u%40:p%2F@h/k?replication=3&consistency=QUORUM&dc=east&speculative=20&timeout=900";
        let parsed = parse(all).unwrap();
        assert_eq!((parsed.replication, parsed.consistency), (3, Consistency::Quorum));
        assert_eq!(parsed.data_center.as_deref(), Some("east"));
        assert_eq!(parsed.speculative, Some(Duration::from_millis(20)));
        assert_eq!(parsed.timeout, Duration::from_millis(900));
        let credentials = parsed.credentials.unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("u@", "p/"));
    }

    #[test]
    fn an_invalid_url_is_refused() {
        for url in [
            "cassandra:k",
            "cassandra://h",
            "cassandra:///k",
            "cassandra://h,/k",
            "cassandra://h:x/k",
            "cassandra://h/a.b",
            "cassandra://u@h/k",
            "cassandra://h/k?replication=0",
            "cassandra://h/k?speculative=0",
            "cassandra://h/k?unknown=1",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
