//! A lab's databases: schemas beside the one that the URL names.
//!
//! A generation is two schemas, the store's and that of its activities, created and marked by a comment in
//! one transaction. Its URL has a search path of the first one alone, so that whoever still uses it after
//! the drop finds no table, and never one of another schema.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::lookup_host;
use tokio::time::Instant;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, GenericClient};

use super::connection::Connector;
use super::lock::is_lock_timeout;
use super::{error, usable};
use crate::config::database::postgres::{self, Postgres};
use crate::db::common::retry::Backoff;
use crate::db::storage::{
    CreateGeneration, DropGeneration, ErrorKind, GenerationStore, ServerFacts, StorageError,
};
use crate::lab::model::{Generation, LabId};
use crate::telemetry::Supervisor;

/// A lock that only others' running statements keep is free sooner. It is longer than the server's default
/// `deadlock_timeout`, after which an autovacuum gives way.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
/// How long locks are waited for. What a session holds that was told to end is free within moments.
const LOCK_LIMIT: Duration = Duration::from_secs(60);
const PAUSES: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));

/// What the check asks for. The addresses are null on a Unix socket.
const FACTS: &str = "SELECT split_part(current_setting('server_version'), ' ', 1), \
         current_setting('search_path'), \
         pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, \
         has_database_privilege(current_database(), 'CREATE'), \
         has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'), \
         coalesce(inet_client_addr() = inet_server_addr(), true), \
         current_user::text, current_database()::text";
const SYSTEM: &str = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
const IS_REPLICA: &str = "SELECT pg_is_in_recovery()";
/// Schemas of these names that there are, and whether they have that mark.
const SCHEMAS: &str = "SELECT nspname::text, coalesce(obj_description(oid, 'pg_namespace') = $2, false) \
     FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)";
const MARKED: &str = "SELECT nspname::text FROM pg_catalog.pg_namespace \
     WHERE obj_description(oid, 'pg_namespace') = $1 AND starts_with(nspname, 'storefront_lab_')";
/// Sessions that hold a lock on one of these schemas, or on something in it. What a transaction has created
/// and not committed is not to be seen, but then it has a lock on the schema.
const HOLDERS: &str = "SELECT a.pid FROM pg_catalog.pg_stat_activity a \
     WHERE a.pid <> pg_backend_pid() \
       AND coalesce(a.backend_type = 'client backend', true) \
       AND EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND l.granted \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
         AND (l.relation IN (SELECT c.oid FROM pg_catalog.pg_class c \
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1)) \
           OR l.classid = 'pg_catalog.pg_namespace'::regclass \
             AND l.objid IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1))))";

/// The schemas of one lab in one database.
pub(in crate::db) struct PostgresGenerations {
    settings: Postgres,
    connector: Connector,
    lab: LabId,
}

/// What is there under a generation's names.
enum Found {
    /// These schemas, which are this lab's.
    Ours(Vec<String>),
    /// Something else.
    Unmarked,
}

impl PostgresGenerations {
    pub(in crate::db) fn new(settings: &Postgres, lab: LabId) -> Result<Self, StorageError> {
        let connector = Connector::new(settings, Supervisor::default())?;
        Ok(Self { settings: settings.clone(), connector, lab })
    }

    async fn client(&self) -> Result<Client, StorageError> {
        let connected = self.connector.connect().await;
        connected.map_err(|e| error::open_error(self.connector.redacted(), e))
    }

    fn invalid(&self, why: &str) -> StorageError {
        let text = format!("cannot create databases at {}: {why}", self.connector.redacted());
        StorageError::new(ErrorKind::Invalid, text)
    }

    fn failed(&self) -> impl Fn(Error) -> StorageError {
        |e| error::open_error(self.connector.redacted(), e)
    }

    /// A connection as a holder of a lease makes it.
    async fn holders_client(&self) -> Result<Client, StorageError> {
        let url = self.url(Generation(0));
        let settings = postgres::parse(&url).map_err(|why| self.invalid(&why))?;
        let connector = Connector::new(&settings, Supervisor::default())?;
        let connected = connector.connect().await;
        connected.map_err(|e| error::open_error(self.connector.redacted(), e))
    }

