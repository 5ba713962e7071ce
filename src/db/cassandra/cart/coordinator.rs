//! What every op_id on orders and accounts needs: the tables, the batchers, attempts and their ends.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::account_batcher::AccountBatchers;
use super::accounts_table::{AccountKey, AccountsTable};
use super::backoff::{Backoff, deadline};
use super::keyed_lock::KeyedLock;
use super::orders_table::{OrderRow, OrdersTable};
use super::pending_index::{PendingIndex, lease_expired, new_attempt_id, owner_lease_expired};
use super::saga::saga_state::{SagaOutcome, SagaState};
use crate::cart::model::OrderId;
use crate::db::cassandra::connection::Cluster;
use crate::db::storage::{ErrorKind, StorageError};
use crate::telemetry::metrics::Metrics;

/// Paid orders that are settled while nobody waits; more are settled before their answer.
const MAX_BACKGROUND_CAPTURES: usize = 256;
/// Checkouts and cancels of this process that are under way at once. The others wait for a place
/// before they begin, when they hold nothing yet and no lease of theirs runs out.
const MAX_ATTEMPTS: usize = 128;
/// How long they wait for one.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct CheckoutCoordinator {
    pub(super) orders: OrdersTable,
    pub(super) batchers: Arc<AccountBatchers>,
    pub(super) pending: PendingIndex,
    pub(super) order_locks: KeyedLock,
    permits: Semaphore,
    capturing: Arc<Semaphore>,
    pub(super) unfinished: Gauge,
    pub(super) recovered: Counter,
}

/// An attempt, and what its owner or recoverer knows of the order.
pub(super) struct AttemptContext {
    pub(super) id: OrderId,
    pub(super) attempt_id: Uuid,
    /// The order as it was before the attempt was noted.
    pub(super) version_before: Uuid,
    /// The order as it was last cache; never older than what this attempt_context wrote.
    pub(super) row: Option<OrderRow>,
    pub(super) participants: Vec<AccountKey>,
    /// Until when it may be decided.
    pub(super) deadline: Instant,
    /// Whether the order came into the attempt's hands, or may yet.
    pub(super) may_own_order: bool,
    pub(super) failure: Option<StorageError>,
    _counted: Option<InProgress>,
}

/// One more attempt is under way as long as this lives.
struct InProgress(Gauge);

