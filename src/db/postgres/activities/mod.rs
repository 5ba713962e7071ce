//! Activities on PostgreSQL.
//!
//! Here: accepting messages and what is queued ([`queue`]), moving messages of a stream into the queue
//! ([`transfers`]), the states of messages ([`states`]) and what
//! operators do with rejected ones ([`retry`]), the catalogue and the rows of the tables ([`tables`]),
//! who works ([`lease`]), when there is work ([`wakeup`]), where the queue begins ([`low_water`]), and applying messages: [`apply`] decides which
//! messages share a transaction, [`transaction`] is one, [`schema`] changes tables, [`rows`] changes their
//! rows, [`ending`] records how messages ended, [`names`] are the names of tables and columns.
//!
//! Not here: what a message does to the catalogue, which is [`crate::activities::catalogue`], and the
//! loop of the worker.

mod apply;
mod ending;
mod lease;
mod low_water;
mod names;
mod queue;
mod retry;
mod rows;
mod schema;
mod states;
mod tables;
mod transaction;
mod transfers;
mod wakeup;

use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use self::apply::Applier;
use self::low_water::LowWater;
use self::queue::AcceptMessages;
use self::states::Pruning;
use self::wakeup::Wakeup;
use super::batch::{self, Batcher};
use super::connection::Connector;
use super::pool::{Pool, with_client};
use super::session::Sql;
use crate::activities::catalogue::Catalogue;
use crate::activities::model::{MessageId, Name, Rejection};
use crate::db::storage::{
    Accept, ActContext, ActivityStore, Applied, Discard, ErrorKind, Message, MessageState,
    NewMessage, QueueStatus, QueuedMessage, RejectionGroup, Retry, Rows, StorageError, TableStatus,
    TransferTarget, TransferredMessage, WorkerLease, WorkerRecord,
};

/// Connections of the worker, besides those for applying and for listening.
const WORKER_CONNECTIONS: usize = 2;
/// How long who works is asked on a connection of requests.
const REQUESTS_FIRST: Duration = Duration::from_millis(500);

pub(super) struct PostgresActivities {
    accept: Batcher<AcceptMessages>,
    /// For requests.
    pool: Pool,
    /// For the worker, which must be able to take its lease and to renew it however many requests there are.
    worker_pool: Pool,
    applier: Applier,
    wakeup: Wakeup,
    low_water: LowWater,
    pruning: Pruning,
    /// Whether the log says why this server cannot be the worker.
    said_why: Once,
}

impl PostgresActivities {
    /// `pool` is shared with others. The connections of the worker are made when it begins.
    pub(super) fn new(connector: &Connector, pool: Pool) -> Result<Self, StorageError> {
        let worker_pool = Pool::new(connector, WORKER_CONNECTIONS)?;
        Ok(Self {
            accept: batch::start(connector, AcceptMessages),
            pool,
            applier: Applier::new(connector, worker_pool.clone()),
            wakeup: Wakeup::new(connector, worker_pool.clone()),
            worker_pool,
            low_water: LowWater::default(),
            pruning: Pruning::default(),
            said_why: Once::new(),
        })
    }
}

/// Values of a statement that a task runs.
type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// Runs a statement of a fixed text.
async fn query(pool: &Pool, sql: Sql<'static>, values: Values) -> Result<Vec<Row>, StorageError> {
    with_client(pool, ActContext::new(), move |client| async move {
        let statement = client.prepare_cached(sql).await?;
        let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
        client.query(&statement, &values).await
    })
    .await
}

/// The error of a stored value that this program never writes.
fn damaged() -> StorageError {
    let text = "the tables of the activities have a value that this program never writes";
    StorageError::new(ErrorKind::Invalid, text)
}

#[async_trait]
impl ActivityStore for PostgresActivities {
    async fn accept(
        &self,
        context: ActContext,
        message: NewMessage,
    ) -> Result<Accept, StorageError> {
        self.accept.submit(context, message).await
    }

