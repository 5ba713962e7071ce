//! Many operations on one account, planned as one conditional batch. Pure: `account_batcher` reads
//! the account, writes the batch and answers the callers; what one operation does is in `balance`.
//!
//! Operations are decided one after the other, each on what those before it leave, so the batch
//! costs one LWT however many there are.

use std::collections::HashMap;

use uuid::Uuid;

use super::balance::{
    AccountOp, Balance, Decision, Expected, OpOutcome, OpRecord, OpState, decide,
};

/// An account as it was read at one moment, with the records that were asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::db) struct Account {
    pub(in crate::db) balance: Option<Balance>,
    /// The operation that created or reset the account.
    pub(in crate::db) created_by: Uuid,
    pub(in crate::db) records: HashMap<Uuid, OpRecord>,
}

/// A change of an account: its balance, if that still has this version, and its records with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) struct AccountChange {
    pub(in crate::db) if_version: Option<i64>,
    pub(in crate::db) balance: Balance,
    pub(in crate::db) created_by: Uuid,
    /// Each record: its state before, which the write tests, and the record after.
    pub(in crate::db) records: Vec<(Uuid, Option<OpState>, OpRecord)>,
}

/// An operation to be done on an account; its deadline is in its context.
pub(in crate::db) struct AccountRequest {
    pub(in crate::db) op_id: Uuid,
    pub(in crate::db) op: AccountOp,
    pub(in crate::db) expected: Option<Expected>,
}

/// What operations are decided from.
pub(in crate::db) struct Snapshot {
    pub(in crate::db) account: Account,
    /// Whether it was a SERIAL read. A refusal needs one: a cached or plainly read balance may lag.
    pub(in crate::db) serial: bool,
}

/// What comes of the operations of one batch.
pub(in crate::db) struct Plan {
    pub(in crate::db) change: Option<AccountChange>,
    /// The outcome of each operation, in the order of the requests; `None`: it waits.
    pub(in crate::db) outcomes: Vec<Option<OpOutcome>>,
    /// Whether one of them can only be decided after a SERIAL read.
    pub(in crate::db) needs_serial: bool,
    /// Whether all of them had ended before. A record never goes back, so any read proves it.
    pub(in crate::db) already_ended: bool,
}

/// The account as the callers and the cache expect it, without a read; `None` if one of them does
/// not know.
pub(in crate::db) fn optimistic<'a>(
    balance: Option<Balance>,
    mut requests: impl Iterator<Item = &'a AccountRequest> + Clone,
) -> Option<Account> {
    let new = requests.clone().all(|request| request.expected == Some(Expected::NoAccount));
    if balance.is_none() && !new || !requests.all(|request| request.expected.is_some()) {
        return None;
    }
    let reserved = requests.filter_map(|request| match request.expected {
        Some(Expected::Reserved(amount)) => {
            Some((request.op_id, OpRecord { state: OpState::Reserved, amount }))
        }
        _ => None,
    });
    Some(Account { balance, created_by: Uuid::nil(), records: reserved.collect() })
}

/// Decides operations one after the other, each on what those before it leave.
pub(in crate::db) fn plan<'a>(
    Snapshot { account, serial }: &Snapshot,
    requests: impl Iterator<Item = &'a AccountRequest>,
) -> Plan {
    let (mut now, mut changed) = (account.clone(), Vec::new());
    let (mut needs_serial, mut already_ended) = (false, true);
    let outcomes = requests.map(|request| {
        let record = now.record(request);
        // A capture without a record changes nothing, so the batch has no condition that would
        // refuse a stale read: only a SERIAL read proves that there is no record.
        if !serial && record.is_none() && request.op == AccountOp::Capture {
            (needs_serial, already_ended) = (true, false);
            return None;
        }
        let mut before = true;
        already_ended &= record.is_some_and(|record| record.state != OpState::Reserved);
        match decide(now.balance, record, request.op) {
            Decision::Change(balance, record) => {
                (now.balance, before) = (Some(balance), false);
                match request.op {
                    AccountOp::Create { .. } => now.created_by = request.op_id,
                    _ => {
                        now.records.insert(request.op_id, record);
                        changed.push(request.op_id);
                    }
                }
            }
            Decision::NoOp => {}
            Decision::Wait => return None,
            Decision::Refused(reason) => return Some(OpOutcome::Refused(reason)),
            Decision::Fenced => return Some(OpOutcome::Fenced),
        }
        Some(OpOutcome::Done { epoch: now.balance.map_or(0, |balance| balance.epoch), before })
    });
    let outcomes: Vec<_> = outcomes.collect();
    changed.sort_unstable();
    changed.dedup();
    let records = changed.iter().map(|op_id| {
        let before = account.records.get(op_id).map(|record| record.state);
        (*op_id, before, now.records[op_id])
    });
    let records: Vec<_> = records.collect();
    let balance = now.balance.filter(|_| now.balance != account.balance);
    let if_version = account.balance.map(|balance| balance.version);
    let change = balance.map(|balance| AccountChange {
        if_version,
        balance,
        created_by: now.created_by,
        records,
    });
    Plan { change, outcomes, needs_serial, already_ended }
}

