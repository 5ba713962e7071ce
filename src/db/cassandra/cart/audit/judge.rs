//! Judges what the first reading could not explain: a busy store is read while it changes, so what
//! looks wrong is read again before it is reported.
//!
//! A reservation is explained by an attempt that owns an order and is in the pending index; an order
//! under way is explained by its entry there. The order of the reads makes a finding certain. Each
//! thing is seen first, then the index and the orders are read, then the thing is read again, SERIAL.
//! An attempt enters the index before it reserves, and leaves it after its reservations have ended;
//! it owns its order in between. The state of a record never goes back, so a reservation that is
//! there at both reads was there all the time, and the index and an order must have shown it.
//!
//! Sums are judged if the account has the same version at both reads. One that keeps changing is
//! judged again in a further round, and in the end counted as unsettled.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::records::Reservation;
use super::scan::{Progress, Scan};
use super::sums::{Attribution, Owner, available_differs, available_of, differences};
use crate::cart::model::OrderId;
use crate::db::cassandra::cart::accounts_table::AccountKey;
use crate::db::cassandra::cart::orders_table::{damaged, state_name};
use crate::db::cassandra::cart::runner::SagaRunner;
use crate::db::cassandra::cart::saga::account_batch::Account;
use crate::db::cassandra::cart::saga::balance::{Balance, OpState};
use crate::db::cassandra::retry::retry_transient;
use crate::db::storage::{Difference, StorageError};

/// Rounds in which accounts that change meanwhile are judged; each reads all orders.
const ROUNDS: usize = 3;
/// Accounts or orders that are read at once.
const CONCURRENCY: usize = 8;
/// Records that one read asks for.
const RECORDS_AT_ONCE: usize = 100;

/// What the first reading could not explain.
#[derive(Default)]
pub(super) struct Suspects {
    pub(super) accounts: Vec<AccountKey>,
    /// Orders under way, each with its attempt.
    pub(super) orders: Vec<(OrderId, Uuid)>,
}

/// What is certain.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) orphans: Vec<Orphan>,
    pub(super) sums: Vec<Difference>,
    /// Accounts that changed in every round.
    pub(super) unsettled: u64,
    reservations: HashSet<(AccountKey, Uuid)>,
}

/// What is in progress although recovery does not know of it, so that it would stay so.
#[derive(Debug)]
pub(super) enum Orphan {
    /// `owner`: the order that the attempt owns; `None`: it owns no order.
    Reservation { key: AccountKey, attempt_id: Uuid, amount: i64, owner: Option<Owner> },
    /// An order under way.
    Order { owner: Owner, attempt_id: Uuid, cost: i64 },
}

impl Orphan {
    pub(super) fn difference(&self) -> Difference {
        match self {
            Self::Reservation { key, attempt_id, amount, owner } => Difference::Reservation {
                of: available_of(key),
                amount: *amount,
                attempt_id: attempt_id.to_string(),
                order: owner.as_ref().map(|owner| owner.order.clone()),
                state: owner.as_ref().map(|owner| owner.state),
            },
            Self::Order { owner, attempt_id, cost } => Difference::Order {
                order: owner.order.clone(),
                state: owner.state,
                amount: *cost,
                attempt_id: attempt_id.to_string(),
            },
        }
    }
}

/// Reads again what is suspected, and gives what is certain.
pub(super) async fn judge(
    scan: &Scan,
    runner: &SagaRunner,
    suspects: Suspects,
) -> Result<Findings, StorageError> {
    let orphans = orphaned_orders(runner, suspects.orders).await?;
    let mut findings = Findings { orphans, ..Findings::default() };
    let mut accounts = suspects.accounts;
    for round in 1..=ROUNDS {
        if !accounts.is_empty() {
            let is_last = round == ROUNDS;
            accounts = (Round { scan, runner, is_last }).run(accounts, &mut findings).await?;
        }
    }
    findings.unsettled = accounts.len() as u64;
    Ok(findings)
}

