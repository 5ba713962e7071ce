//! The scenarios of the model check. Small ones run with every test run; larger ones by
//! `scripts/soak saga`.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use super::super::balance::AccountOp;
use super::super::order_state::Reversal;
use super::properties::{ANSWERS, EDITS, INDEXED, LINES, PAYMENTS, RECOVERY, REFUSALS, SUMS};
use super::scenario::{Defect, Job, Scenario, open};

fn check(name: &str, scenario: Scenario) {
    let begun = std::time::Instant::now();
    let first_failure = HasDiscoveries::AnyFailures;
    let checker = scenario.checker().finish_when(first_failure).threads(2).spawn_bfs().join();
    println!("{name}: {} states, {:.1?}", checker.unique_state_count(), begun.elapsed());
    checker.assert_properties();
}

/// A checkout of that order by a server that uses that slot.
const fn checkout(order: usize, slot: usize) -> Job {
    Job::Checkout { order, slot }
}

const fn cancel(order: usize, slot: usize) -> Job {
    Job::Reverse { order, reversal: Reversal::Cancel, slot }
}

/// Fixtures reset an account.
const fn reset(account: usize, available: i64) -> Job {
    Job::Operation { account, op: AccountOp::Create { available, price: 3 } }
}

/// One order of one user, of one piece of one item, by one attempt or by several.
fn one_order(jobs: Vec<Job>, available: i64) -> Scenario {
    Scenario {
        jobs,
        orders: vec![Some(open(0, &[(1, 1)]))],
        available: vec![2 * available, available],
        recoverers: 1,
        losses: 1,
        timeouts: true,
        slots_close: true,
        defect: None,
    }
}

/// Nothing goes wrong but that servers may stop at any moment.
fn orderly(
    jobs: Vec<Job>,
    orders: Vec<Option<super::world::Row>>,
    available: Vec<i64>,
) -> Scenario {
    let (recoverers, losses, timeouts, slots_close, defect) = (0, 0, false, false, None);
    Scenario { jobs, orders, available, recoverers, losses, timeouts, slots_close, defect }
}

/// The last piece of an item, ordered by two users, each of whom can pay.
fn last_piece() -> Scenario {
    let orders = vec![Some(open(0, &[(2, 1)])), Some(open(1, &[(2, 1)]))];
    let jobs = vec![checkout(0, 0), checkout(1, 1)];
    Scenario { recoverers: 1, slots_close: true, ..orderly(jobs, orders, vec![2, 2, 1]) }
}

/// Five pieces, of which three users want two each: two get them, one is refused.
fn three_orders() -> Scenario {
    let orders = (0..3).map(|user| Some(open(user, &[(3, 2)]))).collect();
    let jobs = (0..3).map(|order| checkout(order, 0)).collect();
    orderly(jobs, orders, vec![4, 4, 4, 5])
}

/// One user with credit for two of three orders, which want different numbers of two items.
fn one_user() -> Scenario {
    let orders =
        vec![Some(open(0, &[(1, 2)])), Some(open(0, &[(1, 1), (2, 2)])), Some(open(0, &[(2, 3)]))];
    let jobs = (0..3).map(|order| checkout(order, 0)).collect();
    orderly(jobs, orders, vec![11, 3, 4])
}

fn reversed(reversal: Reversal) -> Scenario {
    one_order(vec![checkout(0, 0), Job::Reverse { order: 0, reversal, slot: 1 }], 1)
}

/// An order of two pieces that is checked out while clients edit it.
fn edited(jobs: Vec<Job>) -> Scenario {
    let jobs = [vec![checkout(0, 0)], jobs].concat();
    orderly(jobs, vec![Some(open(0, &[(1, 2)]))], vec![20, 9, 9])
}

fn paid_twice() -> Scenario {
    let jobs = vec![checkout(0, 0), cancel(0, 0), checkout(0, 0)];
    orderly(jobs, vec![Some(open(0, &[(1, 2)]))], vec![4, 3])
}

const ADD: Job = Job::AddItem { order: 0, item: 1, quantity: 3 };
const ADD_OTHER: Job = Job::AddItem { order: 0, item: 2, quantity: 2 };
const TAKE_OFF: Job = Job::RemoveItem { order: 0, item: 1 };
const REMOVE: Job = Job::RemoveOrder { order: 0 };

fn put() -> Job {
    Job::PutOrder { order: 0, row: open(3, &[(1, 1), (2, 4)]), slot: 1 }
}

/// The same while fixtures are put.
fn with_fixtures(jobs: Vec<Job>) -> Scenario {
    let orders = vec![Some(open(0, &[(1, 2)]))];
    orderly([vec![checkout(0, 0)], jobs].concat(), orders, vec![6, 5, 9, 9])
}

#[test]
fn two_checkouts_of_the_last_piece() {
    check("two checkouts of the last piece", last_piece());
}

#[test]
fn three_checkouts() {
    check("three orders, answers are lost", Scenario { losses: 1, ..three_orders() });
    check("three orders, time runs out", Scenario { timeouts: true, ..three_orders() });
    check("three orders of one user", one_user());
}

#[test]
fn one_order_twice() {
    let twice = one_order(vec![checkout(0, 0), checkout(0, 1)], 2);
    check("one order twice, answers are lost", Scenario { timeouts: false, ..twice });
}

