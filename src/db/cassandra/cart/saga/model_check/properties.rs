//! What must hold in every state of a model check.

use super::super::balance::{AccountOp, Balance, OpState};
use super::super::order_state::{OrderState, amounts};
use super::super::saga_state::SagaOutcome;
use super::clients::quantities;
use super::scenario::{Job, Scenario};
use super::world::{Account, Answer, World, attempt_id, job_of};

pub(super) const SUMS: &str = "the sums hold, nothing is oversold";
pub(super) const INDEXED: &str = "every reservation is indexed";
pub(super) const RECOVERY: &str = "recovery reaches a consistent end";
pub(super) const ANSWERS: &str = "answers of checkouts and cancels hold";
pub(super) const REFUSALS: &str = "a refusal for want of stock or credit is true";
pub(super) const EDITS: &str = "an edit is done once, or not at all if it is refused";
pub(super) const LINES: &str = "an order has the lines that edits and fixtures gave it";
pub(super) const PAYMENTS: &str = "a payment lasts until it is reversed";

/// One balance at a time: in every epoch what was added is somewhere, and what is reserved has its
/// records.
pub(super) fn sums_hold(scenario: &Scenario, world: &World) -> bool {
    world.accounts.iter().enumerate().all(|(number, account)| {
        let Balance { available, reserved, captured, added, removed, written_off, .. } =
            account.balance;
        let recorded: i64 = account.reservations().map(|(_, amount)| amount).sum();
        available >= 0
            && captured >= 0
            && reserved == recorded
            && available + reserved + captured + removed + written_off == added
            && is_removed_once(scenario, number, account)
    })
}

/// What operations without an order have removed, unless a reset has begun the sums again.
fn is_removed_once(scenario: &Scenario, number: usize, account: &Account) -> bool {
    let removed = scenario.jobs.iter().enumerate().map(|(job, wanted)| match wanted {
        Job::Operation { account: of, op: AccountOp::Remove(n) } if *of == number => {
            let record = account.record(attempt_id(job));
            if record.is_some_and(|record| record.state == OpState::Done) { *n } else { 0 }
        }
        _ => 0,
    });
    account.balance.epoch > 0 || account.balance.removed == removed.sum::<i64>()
}

/// Nothing is reserved that recovery would not find if its owner stopped now.
pub(super) fn reservations_are_indexed(scenario: &Scenario, world: &World) -> bool {
    let mut reservations = world.accounts.iter().flat_map(Account::reservations);
    reservations.all(|(job, _)| scenario.is_indexed(world, job))
}

/// Every attempt ends, and at rest nothing is reserved or in the index. No oversell, no double
/// charge, no lost credit: what is captured is what paid orders took, by the lines that they have,
/// in the epochs that fixtures have not ended.
pub(super) fn recovery_ends_consistently(scenario: &Scenario, world: &World) -> bool {
    let end = scenario.recovered(world, |_| true);
    let mut rows = end.orders.iter().filter_map(|order| order.row.as_ref());
    rows.all(|row| matches!(row.state, OrderState::Open | OrderState::Paid { .. }))
        && end.accounts.iter().enumerate().all(|(number, account)| {
            account.balance.reserved == 0 && account.balance.captured == paid(&end, number)
        })
        && !end.recorded.contains(&true)
}

/// What the paid orders have taken from an account in its present epoch.
fn paid(world: &World, account: usize) -> i64 {
    let epoch = world.accounts[account].balance.epoch;
    let rows = world.orders.iter().filter_map(|order| order.row.as_ref());
    let taken = rows.filter_map(|row| match &row.state {
        OrderState::Paid { epochs, .. } => {
            let shares = row.participants().into_iter().zip(epochs.iter().zip(amounts(&row.lines)));
            let ours = shares.filter(|(of, (paid_in, _))| *of == account && **paid_in == epoch);
            Some(ours.map(|(_, (_, amount))| amount).sum::<i64>())
        }
        _ => None,
    });
    taken.sum()
}

/// A checkout that was answered with success has paid, once; one that was refused or ran out of time
/// never has.
pub(super) fn answers_hold(scenario: &Scenario, world: &World) -> bool {
    world.outcomes.iter().enumerate().all(|(job, outcome)| {
        let has_paid = world.history.paid.contains(&job);
        match outcome {
            Some(SagaOutcome::Completed) => {
                has_paid == matches!(scenario.jobs[job], Job::Checkout { .. })
            }
            Some(SagaOutcome::Refused(..) | SagaOutcome::TimedOut) => !has_paid,
            _ => true,
        }
    })
}

pub(super) fn refusals_are_true(_: &Scenario, world: &World) -> bool {
    !world.history.refused_too_early
}

pub(super) fn edits_are_done_once(scenario: &Scenario, world: &World) -> bool {
    scenario.jobs.iter().zip(&world.clients).enumerate().all(|(job, (wanted, client))| {
        let applied = world.history.applied[job];
        match (wanted, client.answer) {
            // A repeat of a put replaces the same order by the same.
            (Job::PutOrder { .. }, Some(Answer::Done)) => applied >= 1,
            (Job::PutOrder { .. } | Job::Operation { .. }, _) => true,
            (Job::RemoveOrder { .. }, Some(Answer::Done)) => applied <= 1,
            (_, Some(Answer::Done)) => applied == 1,
            (_, Some(Answer::Refused)) => {
                applied == 0 || world.orders.iter().all(|order| !order.jobs.contains(&job))
            }
            (_, Some(Answer::Unknown) | None) => applied <= 1,
        }
    })
}

pub(super) fn lines_are_those_given(scenario: &Scenario, world: &World) -> bool {
    world.orders.iter().enumerate().all(|(number, order)| {
        let lines = order.row.as_ref().map(|row| quantities(&row.lines));
        lines.is_none_or(|lines| lines == scenario.expected_lines(world, number))
    })
}

/// An order is paid by an attempt if that has paid it and no other has reversed it. Neither an edit nor
/// a fixture takes a payment away.
pub(super) fn payments_last(_: &Scenario, world: &World) -> bool {
    let rows = || world.orders.iter().filter_map(|order| order.row.as_ref());
    let payers = || {
        rows().filter_map(|row| match &row.state {
            OrderState::Paid { attempt_id, .. } => Some(job_of(*attempt_id)),
            _ => None,
        })
    };
    let history = &world.history;
    history.paid.iter().all(|job| {
        let is_paid = payers().any(|payer| payer == *job);
        is_paid != history.reversed.contains(job)
    })
}