    async fn queue_status(&self) -> Result<QueueStatus, StorageError> {
        queue::status(&self.pool).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, StorageError> {
        states::find(&self.pool, id).await
    }

    async fn list(
        &self,
        state: Option<MessageState>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StorageError> {
        states::list(&self.pool, state, after, limit).await
    }

    async fn body(&self, id: MessageId) -> Result<Option<Arc<str>>, StorageError> {
        states::body(&self.pool, id).await
    }

    async fn rejections(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<RejectionGroup>, StorageError> {
        states::rejections(&self.pool, after, limit).await
    }

    async fn retry(
        &self,
        context: ActContext,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Retry, StorageError> {
        retry::retry(&self.pool, context, id, new).await
    }

    async fn rejected_by(
        &self,
        cause: &str,
        limit: u32,
    ) -> Result<(Vec<MessageId>, u64), StorageError> {
        states::rejected_by(&self.pool, cause, limit).await
    }

    async fn discard(&self, context: ActContext, id: MessageId) -> Result<Discard, StorageError> {
        retry::discard(&self.pool, context, id).await
    }

    async fn tables(&self) -> Result<Vec<TableStatus>, StorageError> {
        tables::tables(&self.pool).await
    }

    async fn catalogue(&self) -> Result<Catalogue, StorageError> {
        tables::catalogue(&self.pool).await
    }

    async fn rows(
        &self,
        table: &Name,
        after: Option<String>,
        limit: u32,
    ) -> Result<Option<Rows>, StorageError> {
        tables::rows(&self.pool, table, after, limit).await
    }

    async fn worker(&self) -> Result<WorkerRecord, StorageError> {
        // Each server asks. While requests have all connections, it is on one of the worker's, so that it
        // can take over; else that would be a further connection of every server.
        match timeout(REQUESTS_FIRST, lease::worker(&self.pool)).await {
            Ok(record) => record,
            Err(_) => lease::worker(&self.worker_pool).await,
        }
    }

    async fn take_over(
        &self,
        seen: &WorkerRecord,
        owner: &str,
    ) -> Result<Option<WorkerLease>, StorageError> {
        let taken = lease::take_over(&self.worker_pool, seen, owner).await;
        if let Err(error) = &taken
            && error.kind() == ErrorKind::Invalid
        {
            self.said_why.call_once(|| tracing::warn!(%error, "this server applies no activities"));
        }
        taken
    }

    async fn renew(&self, lease: WorkerLease) -> Result<bool, StorageError> {
        lease::renew(&self.worker_pool, lease).await
    }

    async fn release(&self, lease: WorkerLease) -> Result<(), StorageError> {
        lease::release(&self.worker_pool, lease).await
    }

    async fn next(
        &self,
        lease: WorkerLease,
        limit: u32,
    ) -> Result<Vec<QueuedMessage>, StorageError> {
        self.low_water.advance(&self.worker_pool, lease).await;
        let messages = queue::next(&self.worker_pool, lease, limit).await?;
        self.low_water.found(&messages);
        Ok(messages)
    }

    async fn wait_for_messages(&self, at_most: Duration) {
        self.wakeup.wait(at_most).await;
    }

    async fn apply(
        &self,
        lease: WorkerLease,
        messages: Vec<QueuedMessage>,
    ) -> Result<Applied, StorageError> {
        self.applier.apply(lease, messages).await
    }

    async fn note_attempt(
        &self,
        lease: WorkerLease,
        id: MessageId,
    ) -> Result<Option<u32>, StorageError> {
        lease::note_attempt(&self.worker_pool, lease, id).await
    }

    async fn reject(
        &self,
        lease: WorkerLease,
        message: QueuedMessage,
        rejection: Rejection,
    ) -> Result<Applied, StorageError> {
        self.applier.reject(lease, message, rejection).await
    }

    async fn prune(
        &self,
        lease: WorkerLease,
        older_than: Duration,
        limit: u32,
    ) -> Result<u32, StorageError> {
        self.pruning.prune(&self.worker_pool, lease, older_than, limit).await
    }
}

#[async_trait]
impl TransferTarget for PostgresActivities {
    async fn streams(&self) -> Result<Vec<Uuid>, StorageError> {
        transfers::streams(&self.pool).await
    }

    async fn transferred_to(&self, stream: Uuid) -> Result<u64, StorageError> {
        transfers::position(&self.pool, stream).await
    }

    async fn transfer(
        &self,
        stream: Uuid,
        from: u64,
        to: u64,
        messages: Vec<TransferredMessage>,
    ) -> Result<bool, StorageError> {
        transfers::transfer(&self.pool, stream, (from, to), messages).await
    }
}
