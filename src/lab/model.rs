//! Types, sizes, patterns, leases, jobs and windows. Values of these types are valid: they are parsed at
//! the boundary.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of database is loaded, numbered as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum DatabaseType {
    /// 1: one SQL server.
    Single,
    /// 2: an SQL server with a read replica.
    Replicated,
    /// 3: a distributed database.
    Distributed,
}

impl DatabaseType {
    /// All of them, in the order of the wire.
    pub const ALL: [Self; 3] = [Self::Single, Self::Replicated, Self::Distributed];

    /// As in keys of cached runs and targets of faults: `sql`, `sqlrep`, `spanner`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "sql",
            Self::Replicated => "sqlrep",
            Self::Distributed => "spanner",
        }
    }
}

impl From<DatabaseType> for u8 {
    fn from(database_type: DatabaseType) -> Self {
        database_type as Self + 1
    }
}

impl TryFrom<u8> for DatabaseType {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        let index = usize::from(number).checked_sub(1).ok_or("1, 2 or 3")?;
        Self::ALL.get(index).copied().ok_or("1, 2 or 3")
    }
}

/// Declares a number from 1 to 3.
macro_rules! one_to_three {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "u8", try_from = "u8")]
        pub struct $name(u8);

        impl $name {
            /// All of them, ascending.
            pub const ALL: [Self; 3] = [Self(1), Self(2), Self(3)];

            /// The number.
            #[must_use]
            pub const fn get(self) -> u8 {
                self.0
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl TryFrom<u8> for $name {
            type Error = &'static str;

            fn try_from(number: u8) -> Result<Self, Self::Error> {
                if (1..=3).contains(&number) { Ok(Self(number)) } else { Err("1, 2 or 3") }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

one_to_three!(
    /// Of an SQL server: small, medium or large settings. Of a distributed database: replicas of each row.
    DatabaseSize
);
one_to_three!(
    /// How many transactions are due in each second: see [`super::patterns`].
    Pattern
);
one_to_three!(
    /// The number of workers, each of which offers the whole pattern.
    Intensity
);

/// Declares an id that is a UUID.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one; later ones are greater.
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Names a lab's store: it is in the mark of every database that the lab creates.
    LabId
);
id!(
    /// Names a lease.
    LeaseId
);
id!(
    /// Names a job: the load of one database.
    JobId
);
id!(
    /// Names a run: the jobs that were started together.
    RunId
);

/// A database that the lab creates at a server, and drops at the end of its lease: `storefront_lab_<n>`.
/// No number is used twice by one lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

/// The schema's, keyspace's or folder's name.
impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storefront_lab_{}", self.0)
    }
}

impl Generation {
    /// The generation that a schema, keyspace or folder of that name would be.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let generation = Self(name.strip_prefix("storefront_lab_")?.parse().ok()?);
        (generation.to_string() == name).then_some(generation)
    }
}

impl LabId {
    /// What marks a database as created by this lab.
    #[must_use]
    pub fn mark(self) -> String {
        format!("storefront lab {self}")
    }
}

/// What a stand-in does in place of the servers that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One database.
    One,
    /// One file that is opened twice: reads have connections of their own, as they have at a replica.
    SeparateReads,
    /// Three files: a key decides which one holds its row, as it decides the node of a cluster.
    Partitioned,
}

/// How workers reach the database of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// As `--database-url` takes it, with the generation's name in it. Holds a password.
    pub url: String,
    /// As `--replica-url` takes it.
    pub replica_url: Option<String>,
    /// How a stand-in is opened.
    pub layout: Layout,
}

/// How many rows a database has at the start of a lease. Ids count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartingState {
    /// Overviews, of the generator's seed 1.
    pub games: u32,
    /// Items, with stock for the longest run.
    pub items: u32,
    /// Users, with credit for the longest run.
    pub users: u32,
    /// Unpaid orders of one item each.
    pub orders: u32,
}

/// Which keys reads and updates draw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyDistribution {
    /// Each as often as any other.
    Uniform,
    /// Key of rank `r` in proportion to `r^-theta`; ranks are spread over the ids.
    Zipf(f64),
    /// The newest most often: an exponential distribution of ages.
    Latest,
    /// This share of all draws hits one hundredth of the keys.
    Hotspot(f64),
}

/// The longest time of a transaction: after it, it has failed with `timeout`.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// What one worker does in one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerTask {
    /// Which job.
    pub job: JobId,
    /// Which of the job's workers, from 0.
    pub worker: u8,
    /// How many there are.
    pub workers: u8,
    /// What is loaded; `None`: nothing, each transaction ends at once (the driver's own cost).
    pub target: Option<Target>,
    /// What is there at the start.
    pub rows: StartingState,
    /// Of reads.
    pub read_pattern: Pattern,
    /// Of writes.
    pub write_pattern: Pattern,
    /// Length of the run.
    pub seconds: u16,
    /// Factor of the patterns' rates.
    pub rate_scale: f64,
    /// Which keys.
    pub keys: KeyDistribution,
    /// Of the random numbers; each worker derives its own from it.
    pub seed: u64,
    /// When second 0 begins.
    pub start_at: Timestamp,
    /// Transactions that may be under way at once; one that is due beyond that is unsent.
    pub max_in_flight: u32,
}