    /// The system identifier of a server and its replicas, or where the user may not see it the address.
    async fn identity(&self, client: &Client, may_see: bool) -> Result<String, StorageError> {
        if may_see {
            let row = client.query_typed_one(SYSTEM, &[]).await.map_err(self.failed())?;
            let system: String = row.try_get(0).map_err(self.failed())?;
            return Ok(format!("postgres {system}"));
        }
        let addresses = addresses(&self.settings).await;
        Ok(format!("postgres {}", addresses.first().map_or("", |(text, _)| text)))
    }

    /// Refuses what is not a replica of the primary.
    async fn check_replica(
        &self,
        replica: &Postgres,
        identity: Option<&str>,
    ) -> Result<(), StorageError> {
        let at_replica = Self::new(replica, self.lab)?;
        let client = at_replica.client().await?;
        let row = client.query_typed_one(IS_REPLICA, &[]).await.map_err(at_replica.failed())?;
        let is_replica: bool = row.try_get(0).map_err(at_replica.failed())?;
        let is_of_primary = match identity {
            Some(identity) => at_replica.identity(&client, true).await? == identity,
            None => true,
        };
        if is_replica && is_of_primary {
            return Ok(());
        }
        Err(self.invalid(&format!("{replica} is not a replica of it; name another as its replica")))
    }

    async fn find(
        &self,
        client: &impl GenericClient,
        generation: Generation,
    ) -> Result<Found, Error> {
        let (names, mark) = (schemas(generation), self.lab.mark());
        let rows =
            client.query_typed(SCHEMAS, &[(&names, Type::TEXT_ARRAY), (&mark, Type::TEXT)]).await?;
        let mut ours = Vec::new();
        for row in rows {
            let (name, is_ours): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
            if !is_ours {
                return Ok(Found::Unmarked);
            }
            ours.push(name);
        }
        Ok(Found::Ours(ours))
    }

