//! The connection to the cluster: the driver's session, how each kind of statement is sent, and a new
//! session where the driver would recover late. What its errors mean is in [`super::error`]; writes
//! are not retried here, because only their callers know whether they may be.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::pager::TypedRowStream;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::Node;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::ExecutionError;
use scylla::policies::load_balancing::{
    DefaultPolicy, LoadBalancingPolicy, NodeIdentifier, SingleTargetLoadBalancingPolicy,
};
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::response::PagingState;
use scylla::response::query_result::QueryResult;
use scylla::serialize::batch::BatchValues;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use tokio::net::TcpStream;

use super::error;
use crate::config::database::cassandra::{Cassandra, Consistency as ConsistencySetting};
use crate::db::storage::{ErrorKind, StorageError};

/// Connections to each node. One would be limited by the single task that reads its answers.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
/// A connection that is silent for the sum of both is closed: a node that loses power sends no RST.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection is tried while no node can be reached. The driver's own intervals grow to
/// ten seconds.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(400);

/// One keyspace of a cluster.
pub(super) struct Cluster {
    settings: Cassandra,
    session: RwLock<Arc<Session>>,
    reconnecting: AtomicBool,
}

/// What a statement does, which decides its consistency and whether the driver may repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementKind {
    /// A read at the consistency of the settings; may be repeated, also speculatively.
    Read,
    /// A linearizable read: sees every acknowledged write, and completes or discards an LWT that is in
    /// progress on the partition.
    SerialRead,
    /// A read of many partitions at the consistency of writes: sees every acknowledged write.
    Scan,
    /// An LWT. After a timeout its outcome is unknown, and a second run could find the first one's
    /// effect: the driver never repeats it.
    Conditional,
    /// A write without a condition, idempotent; the caller repeats it.
    Plain,
}

impl Cluster {
    /// Connects. The keyspace may not exist yet.
    pub(super) async fn connect(settings: &Cassandra) -> Result<Arc<Self>, StorageError> {
        let built = builder(settings).build().await;
        let session = built.map_err(|e| error::connecting(&settings.hosts, &e))?;
        Ok(Arc::new(Self {
            settings: settings.clone(),
            session: RwLock::new(Arc::new(session)),
            reconnecting: AtomicBool::new(false),
        }))
    }

    pub(super) const fn settings(&self) -> &Cassandra {
        &self.settings
    }