impl CheckoutCoordinator {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            orders: OrdersTable::open(cluster).await?,
            batchers: AccountBatchers::new(AccountsTable::open(cluster).await?),
            pending: PendingIndex::open(cluster).await?,
            order_locks: KeyedLock::default(),
            permits: Semaphore::new(MAX_ATTEMPTS),
            capturing: Arc::new(Semaphore::new(MAX_BACKGROUND_CAPTURES)),
            unfinished: metrics.cart_unfinished.clone(),
            recovered: metrics.cart_recovered.clone(),
        }))
    }

    /// Waits for a place among the checkouts and cancels that are under way.
    pub(super) async fn admit(&self) -> Result<SemaphorePermit<'_>, StorageError> {
        let permit = timeout(ADMISSION_TIMEOUT, self.permits.acquire()).await;
        permit.map_err(|_| contended())?.map_err(|_| contended())
    }

    /// The order when no attempt on it is under way. One whose lease is over is brought to its end.
    pub(super) async fn load_settled(
        &self,
        id: &OrderId,
        serial: bool,
        deadline: Instant,
    ) -> Result<Option<OrderRow>, StorageError> {
        let mut backoff = Backoff::new();
        loop {
            let row = self.orders.find(id, serial).await?;
            let Some(attempt_id) = row.as_ref().and_then(|row| row.state.attempt_in_progress())
            else {
                return Ok(row);
            };
            if Instant::now() > deadline {
                return Err(contended());
            }
            if lease_expired(attempt_id) {
                self.recover(id, attempt_id).await?;
            }
            backoff.wait().await;
        }
    }

    /// Notes a new attempt on an order that was read before.
    pub(super) async fn begin(
        &self,
        id: &OrderId,
        row: OrderRow,
        deadline: Instant,
    ) -> Result<AttemptContext, StorageError> {
        let attempt_id = new_attempt_id();
        self.pending.add(attempt_id, id).await?;
        // Recovery may have looked already.
        if owner_lease_expired(attempt_id) {
            return Err(StorageError::new(ErrorKind::Conflict, "an attempt was noted too late"));
        }
        let counted = Some(InProgress::new(&self.unfinished));
        Ok(AttemptContext {
            deadline,
            _counted: counted,
            ..AttemptContext::new(id, attempt_id, row)
        })
    }

    /// Settles what is paid, while nobody waits if there is room for that.
    pub(super) async fn capture_later(self: &Arc<Self>, attempt: AttemptContext, saga: SagaState) {
        let coordinator = Arc::clone(self);
        let work = async move { coordinator.capture(attempt, saga).await };
        match Arc::clone(&self.capturing).try_acquire_owned() {
            Err(_) => work.await,
            Ok(permit) => drop(tokio::spawn(async move {
                work.await;
                drop(permit);
            })),
        }
    }

    async fn capture(&self, mut attempt: AttemptContext, mut saga: SagaState) {
        match self.drive(&mut attempt, &mut saga, true).await {
            Ok(outcome) => self.finish(&attempt, outcome).await,
            Err(error) => tracing::debug!(%error, "a paid order is left to recovery"),
        }
    }

    /// Recovery need not look for the attempt any more, unless somebody else has to do with it.
    pub(super) async fn finish(&self, attempt: &AttemptContext, outcome: SagaOutcome) {
        if outcome == SagaOutcome::NotOwner && attempt.may_own_order {
            return;
        }
        if let Err(error) = self.pending.remove(attempt.attempt_id).await {
            tracing::debug!(%error, "an attempt that has ended is left to recovery");
        }
    }

    /// Brings an attempt whose lease is over to its end.
    pub(super) async fn recover(&self, id: &OrderId, attempt_id: Uuid) -> Result<(), StorageError> {
        let Some(row) = self.orders.find(id, true).await? else {
            return self.pending.remove(attempt_id).await;
        };
        let Some(mut saga) = SagaState::resume(&row.state, attempt_id, row.amounts()) else {
            return self.fence(id, attempt_id, &row).await;
        };
        let mut attempt =
            AttemptContext { may_own_order: true, ..AttemptContext::new(id, attempt_id, row) };
        let outcome = self.drive(&mut attempt, &mut saga, true).await?;
        if outcome != SagaOutcome::NotOwner {
            self.recovered.inc();
        }
        self.finish(&attempt, outcome).await;
        Ok(())
    }

    /// Whoever read the order when the attempt was new, and comes late, shall not begin any more.
    async fn fence(
        &self,
        id: &OrderId,
        attempt_id: Uuid,
        row: &OrderRow,
    ) -> Result<(), StorageError> {
        let load_settled = row.state.attempt_in_progress().is_none();
        if !load_settled || self.orders.replace(id, Some(row.version), &row.next()).await? {
            self.pending.remove(attempt_id).await?;
        }
        Ok(())
    }
}

impl AttemptContext {
    pub(super) fn new(id: &OrderId, attempt_id: Uuid, row: OrderRow) -> Self {
        let items = row.lines.iter().map(|line| AccountKey::Item(line.item.clone()));
        Self {
            id: id.clone(),
            attempt_id,
            version_before: row.version,
            participants: std::iter::once(AccountKey::User(row.user.clone()))
                .chain(items)
                .collect(),
            row: Some(row),
            deadline: deadline(),
            may_own_order: false,
            failure: None,
            _counted: None,
        }
    }

    /// Whose account that part is.
    pub(super) fn participant(&self, participant: usize) -> &AccountKey {
        &self.participants[participant]
    }

    /// Why it was given up.
    pub(super) fn failure(&mut self) -> StorageError {
        self.failure.take().unwrap_or_else(contended)
    }
}

impl InProgress {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The error, unless what failed may be tried again.
pub(super) fn again(error: StorageError, deadline: Instant) -> Result<(), StorageError> {
    let passes = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    if passes && Instant::now() < deadline { Ok(()) } else { Err(error) }
}

pub(super) fn contended() -> StorageError {
    StorageError::new(
        ErrorKind::Conflict,
        "others are at the same order, user or item all the time",
    )
}
