//! What the model check holds in one state: the tables, the writes under way, and the servers that
//! run attempts, edits and fixtures. How a server goes on is in `attempts` and `clients`.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::super::account_batch::{self, AccountChange};
use super::super::balance::{Balance, OpRecord, OpState};
use super::super::order_state::OrderState;
use super::super::saga_state::{SagaOutcome, SagaState};
use crate::cart::model::Line;

/// The price of every item.
pub(super) const PRICE: i64 = 2;

/// A conditional write of one partition that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Order {
        order: usize,
        /// `None`: if there is no order.
        if_version: Option<u8>,
        /// `None`: the order is removed.
        row: Option<Row>,
        /// The edit or fixture that it is of; of an attempt otherwise.
        job: Option<usize>,
    },
    Account {
        account: usize,
        change: AccountChange,
    },
}

/// An order as it is stored, without its version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    /// The account of its user.
    pub(super) user: usize,
    pub(super) lines: Arc<[Line]>,
    pub(super) state: OrderState,
}

/// The partition of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Order {
    /// Grows with every write. The rows of the real table have random versions instead, which do not
    /// come back either.
    pub(super) version: u8,
    pub(super) row: Option<Row>,
    /// The version that the row was created under: it remembers this one and later ones.
    pub(super) created: u8,
    /// Edits that were applied since the row was created, in their order, and fixtures.
    pub(super) jobs: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Account {
    pub(super) balance: Balance,
    pub(super) created_by: Uuid,
    pub(super) records: Vec<(Uuid, OpRecord)>,
}

/// A slot of the pending index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) listed: bool,
    /// Whether an attempt whose record is acknowledged now may begin. Afterwards recovery may have
    /// seen the slot for as long as it has to: the time is not modelled, but that the one is before
    /// the other.
    pub(super) takes_attempts: bool,
}

/// A server that runs an attempt: its owner, or a recoverer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) job: usize,
    pub(super) order: usize,
    /// The accounts of the user and of each item, as the order was when it was read.
    pub(super) participants: Vec<usize>,
    pub(super) saga: SagaState,
    /// Whether the attempt is in the pending index; before that it does not begin.
    pub(super) is_recorded: bool,
    /// The version of the order that the attempt begins on; it does not begin on another.
    pub(super) read: Option<u8>,
    pub(super) may_own_order: bool,
    /// It has sent a transition and does not know yet what became of it: the attempt cannot be given up
    /// any more.
    pub(super) in_transition: bool,
    pub(super) sent: Option<(Write, Option<usize>)>,
}

/// A server that runs an edit, a fixture or an operation on one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Client {
    pub(super) sent: Option<Write>,
    /// The version before each write of it whose answer was lost.
    pub(super) lost: Vec<Option<u8>>,
    pub(super) answer: Option<Answer>,
}

/// What a client is told of an edit, a fixture or an operation on one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Done,
    Refused,
    /// A 503: it may have been done.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) orders: Vec<Order>,
    pub(super) accounts: Vec<Account>,
    /// Whether the attempt of each job was started, which happens once.
    pub(super) started: Vec<bool>,
    pub(super) owners: Vec<Option<Actor>>,
    pub(super) outcomes: Vec<Option<SagaOutcome>>,
    pub(super) clients: Vec<Client>,
    pub(super) recoverers: Vec<Option<Actor>>,
    /// Whether the attempt of each job is recorded in its slot.
    pub(super) recorded: Vec<bool>,
    pub(super) slots: Vec<Slot>,
    pub(super) late: Vec<Write>,
    pub(super) losses: u8,
    pub(super) history: History,
}

/// What has happened so far, for the properties alone: no server reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct History {
    /// Jobs whose attempt has paid an order.
    pub(super) paid: Vec<usize>,
    /// Jobs whose payment was reversed.
    pub(super) reversed: Vec<usize>,
    /// How often the edit of each job was applied.
    pub(super) applied: Vec<u8>,
    /// An account refused although recovery could have made enough available.
    pub(super) refused_too_early: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Owner(usize),
    Recoverer(usize),
    Client(usize),
}

/// The attempt of a job, and the job of an attempt.
pub(super) fn attempt_id(job: usize) -> Uuid {
    Uuid::from_u128(job as u128 + 1)
}

pub(super) fn job_of(attempt_id: Uuid) -> usize {
    attempt_id.as_u128() as usize - 1
}

/// The account of an item.
pub(super) fn account_of(line: &Line) -> usize {
    line.item.as_str().parse().expect("items are named by their accounts")
}

impl Row {
    /// The accounts that a checkout reserves at.
    pub(super) fn participants(&self) -> Vec<usize> {
        std::iter::once(self.user).chain(self.lines.iter().map(account_of)).collect()
    }
}