/// Orders under way that were not in the index: those that are under way by the same attempt still,
/// although the index, read meanwhile, has no such entry.
async fn orphaned_orders(
    runner: &SagaRunner,
    suspects: Vec<(OrderId, Uuid)>,
) -> Result<Vec<Orphan>, StorageError> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let pending = runner.pending.entries().await?;
    let is_unlisted = |(id, attempt_id): &(_, _)| pending.get(attempt_id) != Some(id);
    let unlisted: Vec<_> = suspects.into_iter().filter(is_unlisted).collect();
    let confirmed = stream::iter(unlisted).map(|(order, attempt_id)| async move {
        let row = retry_transient(|| runner.orders.find(&order, true)).await?;
        let same = row.filter(|row| row.state.attempt_in_progress() == Some(attempt_id));
        Ok::<_, StorageError>(same.map(|row| {
            let owner = Owner { order, state: state_name(&row.state), is_paid: false };
            Orphan::Order { owner, attempt_id, cost: row.cost() }
        }))
    });
    let confirmed = confirmed.buffer_unordered(CONCURRENCY);
    confirmed.try_filter_map(|orphan| std::future::ready(Ok(orphan))).try_collect().await
}

struct Round<'a> {
    scan: &'a Scan,
    runner: &'a SagaRunner,
    is_last: bool,
}

/// An account as it was read before the index and the orders.
struct Seen {
    key: AccountKey,
    balance: Balance,
    reservations: Vec<Reservation>,
}

impl Round<'_> {
    /// Judges accounts; gives those that changed meanwhile.
    async fn run(
        &self,
        accounts: Vec<AccountKey>,
        findings: &mut Findings,
    ) -> Result<Vec<AccountKey>, StorageError> {
        let seen = stream::iter(accounts).map(|key| self.see(key)).buffer_unordered(CONCURRENCY);
        let seen: Vec<Seen> = seen.try_collect().await?;
        let pending = self.runner.pending.entries().await?;
        let orders = self.attribute(&seen).await?;
        let mut changed = Vec::new();
        for seen in seen {
            let attempts = seen.reservations.iter().map(|(attempt_id, _)| *attempt_id);
            let unexplained = attempts.filter(|id| !orders.explains(*id, &pending));
            let reversing = orders.reversing(&seen.key, seen.balance.epoch).map(|(op_id, _)| op_id);
            let op_ids: Vec<_> = unexplained.chain(reversing).collect();
            let now = self.read_again(&seen.key, &op_ids).await?;
            findings.add_orphans(&seen, &now, &orders, &pending);
            if let Some(key) = self.compare(seen, &now, &orders, findings)? {
                changed.push(key);
            }
        }
        Ok(changed)
    }

    async fn see(&self, key: AccountKey) -> Result<Seen, StorageError> {
        let accounts = &self.runner.batchers.accounts;
        let account = retry_transient(|| accounts.read(&key, [], true)).await?;
        let balance = account.balance.ok_or_else(damaged)?;
        let reservations = match balance.reserved {
            0 => Vec::new(),
            _ => self.scan.reservations(&key).await?,
        };
        Ok(Seen { key, balance, reservations })
    }

    /// What all orders say of these accounts and of the attempts that have reserved something there.
    async fn attribute(&self, seen: &[Seen]) -> Result<Attribution, StorageError> {
        let attempts = seen.iter().flat_map(|seen| &seen.reservations).map(|(id, _)| *id);
        let accounts = seen.iter().map(|seen| seen.key.clone());
        let mut orders = Attribution::of(accounts.collect(), attempts.collect());
        let mut progress = Progress::of_table("the orders again");
        let pages = self.scan.orders();
        futures::pin_mut!(pages);
        while let Some(page) = pages.try_next().await? {
            progress.add(&page);
            page.rows.into_iter().for_each(|(id, row)| orders.add(id, row));
        }
        Ok(orders)
    }

    /// The account and these records, SERIAL: as the last write left them.
    async fn read_again(&self, key: &AccountKey, op_ids: &[Uuid]) -> Result<Account, StorageError> {
        let accounts = &self.runner.batchers.accounts;
        let mut account = Account::default();
        let (first, rest) = op_ids.split_at(op_ids.len().min(RECORDS_AT_ONCE));
        for op_ids in std::iter::once(first).chain(rest.chunks(RECORDS_AT_ONCE)) {
            let read = || accounts.read(key, op_ids.to_vec(), true);
            let Account { balance, created_by, records } = retry_transient(read).await?;
            (account.balance, account.created_by) = (balance, created_by);
            account.records.extend(records);
        }
        Ok(account)
    }

    /// Compares the sums of an account that has not changed; gives one that has.
    fn compare(
        &self,
        seen: Seen,
        now: &Account,
        orders: &Attribution,
        findings: &mut Findings,
    ) -> Result<Option<AccountKey>, StorageError> {
        let Seen { key, balance, reservations } = seen;
        let balance_now = now.balance.ok_or_else(damaged)?;
        if balance_now.version != balance.version {
            // What is available follows from the same row, so it is of one moment.
            let differs = available_differs(&key, balance_now).filter(|_| self.is_last);
            findings.sums.extend(differs);
            return Ok(Some(key));
        }
        let is_paid = |id: &Uuid| orders.owners.get(id).is_some_and(|owner| owner.is_paid);
        let uncaptured = reservations.iter().filter(|(id, _)| is_paid(id));
        let uncaptured = uncaptured.map(|(_, amount)| amount).sum::<i64>();
        // The reversal has not reached this account yet.
        let reversing = orders.reversing(&key, balance.epoch);
        let reversing = reversing.filter(|(op_id, _)| !now.records.contains_key(op_id));
        let captured = orders.captured.of(&key, balance.epoch)
            + reversing.map(|(_, amount)| i128::from(amount)).sum::<i128>();
        findings.sums.extend(differences(&key, balance, &reservations, uncaptured, captured));
        Ok(None)
    }
}