    /// The present session.
    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The text of a statement; `$` in it stands for the keyspace. (Cassandra warns of prepared
    /// statements that depend on USE.)
    pub(super) fn text(&self, text: &str) -> String {
        text.replace('$', &format!("\"{}\"", self.settings.keyspace))
    }

    /// Prepares a statement, as of [`Self::text`], on every node.
    pub(super) async fn prepare(
        &self,
        text: &str,
        kind: StatementKind,
    ) -> Result<PreparedStatement, StorageError> {
        let prepared = self.session().prepare(self.text(text)).await;
        let mut statement = prepared.map_err(error::preparing)?;
        match kind {
            StatementKind::Read => statement.set_use_cached_result_metadata(true),
            StatementKind::SerialRead => statement.set_consistency(self.serial_read_consistency()),
            StatementKind::Scan | StatementKind::Conditional | StatementKind::Plain => {
                statement.set_consistency(self.write_consistency())
            }
        }
        let reads =
            matches!(kind, StatementKind::Read | StatementKind::SerialRead | StatementKind::Scan);
        statement.set_is_idempotent(reads);
        Ok(statement)
    }

    /// Runs a prepared statement whose answer has one page.
    pub(super) async fn execute(
        self: &Arc<Self>,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult, StorageError> {
        let session = self.session();
        let result = session.execute_unpaged(statement, values).await;
        result.map_err(|failure| self.convert_error(failure, statement.get_is_idempotent()))
    }

    /// Runs a read of several statements, which together take no longer than one of them may.
    pub(super) async fn in_time<T>(
        &self,
        read: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let late =
            |_| Err(StorageError::new(ErrorKind::Timeout, "the cluster did not answer in time"));
        tokio::time::timeout(self.settings.timeout, read).await.unwrap_or_else(late)
    }

    /// Runs a prepared read and streams its pages.
    pub(super) async fn rows<T>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<TypedRowStream<T>, StorageError>
    where
        T: for<'a, 'b> DeserializeRow<'a, 'b>,
    {
        let pager = self.session().execute_iter(statement.clone(), values).await;
        pager.map_err(error::first_page)?.rows_stream().map_err(error::shape)
    }

    /// Runs a prepared read for the page that begins there; the page, and where the next one begins.
    pub(super) async fn page(
        self: &Arc<Self>,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        from: PagingState,
    ) -> Result<(QueryResult, Option<PagingState>), StorageError> {
        let page = self.session().execute_single_page(statement, values, from).await;
        let (result, next) = page.map_err(|failure| self.convert_error(failure, true))?;
        Ok((result, next.into_paging_control_flow().continue_value()))
    }

    /// Runs conditional statements on one partition, all of them or none. Unlogged: a batch log is
    /// for several partitions.
    pub(super) async fn batch(
        self: &Arc<Self>,
        statements: Vec<PreparedStatement>,
        values: impl BatchValues,
    ) -> Result<QueryResult, StorageError> {
        let statements = statements.into_iter().map(BatchStatement::from).collect();
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_consistency(self.write_consistency());
        let result = self.session().batch(&batch, values).await;
        result.map_err(|failure| self.convert_error(failure, false))
    }

    fn convert_error(self: &Arc<Self>, failure: ExecutionError, is_read: bool) -> StorageError {
        if error::is_unreachable(&failure) {
            self.reconnect_if_down();
        }
        error::storage(failure, is_read)
    }

    /// Writes reach a quorum even where reads are set to one replica: claims of ids and loads rely on
    /// a SERIAL read seeing every acknowledged write.
    fn write_consistency(&self) -> Consistency {
        match self.settings.consistency {
            ConsistencySetting::LocalOne => Consistency::LocalQuorum,
            other => consistency(other),
        }
    }

    fn serial_read_consistency(&self) -> Consistency {
        match serial_consistency_of(&self.settings) {
            SerialConsistency::Serial => Consistency::Serial,
            SerialConsistency::LocalSerial => Consistency::LocalSerial,
        }
    }

    /// Replaces the session as soon as the cluster answers again, unless the driver's own connections
    /// recover first. One task does so at a time.
    fn reconnect_if_down(self: &Arc<Self>) {
        if self.reconnecting.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = ReconnectTask(Arc::clone(self));
        tokio::spawn(async move {
            // Where other nodes are connected the driver sends to those.
            if !task.0.is_connected() {
                task.0.reconnect().await;
            }
        });
    }

    async fn reconnect(&self) {
        tracing::warn!(hosts = ?self.settings.hosts, "no node of the cluster can be reached");
        while !self.is_connected() && !self.replace_session().await {
            tokio::time::sleep(RECONNECT_INTERVAL).await;
        }
        tracing::info!("the cluster can be reached again");
    }

    fn is_connected(&self) -> bool {
        let state = self.session().get_cluster_state();
        state.get_nodes_info().iter().any(|node| node.is_connected())
    }

    async fn replace_session(&self) -> bool {
        // Tested before, because the driver logs each failed session in ten lines.
        if !self.is_any_host_listening().await {
            return false;
        }
        let Ok(session) = builder(&self.settings).build().await else { return false };
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(session);
        true
    }

    async fn is_any_host_listening(&self) -> bool {
        for host in &self.settings.hosts {
            let connected =
                tokio::time::timeout(RECONNECT_INTERVAL, TcpStream::connect(host)).await;
            if matches!(connected, Ok(Ok(_))) {
                return true;
            }
        }
        false
    }
}

/// Marks the cluster as reconnecting as long as it lives: a task that ends in any way gives way to
/// the next one.
struct ReconnectTask(Arc<Cluster>);

impl Drop for ReconnectTask {
    fn drop(&mut self) {
        self.0.reconnecting.store(false, Ordering::Release);
    }
}

/// Sends a statement to that node and no other.
pub(super) fn pin_to_node(node: &Arc<Node>) -> Arc<dyn LoadBalancingPolicy> {
    SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(node)), None)
}

fn builder(settings: &Cassandra) -> SessionBuilder {
    let builder = SessionBuilder::new()
        .known_nodes(&settings.hosts)
        .default_execution_profile_handle(profile(settings).into_handle())
        .pool_size(PoolSize::PerHost(CONNECTIONS))
        .connection_timeout(settings.timeout.min(Duration::from_secs(5)))
        .keepalive_interval(KEEPALIVE_INTERVAL)
        .keepalive_timeout(KEEPALIVE_TIMEOUT)
        .keyspaces_to_fetch([&settings.keyspace])
        .fetch_full_schema_metadata(false);
    match &settings.credentials {
        Some(known) => builder.user(&known.user, &known.password),
        None => builder,
    }
}

fn profile(settings: &Cassandra) -> ExecutionProfile {
    let policy = DefaultPolicy::builder().token_aware(true);
    let policy = match &settings.data_center {
        Some(name) => policy.prefer_datacenter(name.clone()),
        None => policy,
    };
    let speculative = settings.speculative.map(|retry_interval| {
        Arc::new(SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval }) as _
    });
    ExecutionProfile::builder()
        .consistency(consistency(settings.consistency))
        .serial_consistency(Some(serial_consistency_of(settings)))
        .request_timeout(Some(settings.timeout))
        .load_balancing_policy(policy.build())
        .speculative_execution_policy(speculative)
        .build()
}

/// Where LWTs are decided: in the named data centre alone, because a round of Paxos across data
/// centres takes several of their round trips.
const fn serial_consistency_of(settings: &Cassandra) -> SerialConsistency {
    match settings.data_center {
        Some(_) => SerialConsistency::LocalSerial,
        None => SerialConsistency::Serial,
    }
}

const fn consistency(setting: ConsistencySetting) -> Consistency {
    match setting {
        ConsistencySetting::LocalOne => Consistency::LocalOne,
        ConsistencySetting::LocalQuorum => Consistency::LocalQuorum,
        ConsistencySetting::Quorum => Consistency::Quorum,
        ConsistencySetting::EachQuorum => Consistency::EachQuorum,
        ConsistencySetting::All => Consistency::All,
    }
}