impl Order {
    /// Whether the row still remembers that version.
    pub(super) fn has_been(&self, version: u8) -> bool {
        self.row.is_some() && (self.created..=self.version).contains(&version)
    }

    /// The version that a write tests.
    pub(super) fn read_version(&self) -> Option<u8> {
        self.row.as_ref().map(|_| self.version)
    }
}

impl Actor {
    /// It knows whether the transition was done.
    pub(super) fn on_transition(&mut self, done: bool) {
        self.in_transition = false;
        self.saga.on_transition(done);
    }
}

impl Account {
    pub(super) fn new(available: i64) -> Self {
        let sums = Balance { available, added: available, price: PRICE, ..Balance::default() };
        let balance = Balance { version: 1, ..sums };
        Self { balance, created_by: Uuid::nil(), records: Vec::new() }
    }

    /// The account with the record of an operation, as the real table reads it.
    pub(super) fn read(&self, op_id: Uuid) -> account_batch::Account {
        let records: HashMap<_, _> =
            self.record(op_id).map(|record| (op_id, record)).into_iter().collect();
        let (balance, created_by) = (Some(self.balance), self.created_by);
        account_batch::Account { balance, created_by, records }
    }

    pub(super) fn record(&self, op_id: Uuid) -> Option<OpRecord> {
        self.records.iter().find(|(of, _)| *of == op_id).map(|(_, record)| *record)
    }

    /// Open reservations: the job of each, and its amount.
    pub(super) fn reservations(&self) -> impl Iterator<Item = (usize, i64)> {
        let open = self.records.iter().filter(|(_, record)| record.state == OpState::Reserved);
        open.map(|(op_id, record)| (job_of(*op_id), record.amount))
    }

    /// Whether the conditions of a change hold.
    fn is_as_expected(&self, change: &AccountChange) -> bool {
        let state = |op_id| self.record(op_id).map(|record| record.state);
        change.if_version == Some(self.balance.version)
            && change.records.iter().all(|(op_id, before, _)| state(*op_id) == *before)
    }

    fn apply(&mut self, change: &AccountChange) {
        (self.balance, self.created_by) = (change.balance, change.created_by);
        for (op_id, _, after) in &change.records {
            self.records.retain(|(of, _)| of != op_id);
            self.records.push((*op_id, *after));
        }
        self.records.sort_by_key(|(of, _)| *of);
    }
}

impl World {
    /// Applies a write if its condition holds; whether it did. `unconditional` breaks that on purpose.
    pub(super) fn apply(&mut self, write: &Write, unconditional: bool) -> bool {
        match write {
            Write::Order { order, if_version, row, job } => {
                let applies = unconditional || self.orders[*order].read_version() == *if_version;
                if applies {
                    self.put_order(*order, row.as_ref(), *job);
                }
                applies
            }
            Write::Account { account, change } => {
                let applies = unconditional || self.accounts[*account].is_as_expected(change);
                if applies {
                    self.accounts[*account].apply(change);
                }
                applies
            }
        }
    }

    fn put_order(&mut self, number: usize, row: Option<&Row>, job: Option<usize>) {
        match row.map(|row| &row.state) {
            Some(OrderState::Paid { attempt_id, .. }) => {
                self.history.paid.push(job_of(*attempt_id));
                self.history.paid.sort_unstable();
                self.history.paid.dedup();
            }
            Some(OrderState::Reversing { .. }) => {
                let before = self.orders[number].row.as_ref().map(|row| &row.state);
                if let Some(OrderState::Paid { attempt_id, .. }) = before {
                    self.history.reversed.push(job_of(*attempt_id));
                    self.history.reversed.sort_unstable();
                }
            }
            _ => {}
        }
        let order = &mut self.orders[number];
        order.version += 1;
        if order.row.is_none() {
            order.created = order.version;
        }
        order.row = row.cloned();
        match (row, job) {
            (None, _) => order.jobs.clear(),
            (Some(_), Some(job)) => order.jobs.push(job),
            (Some(_), None) => {}
        }
        if let Some(job) = job {
            self.history.applied[job] += 1;
        }
    }

    /// Drops late writes whose version is gone: they can never apply.
    pub(super) fn forget(&mut self) {
        let (orders, accounts) = (&self.orders, &self.accounts);
        self.late.retain(|write| match write {
            Write::Order { order, if_version, .. } => match if_version {
                Some(_) => orders[*order].read_version() == *if_version,
                None => true,
            },
            Write::Account { account, change } => {
                change.if_version == Some(accounts[*account].balance.version)
            }
        });
    }

    pub(super) fn actor(&mut self, who: Who) -> &mut Option<Actor> {
        match who {
            Who::Owner(n) | Who::Client(n) => &mut self.owners[n],
            Who::Recoverer(n) => &mut self.recoverers[n],
        }
    }
}
