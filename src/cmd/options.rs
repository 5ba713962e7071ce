//! Flags that several commands share.

use crate::config::Flags;

/// Which database, and how to log.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// The database, its scheme picks the backend: embedded:PATH,
    /// postgres://USER:PASSWORD@HOST/DATABASE or cassandra://HOST,HOST/KEYSPACE
    /// [env: STOREFRONT_DATABASE_URL, DATABASE_URL] [default: embedded:./data/storefront.db]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// A backend at its usual local address: embedded, postgres or cassandra
    /// [env: STOREFRONT_BACKEND, DB]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// A streaming replica of the PostgreSQL database that may answer reads
    /// [env: STOREFRONT_REPLICA_URL]
    #[arg(long, value_name = "URL")]
    replica_url: Option<String>,
    /// A TOML file with settings [env: STOREFRONT_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Log level, or levels by module; at debug every request is a line
    /// [env: STOREFRONT_LOG] [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// How log lines look: pretty or json [env: STOREFRONT_LOG_FORMAT] [default: pretty]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Common {
    /// What was given, by key.
    pub(super) fn flags(&self) -> Flags {
        given([
            ("database_url", &self.database_url),
            ("backend", &self.backend),
            ("replica_url", &self.replica_url),
            ("config", &self.config),
            ("log", &self.log),
            ("log_format", &self.log_format),
        ])
    }
}

/// Flags that have a value.
pub(super) fn given<const N: usize>(flags: [(&'static str, &Option<String>); N]) -> Flags {
    flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
}

/// Flags that are there or not.
pub(super) fn switches<const N: usize>(flags: [(&'static str, bool); N]) -> Flags {
    flags.into_iter().filter(|(_, on)| *on).map(|(key, _)| (key, "true".to_owned())).collect()
}
