//! What every op_id on orders and accounts needs: the tables, the batchers, attempts and their ends.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::account_batcher::AccountBatchers;
use super::accounts_table::{Accounts, Key};
use super::backoff::{Backoff, deadline};
use super::keyed_lock::KeyedLock;
use super::metrics::CartMetrics;
use super::orders_table::{OrderRow, Orders};
use super::pending_index::{Attempts, has_run_out, is_over, new_attempt};
use super::saga::{SagaOutcome, SagaState};
use crate::cart::model::OrderId;
use crate::db::cassandra::connection::Cluster;
use crate::db::storage::{ErrorKind, StorageError};

/// Paid orders that are settled while nobody waits; more are settled before their answer.
const SETTLING: usize = 256;
/// Checkouts and cancels of this process that are under way at once. The others wait for a place
/// before they begin, when they hold nothing yet and no lease of theirs runs out.
const PLACES: usize = 128;
/// How long they wait for one.
const QUEUEING: Duration = Duration::from_secs(30);

pub(super) struct CheckoutCoordinator {
    pub(super) orders: Orders,
    pub(super) batchers: Arc<AccountBatchers>,
    pub(super) attempts: Attempts,
    pub(super) order_locks: KeyedLock,
    places: Semaphore,
    settling: Arc<Semaphore>,
    pub(super) unfinished: Gauge,
    pub(super) recovered: Counter,
}

/// An attempt, and what its owner or recoverer knows of the order.
pub(super) struct AttemptContext {
    pub(super) id: OrderId,
    pub(super) attempt: Uuid,
    /// The order as it was before the attempt was noted.
    pub(super) before: Uuid,
    /// The order as it was last cache; never older than what this attempt_context wrote.
    pub(super) row: Option<OrderRow>,
    pub(super) parts: Vec<Key>,
    /// Until when it may be decided.
    pub(super) until: Instant,
    /// Whether the order came into the attempt's hands, or may yet.
    pub(super) began: bool,
    pub(super) failure: Option<StorageError>,
    _counted: Option<Counted>,
}

/// One more attempt is under way as long as this lives.
struct Counted(Gauge);