#[test]
fn one_order_twice_at_one_server_that_runs_out_of_time() {
    let twice = one_order(vec![checkout(0, 0), checkout(0, 0)], 2);
    check("one order twice, time runs out", Scenario { losses: 0, ..twice });
}

#[test]
fn one_checkout_with_two_recoverers() {
    let one = one_order(vec![checkout(0, 0)], 2);
    check("one checkout with two recoverers", Scenario { recoverers: 2, ..one });
}

/// A checkout that is reversed as soon as it is paid.
#[test]
fn a_checkout_and_its_reversal() {
    check("a cancel, answers are lost", Scenario { timeouts: false, ..reversed(Reversal::Cancel) });
    check("a cancel, time runs out", Scenario { losses: 0, ..reversed(Reversal::Cancel) });
    check("a write-off, time runs out", Scenario { losses: 0, ..reversed(Reversal::WriteOff) });
}

#[test]
fn a_checkout_a_cancel_and_another_checkout() {
    check("a checkout, a cancel, a checkout", Scenario { losses: 1, ..paid_twice() });
    check("the same, time runs out", Scenario { timeouts: true, ..paid_twice() });
}

#[test]
fn edits_of_an_order_that_is_checked_out() {
    let scenario = edited(vec![ADD, TAKE_OFF]);
    check("two edits", Scenario { recoverers: 1, timeouts: true, ..scenario });
    check("edits, answers are lost", Scenario { losses: 1, ..edited(vec![ADD, ADD_OTHER]) });
    check("a removal, answers are lost", Scenario { losses: 1, ..edited(vec![ADD, REMOVE]) });
    check("a cancel and an edit", edited(vec![cancel(0, 0), ADD]));
}

#[test]
fn fixtures_while_an_order_is_checked_out() {
    let scenario = with_fixtures(vec![put()]);
    check("an order", Scenario { recoverers: 1, losses: 1, timeouts: true, ..scenario });
    check("an order and a cancel", with_fixtures(vec![put(), cancel(0, 0)]));
    let scenario = with_fixtures(vec![reset(0, 5), reset(1, 7)]);
    check("a user and an item", Scenario { recoverers: 1, ..scenario });
    check("a user and a cancel", with_fixtures(vec![reset(0, 5), cancel(0, 0)]));
    check("an order and an item", with_fixtures(vec![put(), reset(1, 7)]));
}

/// Everything at once that small scenarios try one by one.
#[test]
#[ignore = "takes minutes: scripts/soak saga"]
fn larger_scopes() {
    let all = |scenario| Scenario { recoverers: 1, losses: 1, timeouts: true, ..scenario };
    check("three orders", Scenario { recoverers: 1, ..three_orders() });
    check("one user", Scenario { recoverers: 1, ..one_user() });
    check(
        "three orders, everything lost or late",
        Scenario { recoverers: 0, ..all(three_orders()) },
    );
    check("a checkout, a cancel, a checkout", Scenario { recoverers: 1, ..paid_twice() });
    check("two edits", all(edited(vec![ADD, TAKE_OFF])));
    check("edits and a cancel", all(edited(vec![cancel(0, 0), ADD])));
    check("an order and a cancel", all(with_fixtures(vec![put(), cancel(0, 0)])));
    check("an order and an item", all(with_fixtures(vec![put(), reset(1, 7)])));
    check("an order and an edit", all(with_fixtures(vec![put(), ADD])));
    check(
        "a user, an item and a cancel",
        with_fixtures(vec![reset(0, 5), reset(1, 7), cancel(0, 0)]),
    );
}

/// A removal of stock that finds too little waits for the checkout that has reserved it.
#[test]
fn stock_is_subtracted_while_an_order_is_checked_out() {
    let subtract = Job::Operation { account: 1, op: AccountOp::Remove(2) };
    let scenario = orderly(
        vec![checkout(0, 0), subtract, reset(1, 3)],
        vec![Some(open(0, &[(1, 2)]))],
        vec![9, 3],
    );
    check("stock is subtracted", Scenario { losses: 1, timeouts: true, ..scenario });
}

/// The check itself: it finds what it was made for.
#[test]
fn every_defect_is_found() {
    let one = || Scenario { losses: 0, ..one_order(vec![checkout(0, 0)], 2) };
    let edits = || Scenario { losses: 1, ..edited(vec![ADD, ADD_OTHER]) };
    for (defect, property, scenario) in [
        (Defect::GivesUpAfterCommit, INDEXED, one()),
        (Defect::ClearsBeforeRelease, INDEXED, one()),
        (Defect::ClosesUsedSlot, INDEXED, one()),
        (Defect::BeginsOnAnyVersion, RECOVERY, edits()),
        (Defect::GivesUpDuringCommit, ANSWERS, one_order(vec![checkout(0, 0)], 2)),
        (Defect::RefusesInsteadOfWaiting, REFUSALS, three_orders()),
        (Defect::WritesAccountsBlindly, SUMS, three_orders()),
        (Defect::EditsPendingOrder, RECOVERY, edits()),
        (Defect::WritesEditsBlindly, LINES, edits()),
        (Defect::RepeatsLostEdit, EDITS, edits()),
        (Defect::OverwritesPaidOrder, PAYMENTS, with_fixtures(vec![put()])),
    ] {
        let broken = Scenario { defect: Some(defect), ..scenario };
        let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
        let checker = broken.checker().finish_when(found).threads(2).spawn_bfs().join();
        assert!(checker.discoveries().contains_key(property), "{defect:?}: {property}");
    }
}
