//! What a batcher makes of the moves that wait at it. Pure.

use tokio::time::Instant;
use uuid::Uuid;

use super::accounts_table::{Change, Page};
use super::balance::{AccountOp, Balance, Decision, Expected, OpRecord, OpState, decide};
use super::saga::{OpOutcome, RefusalReason};

/// A move that somebody waits for.
pub(super) struct AccountRequest {
    pub(super) op_id: Uuid,
    pub(super) wanted: AccountOp,
    pub(super) expected: Option<Expected>,
    pub(super) until: Instant,
}

/// What a batcher decides from.
pub(super) struct Snapshot {
    pub(super) page: Page,
    /// Whether it is as the last write has left it.
    pub(super) certain: bool,
}

/// What comes of the moves that were looked at.
pub(super) struct Plan {
    pub(super) change: Option<Change>,
    /// For each of them in transition; `None`: it waits on.
    pub(super) outcomes: Vec<Option<OpOutcome>>,
    /// Whether one of them can only be decided about for certain.
    pub(super) in_doubt: bool,
    /// Whether all of them have ended before, which stays so: a row never goes back.
    pub(super) ended: bool,
}

/// What the moves would find if all is as it is believed to be.
pub(super) fn believed<'a>(
    balance: Option<Balance>,
    mut requests: impl Iterator<Item = &'a AccountRequest> + Clone,
) -> Option<Page> {
    let new = requests.clone().all(|request| request.expected == Some(Expected::NoPartition));
    if balance.is_none() && !new || !requests.all(|request| request.expected.is_some()) {
        return None;
    }
    let reserved = requests.filter_map(|request| match request.expected {
        Some(Expected::Reserved(amount)) => {
            Some((request.op_id, OpRecord { state: OpState::Reserved, amount }))
        }
        _ => None,
    });
    Some(Page { balance, began: Uuid::nil(), rows: reserved.collect() })
}

/// Decides about moves one after the other, each finding what those before it leave.
pub(super) fn plan<'a>(
    Snapshot { page, certain }: &Snapshot,
    requests: impl Iterator<Item = &'a AccountRequest>,
) -> Plan {
    let (mut now, mut changed) = (page.clone(), Vec::new());
    let (mut in_doubt, mut ended) = (false, true);
    let outcomes = requests.map(|request| {
        let row = now.row(request);
        // No condition of the batch would notice a row that was overlooked.
        if !certain && row.is_none() && request.wanted == AccountOp::Settle {
            (in_doubt, ended) = (true, false);
            return None;
        }
        ended &= row.is_some_and(|row| row.state != OpState::Reserved);
        let moved = outcome(decide(now.balance, row, request.wanted), |balance, row| {
            now.balance = Some(balance);
            match request.wanted {
                AccountOp::Begin { .. } => now.began = request.op_id,
                _ => {
                    now.rows.insert(request.op_id, row);
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
    let rows = changed.iter().map(|op_id| {
        let before = page.rows.get(op_id).map(|row| row.state);
        (*op_id, before, now.rows[op_id])
    });
    let rows: Vec<_> = rows.collect();
    let balance = now.balance.filter(|_| now.balance != page.balance);
    let if_version = page.balance.map(|balance| balance.version);
    let change = balance.map(|balance| Change { if_version, balance, began: now.began, rows });
    Plan { change, outcomes, in_doubt, ended }
}

/// What becomes of a move; `None`: it waits.
fn outcome(decision: Decision, change: impl FnOnce(Balance, OpRecord)) -> Option<OpOutcome> {
    Some(match decision {
        Decision::Change(balance, row) => {
            change(balance, row);
            OpOutcome::Done { epoch: balance.epoch }
        }
        Decision::Done => OpOutcome::Done { epoch: 0 },
        Decision::Wait => return None,
        Decision::Missing => OpOutcome::Refused(RefusalReason::Missing),
        Decision::TooLittle => OpOutcome::Refused(RefusalReason::TooLittle),
        Decision::TooMuch => OpOutcome::Refused(RefusalReason::TooMuch),
        Decision::Fenced => OpOutcome::Fenced,
    })
}

impl Page {
    /// The row of an op_id. Whoever began the account is noted in its balance.
    fn row(&self, request: &AccountRequest) -> Option<OpRecord> {
        let began =
            matches!(request.wanted, AccountOp::Begin { .. }) && self.began == request.op_id;
        let done = OpRecord { state: OpState::Done, amount: 0 };
        if began { Some(done) } else { self.rows.get(&request.op_id).copied() }
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

    fn request(op_id: u128, wanted: AccountOp) -> AccountRequest {
        let expected = Some(Expected::Nothing);
        AccountRequest { op_id: Uuid::from_u128(op_id), wanted, expected, until: Instant::now() }
    }

    fn snapshot(certain: bool, rows: &[(u128, OpState)]) -> Snapshot {
        let row = |(op_id, state): &(u128, OpState)| {
            (Uuid::from_u128(*op_id), OpRecord { state: *state, amount: 1 })
        };
        let page = Page {
            balance: Some(BALANCE),
            began: Uuid::nil(),
            rows: rows.iter().map(row).collect(),
        };
        Snapshot { page, certain }
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
        assert!(change.rows.iter().all(|(_, before, _)| before.is_none()));
        assert_eq!(change.rows.len(), 2);
    }

    #[test]
    fn what_is_given_back_can_be_had_in_the_same_batch() {
        let requests = [request(9, AccountOp::Release), request(1, AccountOp::Reserve(3))];
        let plan = plan(&snapshot(true, &[(9, OpState::Reserved)]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
    }

    #[test]
    fn one_act_is_done_once_however_many_want_it() {
        let requests = [request(9, AccountOp::Settle), request(9, AccountOp::Settle)];
        let plan = plan(&snapshot(true, &[(9, OpState::Reserved)]), requests.iter());
        assert_eq!(plan.outcomes, [DONE, DONE]);
        let change = plan.change.unwrap();
        assert_eq!((change.balance.captured, change.rows.len()), (1, 1));
    }

    #[test]
    fn what_was_not_seen_is_not_settled_before_it_is_certain() {
        let requests = [request(9, AccountOp::Settle)];
        for certain in [false, true] {
            let plan = plan(&snapshot(certain, &[]), requests.iter());
            assert_eq!((plan.in_doubt, plan.outcomes[0].is_some()), (!certain, certain));
            assert!(plan.change.is_none());
        }
    }

    #[test]
    fn what_has_ended_needs_no_second_look() {
        let requests = [request(9, AccountOp::Settle)];
        for (state, ended) in [(OpState::Done, true), (OpState::Reserved, false)] {
            assert_eq!(plan(&snapshot(false, &[(9, state)]), requests.iter()).ended, ended);
        }
    }

    #[test]
    fn who_began_an_account_does_not_begin_it_again() {
        let requests = [request(9, AccountOp::Begin { available: 1, price: 1 })];
        let mut snapshot = snapshot(true, &[]);
        snapshot.page.began = Uuid::from_u128(9);
        let plan = plan(&snapshot, requests.iter());
        assert_eq!((plan.outcomes, plan.change.is_none()), (vec![DONE], true));
    }

    #[test]
    fn nothing_is_believed_of_a_move_that_expects_nothing() {
        let unknown = AccountRequest { expected: None, ..request(1, AccountOp::Settle) };
        let new = request(2, AccountOp::Reserve(1));
        assert!(believed(Some(BALANCE), [&unknown, &new].into_iter()).is_none());
        assert!(believed(None, [&new].into_iter()).is_none());
        assert!(believed(Some(BALANCE), [&new].into_iter()).is_some());
    }
}
