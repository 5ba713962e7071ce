//! What a model check tries: the jobs of clients, the orders and accounts at the beginning, and what
//! may go wrong.

use super::super::balance::AccountOp;
use super::super::order_state::{OrderState, Reversal};
use super::world::{Account, Client, History, Order, PRICE, Row, Slot, World};
use crate::cart::model::{Amount, ItemId, Line};

/// What a client wants. Each is started once, at any moment.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// Checks an order out; the attempt is recorded in that slot of the pending index.
    Checkout { order: usize, slot: usize },
    /// Reverses a paid order.
    Reverse { order: usize, reversal: Reversal, slot: usize },
    /// Adds pieces of an item to an open order.
    AddItem { order: usize, item: usize, quantity: u64 },
    /// Takes one piece off an open order.
    RemoveItem { order: usize, item: usize },
    /// Removes an open order.
    RemoveOrder { order: usize },
    /// Puts an order in place of that one; what that has captured is written off by an attempt that is
    /// recorded in the slot.
    PutOrder { order: usize, row: Row, slot: usize },
    /// One operation on an account: a reset by fixtures, or an operation without an order.
    Operation { account: usize, op: AccountOp },
}

/// What the model is broken by on purpose, to show that the check would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// An attempt that runs out of time after its commit point ends, and its record goes.
    GivesUpAfterCommit,
    /// The record goes before the last reservation is released.
    ClearsBeforeRelease,
    /// A slot is closed while an attempt may still be recorded and begin.
    ClosesUsedSlot,
    /// An attempt begins on another version of the order than it has read.
    BeginsOnAnyVersion,
    /// An attempt whose commit is under way is given up.
    GivesUpDuringCommit,
    /// An operation is refused although what it lacks may be released.
    RefusesInsteadOfWaiting,
    /// A write of an account tests nothing.
    WritesAccountsBlindly,
    /// An edit does not wait for the attempt that owns the order.
    EditsPendingOrder,
    /// A write of an edit tests nothing.
    WritesEditsBlindly,
    /// An edit whose answer was lost is done again.
    RepeatsLostEdit,
    /// Fixtures replace a paid order, and what it has captured stays.
    OverwritesPaidOrder,
}

#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) jobs: Vec<Job>,
    /// The orders at the beginning; `None`: there is none yet.
    pub(super) orders: Vec<Option<Row>>,
    /// What each account has at the beginning.
    pub(super) available: Vec<i64>,
    pub(super) recoverers: usize,
    /// Answers that may be lost.
    pub(super) losses: u8,
    /// Whether servers run out of time.
    pub(super) timeouts: bool,
    /// Whether slots become too old for new attempts and are closed.
    pub(super) slots_close: bool,
    pub(super) defect: Option<Defect>,
}

impl Job {
    /// The slot that its attempt is recorded in, if it makes one.
    pub(super) const fn slot(&self) -> Option<usize> {
        match self {
            Self::Checkout { slot, .. }
            | Self::Reverse { slot, .. }
            | Self::PutOrder { slot, .. } => Some(*slot),
            _ => None,
        }
    }

    /// Whether it begins as an attempt. Fixtures make one only if the order is paid.
    pub(super) const fn is_attempt(&self) -> bool {
        matches!(self, Self::Checkout { .. } | Self::Reverse { .. })
    }
}

impl Scenario {
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    pub(super) fn first_state(&self) -> World {
        let slots = self.jobs.iter().filter_map(|job| job.slot().map(|slot| slot + 1)).max();
        let order = |row: &Option<Row>| Order {
            version: 0,
            row: row.clone(),
            created: 0,
            jobs: Vec::new(),
        };
        let jobs = self.jobs.len();
        World {
            orders: self.orders.iter().map(order).collect(),
            accounts: self.available.iter().copied().map(Account::new).collect(),
            started: vec![false; jobs],
            owners: vec![None; jobs],
            outcomes: vec![None; jobs],
            clients: vec![Client::default(); jobs],
            recoverers: vec![None; self.recoverers],
            recorded: vec![false; jobs],
            slots: vec![Slot { listed: false, takes_attempts: true }; slots.unwrap_or(0)],
            late: Vec::new(),
            losses: self.losses,
            history: History { applied: vec![0; jobs], ..History::default() },
        }
    }
}

/// An open order of that user, of so many pieces of each item.
pub(super) fn open(user: usize, items: &[(usize, u64)]) -> Row {
    let amount = |value| Amount::new(value).expect("a small amount");
    let lines = items.iter().map(|(item, quantity)| Line {
        item: item_id(*item),
        quantity: amount(*quantity),
        cost: amount(quantity * PRICE as u64),
    });
    Row { user, lines: lines.collect(), state: OrderState::Open }
}

/// The name of the item of an account.
pub(super) fn item_id(account: usize) -> ItemId {
    ItemId::numbered(account as u64)
}
