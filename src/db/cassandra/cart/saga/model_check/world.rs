//! What the model check holds in one state: the tables, the writes under way, and the servers that
//! run attempts. How a server goes on is in `servers`.

use uuid::Uuid;

use super::super::balance::{Balance, OpRecord, OpState};
use super::super::order_state::OrderState;
use super::super::saga_state::{SagaOutcome, SagaState};

/// A conditional write of one partition that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Order {
        order: usize,
        if_version: u8,
        state: OrderState,
    },
    Account {
        account: usize,
        if_version: i64,
        op_id: Uuid,
        if_record: Option<OpRecord>,
        balance: Balance,
        record: OpRecord,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Account {
    pub(super) balance: Balance,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) orders: Vec<(u8, OrderState)>,
    pub(super) accounts: Vec<Account>,
    /// Whether the attempt of each job was started, which happens once.
    pub(super) started: Vec<bool>,
    pub(super) owners: Vec<Option<Actor>>,
    pub(super) outcomes: Vec<Option<SagaOutcome>>,
    pub(super) recoverers: Vec<Option<Actor>>,
    /// Whether the attempt of each job is recorded in its slot.
    pub(super) recorded: Vec<bool>,
    pub(super) slots: Vec<Slot>,
    pub(super) late: Vec<Write>,
    pub(super) losses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Owner(usize),
    Recoverer(usize),
}

/// The attempt of a job, and the job of an attempt.
pub(super) fn attempt_id(job: usize) -> Uuid {
    Uuid::from_u128(job as u128 + 1)
}

fn job_of(attempt_id: Uuid) -> usize {
    attempt_id.as_u128() as usize - 1
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
        let balance = Balance { version: 1, available, added: available, ..Balance::default() };
        Self { balance, records: Vec::new() }
    }

    pub(super) fn record(&self, op_id: Uuid) -> Option<OpRecord> {
        self.records.iter().find(|(of, _)| *of == op_id).map(|(_, record)| *record)
    }

    /// Open reservations: the job of each, and its amount.
    pub(super) fn reservations(&self) -> impl Iterator<Item = (usize, i64)> {
        let open = self.records.iter().filter(|(_, record)| record.state == OpState::Reserved);
        open.map(|(op_id, record)| (job_of(*op_id), record.amount))
    }
}

impl World {
    pub(super) fn apply(&mut self, write: &Write) -> bool {
        match write {
            Write::Order { order, if_version, state } => {
                let found = &mut self.orders[*order];
                let applies = found.0 == *if_version;
                if applies {
                    *found = (found.0 + 1, state.clone());
                }
                applies
            }
            Write::Account { account, if_version, op_id, if_record, balance, record } => {
                let found = &mut self.accounts[*account];
                let applies =
                    found.balance.version == *if_version && found.record(*op_id) == *if_record;
                if applies {
                    found.balance = *balance;
                    found.records.retain(|(of, _)| of != op_id);
                    found.records.push((*op_id, *record));
                    found.records.sort_by_key(|(of, _)| *of);
                }
                applies
            }
        }
    }

    /// Drops late writes whose version is gone: they can never apply.
    pub(super) fn forget(&mut self) {
        let (orders, accounts) = (&self.orders, &self.accounts);
        self.late.retain(|write| match write {
            Write::Order { order, if_version, .. } => orders[*order].0 == *if_version,
            Write::Account { account, if_version, .. } => {
                accounts[*account].balance.version == *if_version
            }
        });
    }

    pub(super) fn actor(&mut self, who: Who) -> &mut Option<Actor> {
        match who {
            Who::Owner(n) => &mut self.owners[n],
            Who::Recoverer(n) => &mut self.recoverers[n],
        }
    }
}
