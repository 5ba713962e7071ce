//! The audit's arithmetic: what the orders say of an account, compared with the account. Pure.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::records::Reservation;
use crate::cart::model::OrderId;
use crate::db::cassandra::cart::accounts_table::AccountKey;
use crate::db::cassandra::cart::orders_table::{OrderRow, state_name};
use crate::db::cassandra::cart::saga::balance::Balance;
use crate::db::cassandra::cart::saga::order_state::OrderState;
use crate::db::storage::Difference;

/// What paid orders have captured, by account and epoch: how much, and by how many.
#[derive(Default)]
pub(super) struct CapturedByOrders(HashMap<AccountKey, HashMap<i64, (i128, u64)>>);

/// What an order says of one account: the amount, in that epoch.
type Part = (AccountKey, i64, i64);

/// What orders say of some accounts, and which of some attempts own an order.
pub(super) struct Attribution {
    accounts: HashSet<AccountKey>,
    attempts: HashSet<Uuid>,
    pub(super) captured: CapturedByOrders,
    pub(super) owners: HashMap<Uuid, Owner>,
    /// What is being reversed of each account: the attempt that reverses it, the epoch, the amount.
    reversing: HashMap<AccountKey, Vec<(Uuid, i64, i64)>>,
}

/// The order that an attempt owns, or has paid.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) order: OrderId,
    pub(super) state: &'static str,
    pub(super) is_paid: bool,
}

impl CapturedByOrders {
    /// Adds what an order captures, if it is paid.
    pub(super) fn add(&mut self, row: OrderRow) -> bool {
        let OrderState::Paid { epochs, .. } = row.state.clone() else { return false };
        self.add_parts(parts(row, epochs));
        true
    }

    fn add_parts(&mut self, parts: impl Iterator<Item = Part>) {
        for (key, epoch, amount) in parts {
            let sum = self.0.entry(key).or_default().entry(epoch).or_default();
            *sum = (sum.0 + i128::from(amount), sum.1 + 1);
        }
    }

    /// How much is captured of an account in its present epoch.
    pub(super) fn of(&self, key: &AccountKey, epoch: i64) -> i128 {
        self.0.get(key).and_then(|sums| sums.get(&epoch)).map_or(0, |sum| sum.0)
    }

    /// How many orders have captured something of an account before it was reset.
    pub(super) fn former_orders(&self, key: &AccountKey, epoch: i64) -> u64 {
        let former = self.0.get(key).into_iter().flatten().filter(|(other, _)| **other != epoch);
        former.map(|(_, (_, orders))| orders).sum()
    }
}

impl Attribution {
    /// Of these accounts, and of these attempts.
    pub(super) fn of(accounts: HashSet<AccountKey>, attempts: HashSet<Uuid>) -> Self {
        Self {
            accounts,
            attempts,
            captured: CapturedByOrders::default(),
            owners: HashMap::new(),
            reversing: HashMap::new(),
        }
    }

    /// Adds what an order says.
    pub(super) fn add(&mut self, order: OrderId, row: OrderRow) {
        let Some(attempt_id) = row.state.attempt_id() else { return };
        let (state, is_paid) = (state_name(&row.state), row.is_paid());
        if self.attempts.contains(&attempt_id) {
            self.owners.insert(attempt_id, Owner { order, state, is_paid });
        }
        let (OrderState::Paid { epochs, .. } | OrderState::Reversing { epochs, .. }) =
            row.state.clone()
        else {
            return;
        };
        let of_accounts = parts(row, epochs).filter(|(key, ..)| self.accounts.contains(key));
        if is_paid {
            return self.captured.add_parts(of_accounts);
        }
        for (key, epoch, amount) in of_accounts {
            self.reversing.entry(key).or_default().push((attempt_id, epoch, amount));
        }
    }

    /// What is being reversed of an account in that epoch: by which attempt, and how much. It is
    /// captured until the account has a record of that attempt.
    pub(super) fn reversing(
        &self,
        key: &AccountKey,
        epoch: i64,
    ) -> impl Iterator<Item = (Uuid, i64)> {
        let all = self.reversing.get(key).into_iter().flatten();
        all.filter(move |(_, of, _)| *of == epoch).map(|(op_id, _, amount)| (*op_id, *amount))
    }
}

/// What an order takes of its user and of each item.
fn parts(row: OrderRow, epochs: Vec<i64>) -> impl Iterator<Item = Part> {
    let user = (AccountKey::User(row.user.clone()), row.cost());
    let items =
        row.lines.into_iter().map(|line| (AccountKey::Item(line.item), line.quantity.signed()));
    let parts = std::iter::once(user).chain(items).zip(epochs);
    parts.map(|((key, amount), epoch)| (key, epoch, amount))
}

/// Compares an account with its own sums, with its records, and with what orders have captured of it
/// in this epoch. `uncaptured`: what paid orders have still reserved.
pub(super) fn differences(
    key: &AccountKey,
    balance: Balance,
    reservations: &[Reservation],
    uncaptured: i64,
    captured: i128,
) -> Vec<Difference> {
    let reserved = reservations.iter().map(|(_, amount)| i128::from(*amount)).sum::<i128>();
    let captured_here = i128::from(balance.captured) + i128::from(uncaptured);
    let taken = match key {
        AccountKey::User(_) => "charged",
        AccountKey::Item(_) => "sold",
    };
    let mut differences: Vec<_> = available_differs(key, balance).into_iter().collect();
    if i128::from(balance.reserved) != reserved {
        let what = format!("reserved {}", available_of(key));
        differences.push(Difference::Sum {
            what,
            found: balance.reserved.into(),
            expected: reserved,
        });
    }
    if captured_here != captured {
        let what = of(taken, key);
        differences.push(Difference::Sum { what, found: captured_here, expected: captured });
    }
    differences
}

/// Compares what is available of an account with its other sums.
pub(super) fn available_differs(key: &AccountKey, balance: Balance) -> Option<Difference> {
    let rest =
        [balance.removed, balance.captured, balance.written_off, balance.reserved].map(i128::from);
    let (found, expected) =
        (balance.available.into(), i128::from(balance.added) - rest.iter().sum::<i128>());
    (found != expected).then(|| Difference::Sum { what: of(available(key), key), found, expected })
}

/// Whose sum it is, such as `credit of user 5`.
fn of(sum: &str, key: &AccountKey) -> String {
    format!("{sum} of {} {}", key.kind(), key.id())
}

/// What is available of an account, such as `credit of user 5`.
pub(super) fn available_of(key: &AccountKey) -> String {
    of(available(key), key)
}

const fn available(key: &AccountKey) -> &'static str {
    match key {
        AccountKey::User(_) => "credit",
        AccountKey::Item(_) => "stock",
    }
}
