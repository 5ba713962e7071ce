//! The databases that a lab registers at its start.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::local::LocalServers;
use crate::db::storage::{ErrorKind, Register};
use crate::lab::databases::{Databases, Registration};
use crate::lab::model::{DatabaseSize, DatabaseType, Layout};

/// Databases that flags name.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// A single SQL server: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, value_name = "URL", env = "STOREFRONT_LAB_SQL", hide_env_values = true)]
    sql: Option<String>,
    /// An SQL server with a read replica; needs --replica too
    #[arg(
        long,
        value_name = "URL",
        requires = "replica",
        env = "STOREFRONT_LAB_REPLICATED_SQL",
        hide_env_values = true
    )]
    replicated_sql: Option<String>,
    /// The replica of --replicated-sql
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        requires = "replicated_sql",
        env = "STOREFRONT_LAB_REPLICA"
    )]
    replica: Option<String>,
    /// A distributed database: cassandra://HOST,HOST/KEYSPACE?replication=3
    #[arg(long, value_name = "URL", env = "STOREFRONT_LAB_DISTRIBUTED", hide_env_values = true)]
    distributed: Option<String>,
    /// A TOML file with an array `database` of tables of database_type, database_size, resource_id, connection_string
    /// and replica_ip
    #[arg(long, value_name = "FILE")]
    databases: Option<PathBuf>,
}

/// The file of `--databases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    database: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    database_type: DatabaseType,
    database_size: DatabaseSize,
    resource_id: String,
    connection_string: String,
    replica_ip: Option<String>,
}

impl From<Entry> for Registration {
    fn from(entry: Entry) -> Self {
        Self {
            resource_id: entry.resource_id,
            database_type: entry.database_type,
            database_size: entry.database_size,
            connection_string: entry.connection_string,
            replica: entry.replica_ip,
            stand_in: None,
        }
    }
}

impl Named {
    /// Registers what the flags name, and the stand-ins.
    ///
    /// # Errors
    /// A database that cannot be registered, with its cause.
    pub(super) async fn register(
        &self,
        databases: &Databases,
        local: Option<&LocalServers>,
        stand_ins: &Path,
    ) -> anyhow::Result<()> {
        let mut all = self.registrations()?;
        all.extend(local.map(LocalServers::registrations).unwrap_or_default());
        all.extend(self::stand_ins(stand_ins));
        for registration in all {
            let name = registration.resource_id.clone();
            match databases.register(registration).await {
                Ok(Register::Registered | Register::Unchanged) => {}
                Ok(Register::Leased(until)) => {
                    tracing::warn!(resource = name, %until, "is leased, its registration stays as it is");
                }
                // The others are of use without it, and it is tried again when it is registered again.
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::error!(
                        resource = name,
                        error = error.with_causes(),
                        "database does not answer, it is not registered"
                    );
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot register {name}"));
                }
            }
        }
        Ok(())
    }

    fn registrations(&self) -> anyhow::Result<Vec<Registration>> {
        let flags = [
            (DatabaseType::Single, &self.sql, &None),
            (DatabaseType::Replicated, &self.replicated_sql, &self.replica),
            (DatabaseType::Distributed, &self.distributed, &None),
        ];
        let mut all: Vec<Registration> = Vec::new();
        for (database_type, url, replica) in flags {
            let Some(url) = url else { continue };
            // One server as it is: a choice of another size changes nothing.
            all.extend(DatabaseSize::ALL.map(|database_size| Registration {
                resource_id: format!("{}-{database_size}", database_type.name()),
                database_type,
                database_size,
                connection_string: url.clone(),
                replica: replica.clone(),
                stand_in: None,
            }));
        }
        if let Some(path) = &self.databases {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {} of --databases", path.display()))?;
            // The error of the parser shows lines of the file, which has passwords.
            let file: File = toml::from_str(&text).map_err(|error| {
                anyhow::anyhow!("{} of --databases: {}", path.display(), error.message())
            })?;
            all.extend(file.database.into_iter().map(Registration::from));
        }
        let mut names: Vec<&str> = all.iter().map(|one| one.resource_id.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        ensure!(
            twice.is_none(),
            "two databases have the resource_id {}",
            twice.map_or("", |p| p[0])
        );
        Ok(all)
    }
}

/// Embedded databases in place of all types and sizes, each in a folder of its own, so that they are leased
/// independently.
fn stand_ins(folder: &Path) -> Vec<Registration> {
    let mut all = Vec::new();
    for (database_type, layout) in [
        (DatabaseType::Single, Layout::One),
        (DatabaseType::Replicated, Layout::SeparateReads),
        (DatabaseType::Distributed, Layout::Partitioned),
    ] {
        for database_size in DatabaseSize::ALL {
            let name = format!("stand-in-{}-{database_size}", database_type.name());
            all.push(Registration {
                connection_string: format!(
                    "embedded:{}",
                    folder.join(&name).join("store.db").display()
                ),
                resource_id: name,
                database_type,
                database_size,
                replica: None,
                stand_in: Some(layout),
            });
        }
    }
    all
}
