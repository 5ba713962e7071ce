//! A model check of the saga: every order in which its steps can meet, with writes that arrive late,
//! owners that stop anywhere, run out of time or resume after their lease has expired, and recoverers
//! that start at any moment and close slots of the pending index.
//!
//! The decisions are the real code of `balance`, `order_state` and `saga_state`. Modelled are the
//! tables ([`world`]: a conditional write of one partition, the pending index) and what a server does
//! ([`servers`]). In every reachable state all servers are imagined to die, and recovery alone, which
//! finds only attempts in slots that are listed, must reach a consistent end.

mod servers;
mod world;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::servers::{Defect, Job, Scenario};
use self::world::{Account, Slot, Who, World, attempt_id};
use super::balance::Balance;
use super::order_state::{OrderState, Reversal};
use super::saga_state::{SagaOutcome, SagaStep};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    Start(usize),
    Recover(usize, usize),
    /// Record the attempt; or read, decide, and send the write.
    Step(Who, usize),
    Deliver(Who),
    /// The answer is lost: the write arrives later, or never.
    Lose(Who),
    TimeOut(Who),
    Arrive(usize),
    /// A record that is acknowledged from now on is too late for the slot.
    Expire(usize),
    Close(usize),
}

fn sums_hold(_: &Scenario, world: &World) -> bool {
    world.accounts.iter().all(|account| {
        let Balance { available, reserved, captured, added, removed, written_off, .. } =
            account.balance;
        let recorded: i64 = account.reservations().map(|(_, amount)| amount).sum();
        available >= 0
            && captured >= 0
            && reserved == recorded
            && available + reserved + captured + removed + written_off == added
    })
}

/// Nothing is reserved that recovery would not find if its owner stopped now.
fn reservations_are_indexed(scenario: &Scenario, world: &World) -> bool {
    let mut reservations = world.accounts.iter().flat_map(Account::reservations);
    reservations.all(|(job, _)| scenario.is_indexed(world, job))
}

/// Every attempt ends, and at rest nothing is reserved or in the index. No oversell, no double
/// charge, no lost credit: what is captured is what paid orders took. No undersell: a refused
/// checkout was refused because another order has it for good.
fn recovery_ends_consistently(scenario: &Scenario, world: &World) -> bool {
    let end = scenario.recovered(world);
    let mut states = end.orders.iter().map(|(_, state)| state);
    states.all(|state| matches!(state, OrderState::Open | OrderState::Paid { .. }))
        && end.accounts.iter().enumerate().all(|(number, account)| {
            account.balance.reserved == 0 && account.balance.captured == scenario.paid(&end, number)
        })
        && !end.recorded.contains(&true)
        && no_undersell(scenario, world, &end)
}

fn no_undersell(scenario: &Scenario, world: &World, end: &World) -> bool {
    scenario.jobs.iter().zip(&world.outcomes).all(|(job, outcome)| match outcome {
        Some(SagaOutcome::Refused(participant, _)) => {
            end.accounts[scenario.orders[job.order][*participant]].balance.available == 0
        }
        _ => true,
    })
}