/// One side of a window: reads or writes that were due in its second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Due. Always `ok + failed + unsent + pending`.
    pub offered: u64,
    /// The same, under the name that the predecessor's clients read.
    pub count: u64,
    /// Succeeded.
    pub ok: u64,
    /// Ended in any other way, or timed out.
    pub failed: u64,
    /// Not sent, because too many were under way.
    pub unsent: u64,
    /// Not ended yet; 0 in a final window.
    pub pending: u64,
    /// Mean time in seconds of all that ended; those that timed out count 5 s. `None`: none ended.
    pub average_latency: Option<f64>,
    /// `(failed + unsent) / offered`, in percent; 0 where nothing was offered.
    pub failure_percent: f64,
    /// Median time in seconds.
    pub p50: Option<f64>,
    /// 95th percentile, seconds.
    pub p95: Option<f64>,
    /// 99th percentile, seconds.
    pub p99: Option<f64>,
    /// How many failed for which reason.
    pub errors: BTreeMap<String, u64>,
}

/// How the driver itself did in a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DriverStats {
    /// 99th percentile in seconds of how late transactions were sent.
    pub lag_p99: f64,
    /// Share of one processor that the driver's process used.
    pub cpu: f64,
}

/// All transactions of a job that were due in one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// When the second began.
    pub timestamp: Timestamp,
    /// From the start of the job, from 0.
    pub second: u16,
    /// Whether everything in it has ended.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Reads.
    pub read: Side,
    /// Writes.
    pub write: Side,
    /// The driver.
    pub driver: DriverStats,
}

/// How the jobs of a run follow each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All at once.
    #[default]
    Together,
    /// One after the other, for a fair comparison on one machine.
    InTurns,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its database is leased; an earlier job of the run has not ended.
    Waiting,
    /// Loading.
    Running,
    /// Ran to its end.
    Finished,
    /// Ended early on request.
    Stopped,
    /// Ended early by an error, or by the end of the lab.
    Failed,
}

impl JobState {
    /// Whether no further window comes.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed)
    }
}

/// A fault that is drawn into a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Second of the job at which it begins.
    pub at: u16,
    /// Such as `sql`, `sqlrep-replica` or `spanner-2`.
    pub target: String,
    /// What happens.
    pub action: FaultAction,
    /// How long it lasts.
    pub seconds: u16,
}

/// What a fault does to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// Stops its processes, and lets them continue.
    Pause,
    /// Ends it as a crash does, and starts it again.
    Kill,
    /// Disconnects it.
    Cut,
    /// Delays its network traffic.
    Delay,
}

/// The database of a job, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseLabel {
    /// Such as `PostgreSQL 18.6`.
    pub name: String,
    /// Whether it is an embedded database in place of the real one.
    pub stand_in: bool,
    /// Whether it runs on the machine of the lab.
    pub shared_machine: bool,
}

/// One load of one database. Serialized as the wire has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The run that it is part of.
    pub run_id: RunId,
    /// The lease of its database. Once that is over without an end of the job, its lab has died.
    pub lease_id: LeaseId,
    /// `sql`, `sqlrep` or `spanner`.
    pub target: String,
    /// Type of its database.
    pub database_type: DatabaseType,
    /// Size of its database.
    pub database_size: DatabaseSize,
    /// Workers.
    pub intensity: Intensity,
    /// Of reads.
    pub read_pattern: Pattern,
    /// Of writes.
    pub write_pattern: Pattern,
    /// Length.
    pub seconds: u16,
    /// How it stands to the other jobs of the run.
    pub mode: Mode,
    /// Where it stands.
    pub state: JobState,
    /// Whether its numbers may be used: the driver kept its rate, and the machine was not suspended.
    pub valid: bool,
    /// Why it is not valid, or has failed.
    pub why: Option<String>,
    /// What is loaded.
    pub database: DatabaseLabel,
    /// The faults that hit its database.
    pub faults: Vec<Fault>,
    /// Which keys, as `--keys` takes it.
    pub keys: String,
    /// Factor of the patterns' rates.
    pub rate_scale: f64,
    /// Of the random numbers.
    pub seed: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When second 0 began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The key under which it is kept as a cached run.
    pub cached_as: Option<String>,
}

impl Job {
    /// The key of the cached run that it can be: type, size and intensity, such as `sql-2-3`.
    #[must_use]
    pub fn cache_key(&self) -> String {
        format!("{}-{}-{}", self.database_type.name(), self.database_size, self.intensity)
    }
}