impl CheckoutCoordinator {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metrics: &CartMetrics,
    ) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            orders: Orders::open(cluster).await?,
            batchers: AccountBatchers::new(Accounts::open(cluster).await?),
            attempts: Attempts::open(cluster).await?,
            order_locks: KeyedLock::default(),
            places: Semaphore::new(PLACES),
            settling: Arc::new(Semaphore::new(SETTLING)),
            unfinished: metrics.unfinished.clone(),
            recovered: metrics.recovered.clone(),
        }))
    }

    /// Waits for a place among the checkouts and cancels that are under way.
    pub(super) async fn place(&self) -> Result<SemaphorePermit<'_>, StorageError> {
        let place = timeout(QUEUEING, self.places.acquire()).await;
        place.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// The order when no attempt on it is under way. One whose lease is over is brought to its end.
    pub(super) async fn load_settled(
        &self,
        id: &OrderId,
        certain: bool,
        until: Instant,
    ) -> Result<Option<OrderRow>, StorageError> {
        let mut backoff = Backoff::new();
        loop {
            let row = self.orders.find(id, certain).await?;
            let Some(attempt) = row.as_ref().and_then(|row| row.state.under_way()) else {
                return Ok(row);
            };
            if Instant::now() > until {
                return Err(busy());
            }
            if is_over(attempt) {
                self.recover(id, attempt).await?;
            }
            backoff.wait().await;
        }
    }

    /// Notes a new attempt on an order that was read before.
    pub(super) async fn begin(
        &self,
        id: &OrderId,
        row: OrderRow,
        until: Instant,
    ) -> Result<AttemptContext, StorageError> {
        let attempt = new_attempt();
        self.attempts.note(attempt, id).await?;
        // Recovery may have looked already.
        if has_run_out(attempt) {
            return Err(StorageError::new(ErrorKind::Conflict, "an attempt was noted too late"));
        }
        let counted = Some(Counted::new(&self.unfinished));
        Ok(AttemptContext { until, _counted: counted, ..AttemptContext::new(id, attempt, row) })
    }

    /// Settles what is paid, while nobody waits if there is room for that.
    pub(super) async fn settle(self: &Arc<Self>, attempt_context: AttemptContext, saga: SagaState) {
        let coordinator = Arc::clone(self);
        let work = async move { coordinator.settled(attempt_context, saga).await };
        match Arc::clone(&self.settling).try_acquire_owned() {
            Err(_) => work.await,
            Ok(permit) => drop(tokio::spawn(async move {
                work.await;
                drop(permit);
            })),
        }
    }

    async fn settled(&self, mut attempt_context: AttemptContext, mut saga: SagaState) {
        match self.drive(&mut attempt_context, &mut saga, true).await {
            Ok(outcome) => self.ended(&attempt_context, outcome).await,
            Err(error) => tracing::debug!(%error, "a paid order is left to recovery"),
        }
    }

    /// Recovery need not look for the attempt any more, unless somebody else has to do with it.
    pub(super) async fn ended(&self, attempt_context: &AttemptContext, outcome: SagaOutcome) {
        if outcome == SagaOutcome::Elsewhere && attempt_context.began {
            return;
        }
        if let Err(error) = self.attempts.clear(attempt_context.attempt).await {
            tracing::debug!(%error, "an attempt that has ended is left to recovery");
        }
    }

    /// Brings an attempt whose lease is over to its end.
    pub(super) async fn recover(&self, id: &OrderId, attempt: Uuid) -> Result<(), StorageError> {
        let Some(row) = self.orders.find(id, true).await? else {
            return self.attempts.clear(attempt).await;
        };
        let Some(mut saga) = SagaState::rest(&row.state, attempt, row.amounts()) else {
            return self.fence(id, attempt, &row).await;
        };
        let mut attempt_context =
            AttemptContext { began: true, ..AttemptContext::new(id, attempt, row) };
        let outcome = self.drive(&mut attempt_context, &mut saga, true).await?;
        if outcome != SagaOutcome::Elsewhere {
            self.recovered.inc();
        }
        self.ended(&attempt_context, outcome).await;
        Ok(())
    }

    /// Whoever read the order when the attempt was new, and comes late, shall not begin any more.
    async fn fence(&self, id: &OrderId, attempt: Uuid, row: &OrderRow) -> Result<(), StorageError> {
        let load_settled = row.state.under_way().is_none();
        if !load_settled || self.orders.replace(id, Some(row.version), &row.next()).await? {
            self.attempts.clear(attempt).await?;
        }
        Ok(())
    }
}

impl AttemptContext {
    pub(super) fn new(id: &OrderId, attempt: Uuid, row: OrderRow) -> Self {
        let items = row.lines.iter().map(|line| Key::Item(line.item.clone()));
        Self {
            id: id.clone(),
            attempt,
            before: row.version,
            parts: std::iter::once(Key::User(row.user.clone())).chain(items).collect(),
            row: Some(row),
            until: deadline(),
            began: false,
            failure: None,
            _counted: None,
        }
    }

    /// Whose account that part is.
    pub(super) fn part(&self, part: usize) -> &Key {
        &self.parts[part]
    }

    /// Why it was given up.
    pub(super) fn failure(&mut self) -> StorageError {
        self.failure.take().unwrap_or_else(busy)
    }
}

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The error, unless what failed may be tried again.
pub(super) fn again(error: StorageError, until: Instant) -> Result<(), StorageError> {
    let passes = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    if passes && Instant::now() < until { Ok(()) } else { Err(error) }
}

pub(super) fn busy() -> StorageError {
    StorageError::new(
        ErrorKind::Conflict,
        "others are at the same order, user or item all the time",
    )
}