fn answers_hold(scenario: &Scenario, world: &World) -> bool {
    let undone = world.outcomes.iter().zip(&scenario.jobs).any(|(_, job)| job.reversal.is_some());
    scenario.jobs.iter().zip(&world.outcomes).enumerate().all(|(n, (job, outcome))| {
        let paid = matches!(&world.orders[job.order].1,
            OrderState::Paid { attempt_id: of, .. } if *of == attempt_id(n));
        match outcome {
            Some(SagaOutcome::Completed) if job.reversal.is_none() => paid || undone,
            Some(SagaOutcome::Completed | SagaOutcome::Refused(..) | SagaOutcome::TimedOut) => {
                !paid
            }
            _ => true,
        }
    })
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let (jobs, slots) = (self.jobs.len(), self.jobs.iter().map(|job| job.slot + 1).max());
        let unused = Slot { listed: false, takes_attempts: true };
        vec![World {
            orders: vec![(0, OrderState::Open); self.orders.len()],
            accounts: self.available.iter().copied().map(Account::new).collect(),
            started: vec![false; jobs],
            owners: vec![None; jobs],
            outcomes: vec![None; jobs],
            recoverers: vec![None; self.recoverers],
            recorded: vec![false; jobs],
            slots: vec![unused; slots.unwrap_or(0)],
            late: Vec::new(),
            losses: self.losses,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for job in 0..self.jobs.len() {
            if !world.started[job] && world.slots[self.jobs[job].slot].takes_attempts {
                actions.push(Action::Start(job));
            }
            for recoverer in 0..self.recoverers {
                if self.is_indexed(world, job) && world.recoverers[recoverer].is_none() {
                    actions.push(Action::Recover(recoverer, job));
                }
            }
        }
        let owners = (0..self.jobs.len()).map(Who::Owner);
        for who in owners.chain((0..self.recoverers).map(Who::Recoverer)) {
            self.actions_of(world, who, actions);
        }
        for late in 0..world.late.len() {
            actions.push(Action::Arrive(late));
        }
        for (slot, state) in world.slots.iter().enumerate() {
            if state.listed && state.takes_attempts {
                actions.push(Action::Expire(slot));
            }
            if self.may_close(world, slot) {
                actions.push(Action::Close(slot));
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Start(job) => self.start(&mut world, job)?,
            Action::Recover(recoverer, job) => self.recover(&mut world, recoverer, job),
            Action::Step(who, choice) => self.act(&mut world, who, choice)?,
            Action::Deliver(who) => self.deliver(&mut world, who)?,
            Action::Lose(who) => self.lose(&mut world, who)?,
            Action::TimeOut(who) => self.time_out(&mut world, who)?,
            Action::Arrive(late) => {
                let write = world.late.remove(late);
                world.apply(&write);
            }
            Action::Expire(slot) => world.slots[slot].takes_attempts = false,
            Action::Close(slot) => world.slots[slot].listed = false,
        }
        world.forget();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the sums hold, nothing is oversold", sums_hold),
            Property::always("every reservation is indexed", reservations_are_indexed),
            Property::always("recovery reaches a consistent end", recovery_ends_consistently),
            Property::always("answers hold", answers_hold),
            Property::sometimes("an order is paid", |_, world: &World| {
                world.outcomes.contains(&Some(SagaOutcome::Completed))
            }),
            Property::sometimes("a slot is closed", |_, world: &World| {
                world.slots.iter().any(|slot| !slot.listed && !slot.takes_attempts)
            }),
        ]
    }
}

impl Scenario {
    fn actions_of(&self, world: &World, who: Who, actions: &mut Vec<Action>) {
        let actor = match who {
            Who::Owner(n) => &world.owners[n],
            Who::Recoverer(n) => &world.recoverers[n],
        };
        let Some(actor) = actor else { return };
        if actor.sent.is_some() {
            actions.push(Action::Deliver(who));
            if world.losses > 0 {
                actions.push(Action::Lose(who));
            }
            return;
        }
        if self.timeouts && actor.is_recorded {
            actions.push(Action::TimeOut(who));
        }
        let choices = match actor.saga.step() {
            SagaStep::AccountOps { ops, .. } => ops.len(),
            _ => 1,
        };
        actions.extend((0..choices).map(|choice| Action::Step(who, choice)));
    }
}

fn check(name: &str, scenario: Scenario) {
    let checker = scenario.checker().threads(2).spawn_bfs().join();
    println!("{name}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

/// A checkout of that order by a server that uses that slot.
const fn checkout(order: usize, slot: usize) -> Job {
    Job { order, reversal: None, slot }
}

/// One order of one user and one item, by one attempt or by several.
fn one_order(jobs: Vec<Job>, available: i64) -> Scenario {
    Scenario {
        jobs,
        orders: vec![vec![0, 1]],
        available: vec![available; 2],
        recoverers: 1,
        losses: 1,
        timeouts: true,
        defect: None,
    }
}

/// The last piece of an item, ordered by two users, each of whom can pay.
fn last_piece() -> Scenario {
    Scenario {
        jobs: vec![checkout(0, 0), checkout(1, 1)],
        orders: vec![vec![0, 2], vec![1, 2]],
        available: vec![1, 1, 1],
        recoverers: 1,
        losses: 0,
        timeouts: false,
        defect: None,
    }
}

fn reversed(reversal: Reversal) -> Scenario {
    one_order(vec![checkout(0, 0), Job { order: 0, reversal: Some(reversal), slot: 1 }], 1)
}

#[test]
fn two_checkouts_of_the_last_piece() {
    check("two checkouts of the last piece", last_piece());
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

/// The check itself: it finds what it was made for.
#[test]
fn every_defect_is_found() {
    for defect in [Defect::GivesUpAfterCommit, Defect::ClearsBeforeRelease, Defect::ClosesUsedSlot]
    {
        let one = one_order(vec![checkout(0, 0)], 2);
        let broken = Scenario { losses: 0, defect: Some(defect), ..one };
        let checker = broken.checker().finish_when(HasDiscoveries::AnyFailures);
        let found = checker.threads(2).spawn_bfs().join().discoveries();
        assert!(found.contains_key("every reservation is indexed"), "{defect:?}");
    }
}