    /// Drops the schemas of a generation, and creates them anew if `create`, in one transaction; `false`:
    /// something there is not marked.
    async fn replace(
        &self,
        client: &mut Client,
        generation: Generation,
        create: bool,
    ) -> Result<bool, Error> {
        let transaction = client.transaction().await?;
        let Found::Ours(names) = self.find(&transaction, generation).await? else {
            return Ok(false);
        };
        transaction.batch_execute(LOCK_TIMEOUT).await?;
        for name in names {
            transaction.batch_execute(&format!("DROP SCHEMA {name} CASCADE")).await?;
        }
        if create {
            let mark = self.lab.mark();
            for name in schemas(generation) {
                let statements =
                    format!("CREATE SCHEMA {name}; COMMENT ON SCHEMA {name} IS '{mark}'");
                transaction.batch_execute(&statements).await?;
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The same, and ends the sessions whose locks are in the way.
    async fn replace_whoever_uses_it(
        &self,
        generation: Generation,
        create: bool,
    ) -> Result<bool, StorageError> {
        let mut client = self.client().await?;
        let (end, mut pauses) = (Instant::now() + LOCK_LIMIT, PAUSES);
        loop {
            match self.replace(&mut client, generation, create).await {
                Err(e) if may_repeat(&e) && Instant::now() < end => {
                    end_holders(&client, generation).await.map_err(self.failed())?;
                    pauses.wait().await;
                }
                outcome => return outcome.map_err(self.failed()),
            }
        }
    }
}

#[async_trait]
impl GenerationStore for PostgresGenerations {
    async fn check(&self) -> Result<ServerFacts, StorageError> {
        let client = self.holders_client().await?;
        let row = client.query_typed_one(FACTS, &[]).await.map_err(self.failed())?;
        let search_path: String = row.get(1);
        let (takes_no_writes, may_create, may_see): (bool, bool, bool) =
            (row.get(2), row.get(3), row.get(4));
        let (version, user, database): (String, String, String) =
            (row.get(0), row.get(6), row.get(7));
        if search_path != Generation(0).to_string() {
            return Err(self.invalid(
                "the search path of a connection is not kept, as by a pooler; name the server itself",
            ));
        }
        if takes_no_writes {
            return Err(self.invalid("it is read-only or a replica; name the primary"));
        }
        if !may_create {
            return Err(self.invalid(&format!(
                "the user {user} lacks the right CREATE on the database {database}; run \
                 `GRANT CREATE ON DATABASE {database} TO {user}`, or name another user"
            )));
        }
        usable::check(&client, self.connector.redacted(), false).await?;
        let identity = self.identity(&client, may_see).await?;
        if let Some(replica) = &self.settings.replica {
            self.check_replica(replica, may_see.then_some(identity.as_str())).await?;
        }
        let is_loopback =
            addresses(&self.settings).await.iter().any(|(_, is_loopback)| *is_loopback);
        let is_local = row.get::<_, bool>(5) || is_loopback;
        Ok(ServerFacts { name: format!("PostgreSQL {version}"), identity, is_local })
    }

    async fn create(&self, generation: Generation) -> Result<CreateGeneration, StorageError> {
        let is_ours = self.replace_whoever_uses_it(generation, true).await?;
        Ok(if is_ours { CreateGeneration::Created } else { CreateGeneration::Unmarked })
    }

    async fn remove(&self, generation: Generation) -> Result<DropGeneration, StorageError> {
        let is_ours = self.replace_whoever_uses_it(generation, false).await?;
        Ok(if is_ours { DropGeneration::Dropped } else { DropGeneration::Unmarked })
    }

    async fn list(&self) -> Result<Vec<Generation>, StorageError> {
        let client = self.client().await?;
        let mark = self.lab.mark();
        let rows = client.query_typed(MARKED, &[(&mark, Type::TEXT)]).await;
        let names = rows.map_err(self.failed())?.into_iter().map(|row| row.get::<_, String>(0));
        let found = |name: String| {
            Generation::of_name(name.strip_suffix(ACTIVITIES).unwrap_or(name.as_str()))
        };
        Ok(names.filter_map(found).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn url(&self, generation: Generation) -> String {
        // The last setting of a name is the one that counts.
        let given = self.settings.config.get_options().map(|given| format!("{given} "));
        let options = format!("{}-csearch_path={generation}", given.unwrap_or_default());
        self.settings.text.with_parameter("options", &options).reveal().to_owned()
    }
}

/// What migrations append to the name of the store's schema.
const ACTIVITIES: &str = "_activities";

/// A generation's schemas; their names need no quotes.
fn schemas(generation: Generation) -> Vec<String> {
    vec![generation.to_string(), format!("{generation}{ACTIVITIES}")]
}

/// Whether another try may succeed: a lock was not free, or a schema of the name was created meanwhile.
fn may_repeat(error: &Error) -> bool {
    let others =
        [SqlState::T_R_DEADLOCK_DETECTED, SqlState::DUPLICATE_SCHEMA, SqlState::UNIQUE_VIOLATION];
    is_lock_timeout(error) || error.code().is_some_and(|code| others.contains(code))
}

/// Ends the sessions that hold locks on a generation's schemas, and no others. One that this user may not
/// end is left, and the caller waits for it.
async fn end_holders(client: &Client, generation: Generation) -> Result<(), Error> {
    let names = schemas(generation);
    let holders = client.query_typed(HOLDERS, &[(&names, Type::TEXT_ARRAY)]).await?;
    for row in holders {
        let process: i32 = row.try_get(0)?;
        // Tested again with it, because the system gives the ids of ended processes to others.
        let end =
            format!("SELECT pg_terminate_backend(h.pid) FROM ({HOLDERS}) AS h WHERE h.pid = $2");
        let ended =
            client.query_typed(&end, &[(&names, Type::TEXT_ARRAY), (&process, Type::INT4)]).await;
        match ended {
            Ok(_) => tracing::info!(process, %generation, "ended a session that held locks"),
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                tracing::warn!(process, %generation, %error, "cannot end a session that holds locks");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The addresses of a URL's hosts, ascending, and whether each is of this machine.
async fn addresses(settings: &Postgres) -> Vec<(String, bool)> {
    let ports = settings.config.get_ports();
    let mut found = Vec::new();
    for (n, host) in settings.config.get_hosts().iter().enumerate() {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Unix(path) => found.push((format!("{}:{port}", path.display()), true)),
            Host::Tcp(name) => {
                let resolved = lookup_host((name.as_str(), port)).await.into_iter().flatten();
                found.extend(resolved.map(|a| (a.to_string(), a.ip().is_loopback())));
            }
        }
    }
    found.sort();
    found
}
