//! What every act on orders and accounts needs: the tables, the desks, attempts and their ends.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::accounts::{Accounts, Key};
use super::attempts::{Attempts, has_run_out, is_over, new_attempt};
use super::desk::Desks;
use super::gate::Gate;
use super::pause::{Pause, patience};
use super::rows::{OrderRow, Orders};
use super::saga::{Course, Ending};
use crate::cart::model::OrderId;
use crate::db::cassandra::connection::Cluster;
use crate::db::storage::{Kind, StorageError};
use crate::telemetry::metrics::Metrics;

/// Paid orders that are settled while nobody waits; more are settled before their answer.
const SETTLING: usize = 256;
/// Checkouts and cancels of this process that are under way at once. The others wait for a place
/// before they begin, when they hold nothing yet and no lease of theirs runs out.
const PLACES: usize = 128;
/// How long they wait for one.
const QUEUEING: Duration = Duration::from_secs(30);

pub(super) struct House {
    pub(super) orders: Orders,
    pub(super) desks: Arc<Desks>,
    pub(super) attempts: Attempts,
    pub(super) gate: Gate,
    places: Semaphore,
    settling: Arc<Semaphore>,
    pub(super) unfinished: Gauge,
    pub(super) recovered: Counter,
}

/// An attempt, and what its owner or recoverer knows of the order.
pub(super) struct Errand {
    pub(super) id: OrderId,
    pub(super) attempt: Uuid,
    /// The order as it was before the attempt was noted.
    pub(super) before: Uuid,
    /// The order as it was last seen; never older than what this errand wrote.
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

impl House {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            orders: Orders::open(cluster).await?,
            desks: Desks::new(Accounts::open(cluster).await?),
            attempts: Attempts::open(cluster).await?,
            gate: Gate::default(),
            places: Semaphore::new(PLACES),
            settling: Arc::new(Semaphore::new(SETTLING)),
            unfinished: metrics.cart_unfinished.clone(),
            recovered: metrics.cart_recovered.clone(),
        }))
    }

    /// Waits for a place among the checkouts and cancels that are under way.
    pub(super) async fn place(&self) -> Result<SemaphorePermit<'_>, StorageError> {
        let place = timeout(QUEUEING, self.places.acquire()).await;
        place.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// The order when no attempt on it is under way. One whose lease is over is brought to its end.
    pub(super) async fn at_rest(
        &self,
        id: &OrderId,
        certain: bool,
        until: Instant,
    ) -> Result<Option<OrderRow>, StorageError> {
        let mut pause = Pause::new();
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
            pause.wait().await;
        }
    }

    /// Notes a new attempt on an order that was read before.
    pub(super) async fn begin(
        &self,
        id: &OrderId,
        row: OrderRow,
        until: Instant,
    ) -> Result<Errand, StorageError> {
        let attempt = new_attempt();
        self.attempts.note(attempt, id).await?;
        // Recovery may have looked already.
        if has_run_out(attempt) {
            return Err(StorageError::new(Kind::Conflict, "an attempt was noted too late"));
        }
        let counted = Some(Counted::new(&self.unfinished));
        Ok(Errand { until, _counted: counted, ..Errand::new(id, attempt, row) })
    }

    /// Settles what is paid, while nobody waits if there is room for that.
    pub(super) async fn settle(self: &Arc<Self>, errand: Errand, course: Course) {
        let house = Arc::clone(self);
        let work = async move { house.settled(errand, course).await };
        match Arc::clone(&self.settling).try_acquire_owned() {
            Err(_) => work.await,
            Ok(permit) => drop(tokio::spawn(async move {
                work.await;
                drop(permit);
            })),
        }
    }

    async fn settled(&self, mut errand: Errand, mut course: Course) {
        match self.drive(&mut errand, &mut course, true).await {
            Ok(ending) => self.ended(&errand, ending).await,
            Err(error) => tracing::debug!(%error, "a paid order is left to recovery"),
        }
    }

    /// Recovery need not look for the attempt any more, unless somebody else has to do with it.
    pub(super) async fn ended(&self, errand: &Errand, ending: Ending) {
        if ending == Ending::Elsewhere && errand.began {
            return;
        }
        if let Err(error) = self.attempts.clear(errand.attempt).await {
            tracing::debug!(%error, "an attempt that has ended is left to recovery");
        }
    }

    /// Brings an attempt whose lease is over to its end.
    pub(super) async fn recover(&self, id: &OrderId, attempt: Uuid) -> Result<(), StorageError> {
        let Some(row) = self.orders.find(id, true).await? else {
            return self.attempts.clear(attempt).await;
        };
        let Some(mut course) = Course::rest(&row.state, attempt, row.amounts()) else {
            return self.bar(id, attempt, &row).await;
        };
        let mut errand = Errand { began: true, ..Errand::new(id, attempt, row) };
        let ending = self.drive(&mut errand, &mut course, true).await?;
        if ending != Ending::Elsewhere {
            self.recovered.inc();
        }
        self.ended(&errand, ending).await;
        Ok(())
    }

    /// Whoever read the order when the attempt was new, and comes late, shall not begin any more.
    async fn bar(&self, id: &OrderId, attempt: Uuid, row: &OrderRow) -> Result<(), StorageError> {
        let at_rest = row.state.under_way().is_none();
        if !at_rest || self.orders.replace(id, Some(row.stamp), &row.next()).await? {
            self.attempts.clear(attempt).await?;
        }
        Ok(())
    }
}

impl Errand {
    pub(super) fn new(id: &OrderId, attempt: Uuid, row: OrderRow) -> Self {
        let items = row.lines.iter().map(|line| Key::Item(line.item.clone()));
        Self {
            id: id.clone(),
            attempt,
            before: row.stamp,
            parts: std::iter::once(Key::User(row.user.clone())).chain(items).collect(),
            row: Some(row),
            until: patience(),
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
    let passes = matches!(error.kind(), Kind::Unavailable | Kind::Timeout);
    if passes && Instant::now() < until { Ok(()) } else { Err(error) }
}

pub(super) fn busy() -> StorageError {
    StorageError::new(Kind::Conflict, "others are at the same order, user or item all the time")
}
