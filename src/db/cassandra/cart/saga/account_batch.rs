//! What a batcher makes of the moves that wait at it. Pure.

use std::collections::HashMap;

use tokio::time::Instant;
use uuid::Uuid;

use super::balance::{AccountOp, Balance, Decision, Expected, OpRecord, OpState, decide};
use super::saga_state::{OpOutcome, RefusalReason};

/// What was read of an account at one moment.
#[derive(Debug, Clone, Default)]
pub(in crate::db) struct Account {
    pub(in crate::db) balance: Option<Balance>,
    /// Who began the account.
    pub(in crate::db) created_by: Uuid,
    pub(in crate::db) records: HashMap<Uuid, OpRecord>,
}

/// A change of an account: the balance of that version becomes another, and rows with it.
pub(in crate::db) struct AccountChange {
    pub(in crate::db) if_version: Option<i64>,
    pub(in crate::db) balance: Balance,
    pub(in crate::db) created_by: Uuid,
    /// Each row as it must be, and as it shall be.
    pub(in crate::db) records: Vec<(Uuid, Option<OpState>, OpRecord)>,
}

/// A move that somebody waits for.
pub(in crate::db) struct AccountRequest {
    pub(in crate::db) op_id: Uuid,
    pub(in crate::db) op: AccountOp,
    pub(in crate::db) expected: Option<Expected>,
    pub(in crate::db) deadline: Instant,
}

/// What a batcher decides from.
pub(in crate::db) struct Snapshot {
    pub(in crate::db) account: Account,
    /// Whether it is as the last write has left it.
    pub(in crate::db) serial: bool,
}

/// What comes of the moves that were looked at.
pub(in crate::db) struct Plan {
    pub(in crate::db) change: Option<AccountChange>,
    /// For each of them in transition; `None`: it waits on.
    pub(in crate::db) outcomes: Vec<Option<OpOutcome>>,
    /// Whether one of them can only be decided about for certain.
    pub(in crate::db) needs_serial: bool,
    /// Whether all of them have ended before, which stays so: a row never goes back.
    pub(in crate::db) already_ended: bool,
}

/// What the moves would find if all is as it is believed to be.
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

/// Decides about moves one after the other, each finding what those before it leave.
pub(in crate::db) fn plan<'a>(
    Snapshot { account, serial }: &Snapshot,
    requests: impl Iterator<Item = &'a AccountRequest>,
) -> Plan {
    let (mut now, mut changed) = (account.clone(), Vec::new());
    let (mut needs_serial, mut already_ended) = (false, true);
    let outcomes = requests.map(|request| {
        let record = now.record(request);
        // No condition of the batch would notice a row that was overlooked.
        if !serial && record.is_none() && request.op == AccountOp::Capture {
            (needs_serial, already_ended) = (true, false);
            return None;
        }
        already_ended &= record.is_some_and(|record| record.state != OpState::Reserved);
        let moved = outcome(decide(now.balance, record, request.op), |balance, record| {
            now.balance = Some(balance);
            match request.op {
                AccountOp::Create { .. } => now.created_by = request.op_id,
                _ => {
                    now.records.insert(request.op_id, record);
                    changed.push(request.op_id);
                }
            }
        });
        moved.map(|moved| match moved {
            OpOutcome::Done { .. } => {
                OpOutcome::Done { epoch: now.balance.map_or(0, |balance| balance.epoch) }
            }
            other => other,
        })
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

/// What becomes of a move; `None`: it waits.
fn outcome(decision: Decision, change: impl FnOnce(Balance, OpRecord)) -> Option<OpOutcome> {
    Some(match decision {
        Decision::Change(balance, record) => {
            change(balance, record);
            OpOutcome::Done { epoch: balance.epoch }
        }
        Decision::Done => OpOutcome::Done { epoch: 0 },
        Decision::Wait => return None,
        Decision::Missing => OpOutcome::Refused(RefusalReason::Missing),
        Decision::Insufficient => OpOutcome::Refused(RefusalReason::Insufficient),
        Decision::Overflow => OpOutcome::Refused(RefusalReason::Overflow),
        Decision::Fenced => OpOutcome::Fenced,
    })
}

impl Account {
    /// The row of an op_id. Whoever began the account is noted in its balance.
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
        AccountRequest { op_id: Uuid::from_u128(op_id), op, expected, deadline: Instant::now() }
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

    const DONE: Option<OpOutcome> = Some(OpOutcome::Done { epoch: 4 });

    #[test]
    fn who_comes_first_is_served_and_the_others_wait() {
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
    fn what_is_given_back_can_be_had_in_the_same_batch() {
        let requests = [request(9, AccountOp::Release), request(1, AccountOp::Reserve(3))];
        let plan = plan(&snapshot(true, &[(9, OpState::Reserved)]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
    }

    #[test]
    fn one_act_is_done_once_however_many_want_it() {
        let requests = [request(9, AccountOp::Capture), request(9, AccountOp::Capture)];
        let plan = plan(&snapshot(true, &[(9, OpState::Reserved)]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
        let change = plan.change.unwrap();
        assert_eq!((change.balance.captured, change.records.len()), (1, 1));
    }

    #[test]
    fn what_was_not_seen_is_not_settled_before_it_is_certain() {
        let requests = [request(9, AccountOp::Capture)];
        for serial in [false, true] {
            let plan = plan(&snapshot(serial, &[]), requests.iter());
            assert_eq!((plan.needs_serial, plan.outcomes[0].is_some()), (!serial, serial));
            assert!(plan.change.is_none());
        }
    }

    #[test]
    fn what_has_ended_needs_no_second_look() {
        let requests = [request(9, AccountOp::Capture)];
        for (state, already_ended) in [(OpState::Done, true), (OpState::Reserved, false)] {
            assert_eq!(
                plan(&snapshot(false, &[(9, state)]), requests.iter()).already_ended,
                already_ended
            );
        }
    }

    #[test]
    fn who_began_an_account_does_not_begin_it_again() {
        let requests = [request(9, AccountOp::Create { available: 1, price: 1 })];
        let mut snapshot = snapshot(true, &[]);
        snapshot.account.created_by = Uuid::from_u128(9);
        let plan = plan(&snapshot, requests.iter());
        assert_eq!((plan.outcomes, plan.change.is_none()), (vec![DONE], true));
    }

    #[test]
    fn nothing_is_believed_of_a_move_that_expects_nothing() {
        let unknown = AccountRequest { expected: None, ..request(1, AccountOp::Capture) };
        let new = request(2, AccountOp::Reserve(1));
        assert!(optimistic(Some(BALANCE), [&unknown, &new].into_iter()).is_none());
        assert!(optimistic(None, [&new].into_iter()).is_none());
        assert!(optimistic(Some(BALANCE), [&new].into_iter()).is_some());
    }
}
