//! Recovery: finishes attempts whose owner stopped, once their lease has expired.
//!
//! Every server runs it, also several at once on one attempt: a step that another has run is found
//! done. A pass reads the slots of `pending_index` in which all leases have expired, and closes a
//! slot without attempts. A write that meets such an attempt ([`Recovery::load_settled`]) does not
//! wait for the next pass. Whether a lease has expired is judged by watching the slot, or the order,
//! on this process's monotonic clock. How an attempt is finished is decided in `saga::saga_state`.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use rand::RngExt;
use tokio::time::Instant;
use uuid::Uuid;

use super::contention::{BACKOFF, contended};
use super::orders_table::OrderRow;
use super::pending_index::{LEASE, SLOT_LEASE, Slot};
use super::runner::{AttemptContext, SagaRunner};
use super::saga::saga_state::{SagaOutcome, SagaState};
use crate::cart::model::OrderId;
use crate::db::common::lease::LeaseObserver;
use crate::db::storage::StorageError;

/// Mean pause between two passes.
const PASS_INTERVAL: Duration = Duration::from_secs(3);
/// How long a pass may take; the next one starts again with the oldest slot.
const PASS_LIMIT: Duration = Duration::from_secs(30);
/// Attempts that are finished at once.
const CONCURRENCY: usize = 16;
/// Slots and orders that are watched at once: about a megabyte.
const MAX_WATCHED: usize = 8_192;

pub(super) struct Recovery {
    runner: Arc<SagaRunner>,
    recovered: Counter,
    slots: LeaseObserver<Slot, ()>,
    /// Orders with an attempt in progress, by the version that it gave them.
    orders: LeaseObserver<OrderId, Uuid>,
}

impl Recovery {
    pub(super) fn new(runner: Arc<SagaRunner>, recovered: Counter) -> Self {
        let slots = LeaseObserver::new(SLOT_LEASE, MAX_WATCHED);
        let orders = LeaseObserver::new(LEASE, MAX_WATCHED);
        Self { runner, recovered, slots, orders }
    }

    /// Runs passes for ever; `abandoned` is set to what a pass could not finish.
    pub(super) async fn run(self: Arc<Self>, abandoned: Gauge) {
        loop {
            // Jitter: servers that started together do not recover the same attempts at once.
            let pause = PASS_INTERVAL.mul_f64(rand::rng().random_range(0.5..1.5));
            tokio::time::sleep(pause).await;
            match tokio::time::timeout(PASS_LIMIT, self.pass(Instant::now)).await {
                Ok(Ok(unfinished)) => drop(abandoned.set(unfinished)),
                Ok(Err(error)) => tracing::debug!(%error, "a pass of cart recovery failed"),
                Err(_) => tracing::debug!("a pass of cart recovery reached its time limit"),
            }
        }
    }

    /// One pass; returns how many attempts could not be finished.
    pub(super) async fn pass(&self, now: impl Fn() -> Instant) -> Result<i64, StorageError> {
        let (pending, mut unfinished) = (&self.runner.pending, 0);
        let mut slots = pending.slots().await?;
        // After the read: a slot is not watched from before it was listed.
        let seen_at = now();
        slots.retain(|slot| self.slots.has_expired(slot, (), seen_at));
        for slot in slots {
            let attempts = pending.attempts_in(slot).await?;
            if attempts.is_empty() {
                pending.close_slot(slot).await?;
                self.slots.forget(&slot);
                continue;
            }
            let recover = |(attempt_id, id)| async move { self.try_recover(attempt_id, &id).await };
            let finished = stream::iter(attempts).map(recover).buffer_unordered(CONCURRENCY);
            let failed = finished.filter(|is_finished| std::future::ready(!is_finished));
            unfinished += failed.count().await as i64;
        }
        Ok(unfinished)
    }

    async fn try_recover(&self, attempt_id: Uuid, id: &OrderId) -> bool {
        let recovered = self.recover(id, attempt_id).await;
        if let Err(error) = &recovered {
            tracing::warn!(%error, order = %id, "an unfinished checkout could not be recovered yet");
        }
        recovered.is_ok()
    }

    /// The order, also a removed one, when no attempt on it is in progress: waits for one, and recovers
    /// it if its lease has expired.
    pub(super) async fn load_settled(
        &self,
        id: &OrderId,
        serial: bool,
        deadline: Instant,
    ) -> Result<Option<OrderRow>, StorageError> {
        let mut backoff = BACKOFF;
        loop {
            let row = self.runner.orders.find(id, serial).await?;
            let in_progress = row.as_ref().and_then(|row| row.state.attempt_in_progress());
            let Some(attempt_id) = in_progress else { return Ok(row) };
            if Instant::now() > deadline {
                return Err(contended());
            }
            let version = row.map_or_else(Uuid::nil, |row| row.version);
            if self.orders.has_expired(id, version, Instant::now()) {
                self.recover(id, attempt_id).await?;
            }
            backoff.wait().await;
        }
    }

    /// Finishes an attempt whose lease has expired, or of a paid order, of which only captures are
    /// left.
    pub(super) async fn recover(&self, id: &OrderId, attempt_id: Uuid) -> Result<(), StorageError> {
        let found = self.runner.orders.find(id, true).await?;
        let Some(row) = found.filter(|row| !row.is_removed()) else {
            return self.runner.pending.remove(attempt_id).await;
        };
        let Some(mut saga) = SagaState::resume(&row.state, attempt_id, row.amounts()) else {
            return self.fence(id, attempt_id, &row).await;
        };
        let mut attempt = AttemptContext::owner(id, attempt_id, row);
        let outcome = self.runner.run(&mut attempt, &mut saga).await?;
        if outcome != SagaOutcome::NotOwner {
            self.recovered.inc();
        }
        self.runner.finish(&attempt, outcome).await;
        Ok(())
    }

    /// Fences an attempt that does not own its order: the new version makes a late `Begin` of its
    /// owner fail. Only then may it leave the pending index.
    async fn fence(
        &self,
        id: &OrderId,
        attempt_id: Uuid,
        row: &OrderRow,
    ) -> Result<(), StorageError> {
        // An attempt in progress has given the order another version already.
        let is_settled = row.state.attempt_in_progress().is_none();
        if !is_settled || self.runner.orders.replace(id, Some(row.version), &row.next()).await? {
            self.runner.pending.remove(attempt_id).await?;
        }
        Ok(())
    }
}
