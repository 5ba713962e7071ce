//! The audit: recomputes the sums of every account from the orders, and looks for what is in progress
//! although recovery does not know of it.
//!
//! The pending index is read first, then all orders, then all balances ([`scan`], [`records`]), page
//! by page; the arithmetic is in [`sums`]. The reservation of a paid order that is not captured yet
//! counts as captured. What does not fit is read again and judged in [`mod@judge`], because servers may
//! change the store meanwhile. [`mod@repair`] ends what would stay in progress; without it nothing is changed.
//! Comparing replicas is in `replica_check`.

mod judge;
mod records;
mod repair;
mod scan;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::TryStreamExt;
use uuid::Uuid;

use self::judge::{Orphan, Suspects, judge};
use self::scan::{Progress, Scan};
use self::sums::{CapturedByOrders, differences};
use super::accounts_table::AccountKey;
use super::coordinator::CheckoutCoordinator;
use super::saga::balance::Balance;
use crate::cart::model::OrderId;
use crate::db::cassandra::connection::Cluster;
use crate::db::storage::{Audit, Difference, StorageError};

pub(super) struct Auditor {
    scan: Scan,
}

/// What the first reading knows.
#[derive(Default)]
struct FirstReading {
    audit: Audit,
    pending: HashMap<Uuid, OrderId>,
    captured: CapturedByOrders,
    /// Attempts of the pending index that own an order; whether it is paid.
    owners: HashMap<Uuid, bool>,
    suspects: Suspects,
}

impl Auditor {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Self, StorageError> {
        Ok(Self { scan: Scan::open(cluster).await? })
    }

    pub(super) async fn audit(
        &self,
        coordinator: &CheckoutCoordinator,
    ) -> Result<Audit, StorageError> {
        Ok(self.read(coordinator).await?.0)
    }

    /// Audits, ends what would stay in progress, and audits again.
    pub(super) async fn repair(
        &self,
        coordinator: &CheckoutCoordinator,
    ) -> Result<Audit, StorageError> {
        let (_, orphans) = self.read(coordinator).await?;
        let repaired = repair::repair(coordinator, &orphans).await?;
        Ok(Audit { repaired: Some(repaired), ..self.audit(coordinator).await? })
    }

    async fn read(
        &self,
        coordinator: &CheckoutCoordinator,
    ) -> Result<(Audit, Vec<Orphan>), StorageError> {
        let pending = coordinator.runner.pending.entries().await?;
        let mut first = FirstReading { pending, ..FirstReading::default() };
        first.audit.unfinished = first.pending.len() as u64;
        self.orders(&mut first).await?;
        self.balances(&mut first).await?;
        let FirstReading { mut audit, suspects, .. } = first;
        let found = judge(&self.scan, &coordinator.runner, suspects).await?;
        audit.unsettled = found.unsettled;
        let mut differences = found.sums;
        differences.extend(found.orphans.iter().map(Orphan::difference));
        // They are judged side by side, and two audits of one store are to say the same.
        differences.sort_by_cached_key(Difference::to_string);
        differences.into_iter().for_each(|difference| audit.differs(difference));
        Ok((audit, found.orphans))
    }

    async fn orders(&self, first: &mut FirstReading) -> Result<(), StorageError> {
        let (pages, mut progress) = (self.scan.orders(), Progress::of_table("the orders"));
        futures::pin_mut!(pages);
        while let Some(page) = pages.try_next().await? {
            progress.add(&page);
            for (id, row) in page.rows {
                first.audit.orders += 1;
                if let Some(attempt_id) = row.state.attempt_id()
                    && first.pending.get(&attempt_id) == Some(&id)
                {
                    first.owners.insert(attempt_id, row.is_paid());
                } else if let Some(attempt_id) = row.state.attempt_in_progress() {
                    first.suspects.orders.push((id, attempt_id));
                }
                first.audit.paid_orders += u64::from(first.captured.add(row));
            }
        }
        Ok(())
    }

    async fn balances(&self, first: &mut FirstReading) -> Result<(), StorageError> {
        let (pages, mut progress) = (self.scan.balances(), Progress::of_table("the accounts"));
        futures::pin_mut!(pages);
        while let Some(page) = pages.try_next().await? {
            progress.add(&page);
            for row in page.rows {
                let Some(balance) = row.balance() else { continue };
                let key = row.key()?;
                first.count(&key, balance);
                if !self.agrees(&key, balance, first).await? {
                    first.suspects.accounts.push(key);
                }
            }
        }
        Ok(())
    }

    /// Whether the sums are right and every reservation is explained, as far as the first reading
    /// tells.
    async fn agrees(
        &self,
        key: &AccountKey,
        balance: Balance,
        first: &FirstReading,
    ) -> Result<bool, StorageError> {
        let reservations = match balance.reserved {
            0 => Vec::new(),
            _ => self.scan.reservations(key).await?,
        };
        let mut uncaptured = 0;
        for (attempt_id, amount) in &reservations {
            match first.owners.get(attempt_id) {
                Some(true) => uncaptured += amount,
                Some(false) => {}
                None => return Ok(false),
            }
        }
        let captured = first.captured.of(key, balance.epoch);
        Ok(differences(key, balance, &reservations, uncaptured, captured).is_empty())
    }
}

impl FirstReading {
    fn count(&mut self, key: &AccountKey, balance: Balance) {
        match key {
            AccountKey::User(_) => self.audit.users += 1,
            AccountKey::Item(_) => self.audit.items += 1,
        }
        self.audit.reset += self.captured.former_orders(key, balance.epoch);
        self.audit.reset += u64::from(balance.written_off != 0);
    }
}