impl Attribution {
    /// Whether the attempt owns an order, and recovery knows of it.
    fn explains(&self, attempt_id: Uuid, pending: &HashMap<Uuid, OrderId>) -> bool {
        let owner = self.owners.get(&attempt_id);
        owner.is_some_and(|owner| pending.get(&attempt_id) == Some(&owner.order))
    }
}

impl Findings {
    /// Adds the reservations that are not explained and are still there.
    fn add_orphans(
        &mut self,
        seen: &Seen,
        now: &Account,
        orders: &Attribution,
        pending: &HashMap<Uuid, OrderId>,
    ) {
        for &(attempt_id, amount) in &seen.reservations {
            let record = now.records.get(&attempt_id);
            let is_reserved = record.is_some_and(|record| record.state == OpState::Reserved);
            if is_reserved
                && !orders.explains(attempt_id, pending)
                && self.reservations.insert((seen.key.clone(), attempt_id))
            {
                let (key, owner) = (seen.key.clone(), orders.owners.get(&attempt_id).cloned());
                self.orphans.push(Orphan::Reservation { key, attempt_id, amount, owner });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cart::model::ItemId;
    use crate::db::cassandra::cart::saga::balance::OpRecord;

    /// Whether a reservation that was seen is a finding, when its record is in that state afterwards.
    fn is_orphan(state_now: Option<OpState>, owner: Option<Owner>, is_indexed: bool) -> bool {
        let (key, attempt_id) = (AccountKey::Item(ItemId::new()), Uuid::now_v7());
        let seen = Seen {
            key: key.clone(),
            balance: Balance::default(),
            reservations: vec![(attempt_id, 3)],
        };
        let mut now = Account::default();
        if let Some(state) = state_now {
            now.records.insert(attempt_id, OpRecord { state, amount: 3 });
        }
        let pending = owner.iter().map(|owner| (attempt_id, owner.order.clone()));
        let pending = pending.filter(|_| is_indexed).collect();
        let mut orders = Attribution::of(HashSet::from([key]), HashSet::from([attempt_id]));
        orders.owners.extend(owner.map(|owner| (attempt_id, owner)));
        let mut findings = Findings::default();
        findings.add_orphans(&seen, &now, &orders, &pending);
        findings.orphans.len() == 1
    }

    #[test]
    fn a_reservation_is_a_finding_if_nothing_explains_it_and_it_is_still_there() {
        let owner = || Some(Owner { order: OrderId::new(), state: "pending", is_paid: false });
        let reserved = Some(OpState::Reserved);
        assert!(is_orphan(reserved, None, false));
        assert!(is_orphan(reserved, owner(), false), "recovery does not find its attempt");
        assert!(!is_orphan(reserved, owner(), true));
        for ended in [None, Some(OpState::Done), Some(OpState::Released)] {
            assert!(!is_orphan(ended, None, false), "{ended:?}: it has ended since");
        }
    }
}