impl Account {
    /// Whether an operation that has no reservation was done. An account is created under an id of its
    /// own: one that is there was created by this operation, and must not be reset.
    pub(in crate::db) fn was_done(&self, op_id: Uuid, op: AccountOp) -> bool {
        match op {
            AccountOp::Create { .. } => self.balance.is_some(),
            _ => self.records.contains_key(&op_id),
        }
    }

    /// The record of an operation. That of the creation is in the balance's row.
    fn record(&self, request: &AccountRequest) -> Option<OpRecord> {
        let created_by =
            matches!(request.op, AccountOp::Create { .. }) && self.created_by == request.op_id;
        let done = OpRecord { state: OpState::Done, amount: 0 };
        if created_by { Some(done) } else { self.records.get(&request.op_id).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCE: Balance = Balance {
        version: 5,
        available: 2,
        reserved: 1,
        captured: 0,
        added: 3,
        removed: 0,
        written_off: 0,
        epoch: 4,
        price: 1,
    };

    fn request(op_id: u128, op: AccountOp) -> AccountRequest {
        let expected = Some(Expected::NoRecord);
        AccountRequest { op_id: Uuid::from_u128(op_id), op, expected }
    }

    fn snapshot(serial: bool, records: &[(u128, OpState)]) -> Snapshot {
        let record = |(op_id, state): &(u128, OpState)| {
            (Uuid::from_u128(*op_id), OpRecord { state: *state, amount: 1 })
        };
        let account = Account {
            balance: Some(BALANCE),
            created_by: Uuid::nil(),
            records: records.iter().map(record).collect(),
        };
        Snapshot { account, serial }
    }

    const DONE: Option<OpOutcome> = Some(OpOutcome::Done { epoch: 4, before: false });
    const DONE_BEFORE: Option<OpOutcome> = Some(OpOutcome::Done { epoch: 4, before: true });

    #[test]
    fn operations_reserve_in_their_order_and_the_rest_waits() {
        let requests: Vec<_> = (1..5).map(|op_id| request(op_id, AccountOp::Reserve(1))).collect();
        let plan = plan(&snapshot(false, &[]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE, None, None]);
        let change = plan.change.unwrap();
        assert_eq!(
            (change.if_version, change.balance.version, change.balance.reserved),
            (Some(5), 7, 3)
        );
        assert!(change.records.iter().all(|(_, before, _)| before.is_none()));
        assert_eq!(change.records.len(), 2);
    }

    #[test]
    fn a_release_can_be_reserved_in_the_same_batch() {
        let requests = [request(9, AccountOp::Release), request(1, AccountOp::Reserve(3))];
        let plan = plan(&snapshot(true, &[(9, OpState::Reserved)]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
    }

    #[test]
    fn a_repeated_operation_in_one_batch_is_done_once() {
        let requests = [request(9, AccountOp::Capture), request(9, AccountOp::Capture)];
        let plan = plan(&snapshot(true, &[(9, OpState::Reserved)]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE_BEFORE]);
        let change = plan.change.unwrap();
        assert_eq!((change.balance.captured, change.records.len()), (1, 1));
    }

    #[test]
    fn a_capture_without_a_record_needs_a_serial_read() {
        let requests = [request(9, AccountOp::Capture)];
        for serial in [false, true] {
            let plan = plan(&snapshot(serial, &[]), requests.iter());
            assert_eq!((plan.needs_serial, plan.outcomes[0].is_some()), (!serial, serial));
            assert!(plan.change.is_none());
        }
    }

    #[test]
    fn an_ended_operation_needs_no_serial_read() {
        let requests = [request(9, AccountOp::Capture)];
        for (state, already_ended) in [(OpState::Done, true), (OpState::Reserved, false)] {
            assert_eq!(
                plan(&snapshot(false, &[(9, state)]), requests.iter()).already_ended,
                already_ended
            );
        }
    }

    #[test]
    fn a_repeated_creation_does_not_reset_the_account() {
        let requests = [request(9, AccountOp::Create { available: 1, price: 1 })];
        let mut snapshot = snapshot(true, &[]);
        snapshot.account.created_by = Uuid::from_u128(9);
        let plan = plan(&snapshot, requests.iter());
        assert_eq!((plan.outcomes, plan.change.is_none()), (vec![DONE_BEFORE], true));
    }

    #[test]
    fn an_operation_without_an_expectation_needs_a_read() {
        let unknown = AccountRequest { expected: None, ..request(1, AccountOp::Capture) };
        let new = request(2, AccountOp::Reserve(1));
        assert!(optimistic(Some(BALANCE), [&unknown, &new].into_iter()).is_none());
        assert!(optimistic(None, [&new].into_iter()).is_none());
        assert!(optimistic(Some(BALANCE), [&new].into_iter()).is_some());
    }
}
