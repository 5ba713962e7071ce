//! How a server of the model goes on: the owner of an attempt, or a recoverer. It does what `runner`,
//! `pending_index` and `recovery` do, by the real decisions of `balance`, `order_state` and
//! `saga_state`.

use uuid::Uuid;

use super::super::balance::{AccountOp, Decision, OpOutcome, RefusalReason, decide};
use super::super::order_state::{
    OrderState, OrderTransition, Reversal, TransitionOutcome, transition_of,
};
use super::super::saga_state::{SagaOutcome, SagaState, SagaStep};
use super::world::{Actor, Who, World, Write, attempt_id};

/// An attempt that is made in the scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) order: usize,
    /// Undoes the order instead of checking it out.
    pub(super) reversal: Option<Reversal>,
    /// The slot of the pending index that it is recorded in.
    pub(super) slot: usize,
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
}

pub(super) struct Scenario {
    pub(super) jobs: Vec<Job>,
    /// Ledgers of each order: the user, then the items; one of each is wanted.
    pub(super) orders: Vec<Vec<usize>>,
    pub(super) available: Vec<i64>,
    pub(super) recoverers: usize,
    pub(super) losses: u8,
    /// Whether servers run out of time.
    pub(super) timeouts: bool,
    pub(super) defect: Option<Defect>,
}

impl Scenario {
    /// A new attempt: the order was read, and the slot is listed.
    pub(super) fn start(&self, world: &mut World, job: usize) -> Option<()> {
        let Job { order, reversal, slot } = self.jobs[job];
        let amounts = vec![1; self.orders[order].len()];
        let saga = match (reversal, &world.orders[order]) {
            (None, (_, OrderState::Open)) => SagaState::checkout(attempt_id(job), amounts),
            (Some(reversal), (_, OrderState::Paid { attempt_id: of, epochs })) => {
                SagaState::reversal(attempt_id(job), (*of, epochs.clone()), reversal, amounts)
            }
            _ => return None,
        };
        let read = Some(world.orders[order].0);
        world.owners[job] = Some(Actor {
            job,
            saga,
            is_recorded: false,
            read,
            may_own_order: false,
            in_transition: false,
            sent: None,
        });
        (world.started[job], world.slots[slot].listed) = (true, true);
        Some(())
    }

    /// Records the attempt, unless its slot takes none any more.
    fn record(&self, world: &mut World, mut actor: Actor) {
        let (job, slot) = (actor.job, self.jobs[actor.job].slot);
        if world.slots[slot].takes_attempts {
            (world.recorded[job], actor.is_recorded) = (true, true);
            world.owners[job] = Some(actor);
        } else {
            world.outcomes[job] = Some(SagaOutcome::TimedOut);
        }
        self.expire_unused(world, slot);
    }

    /// Nothing else is recorded in a slot whose attempts have all started: that it still takes
    /// attempts makes no difference.
    fn expire_unused(&self, world: &mut World, slot: usize) {
        let to_come = |job: usize| {
            !world.started[job]
                || world.owners[job].as_ref().is_some_and(|owner| !owner.is_recorded)
        };
        if !self.jobs_in(slot).any(to_come) {
            world.slots[slot].takes_attempts = false;
        }
    }

    pub(super) fn jobs_in(&self, slot: usize) -> impl Iterator<Item = usize> {
        (0..self.jobs.len()).filter(move |job| self.jobs[*job].slot == slot)
    }

    /// Whether recovery finds the attempt.
    pub(super) fn is_indexed(&self, world: &World, job: usize) -> bool {
        world.recorded[job] && world.slots[self.jobs[job].slot].listed
    }

    /// Whether a server may close the slot: in it no attempt begins any more, and it is empty.
    pub(super) fn may_close(&self, world: &World, slot: usize) -> bool {
        let state = &world.slots[slot];
        let is_used = state.takes_attempts && self.defect != Some(Defect::ClosesUsedSlot);
        state.listed && !is_used && !self.jobs_in(slot).any(|job| world.recorded[job])
    }

    /// Reads what the chosen participant of the next step is about, and decides.
    pub(super) fn act(&self, world: &mut World, who: Who, choice: usize) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        if !actor.is_recorded {
            self.record(world, actor);
            return Some(());
        }
        let order = self.jobs[actor.job].order;
        match actor.saga.step() {
            SagaStep::OrderTransition(transition) => {
                let (version, state) = &world.orders[order];
                match transition_of(state, attempt_id(actor.job), &transition) {
                    TransitionOutcome::Change(_)
                        if transition.takes_ownership() && actor.read != Some(*version) =>
                    {
                        actor.on_transition(false);
                    }
                    TransitionOutcome::Change(state) => {
                        let write = Write::Order { order, if_version: *version, state };
                        (actor.sent, actor.in_transition) = (Some((write, None)), true);
                    }
                    TransitionOutcome::AlreadyDone => actor.on_transition(true),
                    TransitionOutcome::NotOwner => actor.on_transition(false),
                }
            }
            SagaStep::AccountOps { op_id, ops } => {
                let (participant, op) = *ops.get(choice)?;
                self.decide(world, &mut actor, op_id, participant, op)?;
            }
            SagaStep::End(_) => return None,
        }
        self.put_back(world, who, actor);
        Some(())
    }

    fn decide(
        &self,
        world: &World,
        actor: &mut Actor,
        op_id: Uuid,
        participant: usize,
        op: AccountOp,
    ) -> Option<()> {
        let number = self.orders[self.jobs[actor.job].order][participant];
        let account = &world.accounts[number];
        let outcome = match decide(Some(account.balance), account.record(op_id), op) {
            Decision::Change(balance, record) => {
                let write = Write::Account {
                    account: number,
                    if_version: account.balance.version,
                    op_id,
                    if_record: account.record(op_id),
                    balance,
                    record,
                };
                actor.sent = Some((write, Some(participant)));
                return Some(());
            }
            Decision::NoOp => OpOutcome::Done { epoch: account.balance.epoch, before: true },
            Decision::Wait => return None,
            Decision::Refused(RefusalReason::Missing | RefusalReason::Overflow) => {
                unreachable!("{op:?}")
            }
            Decision::Refused(reason) => OpOutcome::Refused(reason),
            Decision::Fenced => OpOutcome::Fenced,
        };
        assert!(actor.saga.on_op(participant, outcome), "{op:?}: {outcome:?}");
        Some(())
    }

    /// There is no time left for the next step. Its server goes on with the compensation, or stops.
    pub(super) fn time_out(&self, world: &mut World, who: Who) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        match actor.saga.step() {
            SagaStep::OrderTransition(OrderTransition::Commit { .. }) if !actor.in_transition => {
                actor.saga.give_up()
            }
            SagaStep::AccountOps { ops, .. } => {
                if !actor.saga.on_op(ops[0].0, OpOutcome::TimedOut) {
                    if self.defect == Some(Defect::GivesUpAfterCommit) {
                        world.recorded[actor.job] = false;
                    }
                    return Some(());
                }
            }
            _ => return None,
        }
        self.put_back(world, who, actor);
        Some(())
    }

    /// Removes an actor that has ended; what it has finished needs no recovery.
    fn put_back(&self, world: &mut World, who: Who, actor: Actor) {
        if self.defect == Some(Defect::ClearsBeforeRelease)
            && matches!(actor.saga.step(),
                SagaStep::AccountOps { ops, .. } if matches!(ops[..], [(_, AccountOp::Release)]))
        {
            world.recorded[actor.job] = false;
        }
        let SagaStep::End(outcome) = actor.saga.step() else {
            *world.actor(who) = Some(actor);
            return;
        };
        if !outcome.is_left_to_recovery(actor.may_own_order) {
            world.recorded[actor.job] = false;
        }
        if let Who::Owner(n) = who {
            world.outcomes[n] = Some(outcome);
        }
    }

    pub(super) fn deliver(&self, world: &mut World, who: Who) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        let (write, participant) = actor.sent.take()?;
        let applied = world.apply(&write);
        match (participant, &write) {
            (Some(participant), Write::Account { balance, .. }) if applied => {
                let done = OpOutcome::Done { epoch: balance.epoch, before: false };
                assert!(actor.saga.on_op(participant, done));
            }
            (None, _) if applied => {
                actor.may_own_order = true;
                actor.on_transition(true);
            }
            _ => {}
        }
        self.put_back(world, who, actor);
        Some(())
    }

    /// The answer to a write is lost: it arrives later, or never.
    pub(super) fn lose(&self, world: &mut World, who: Who) -> Option<()> {
        let actor = world.actor(who).as_mut()?;
        let (write, _) = actor.sent.take()?;
        if matches!(write, Write::Order { .. }) {
            actor.may_own_order = true;
        }
        world.late.push(write);
        world.losses -= 1;
        Some(())
    }

    /// Recovery of one attempt that it knows of.
    pub(super) fn recover(&self, world: &mut World, recoverer: usize, job: usize) {
        let order = self.jobs[job].order;
        let amounts = vec![1; self.orders[order].len()];
        match SagaState::resume(&world.orders[order].1, attempt_id(job), amounts) {
            Some(saga) => {
                world.recoverers[recoverer] = Some(Actor {
                    job,
                    saga,
                    is_recorded: true,
                    read: None,
                    may_own_order: true,
                    in_transition: false,
                    sent: None,
                });
            }
            None => {
                // The fence: a new version makes the owner's late `Begin` fail.
                if matches!(world.orders[order].1, OrderState::Open | OrderState::Paid { .. }) {
                    world.orders[order].0 += 1;
                }
                world.recorded[job] = false;
            }
        }
    }

    /// All servers die, writes in flight are lost, and one recoverer finishes every attempt.
    pub(super) fn recovered(&self, world: &World) -> World {
        let mut world = world.clone();
        world.owners.fill(None);
        world.recoverers.fill(None);
        world.late.clear();
        for job in (0..self.jobs.len()).cycle().take(2 * self.jobs.len()) {
            if !self.is_indexed(&world, job) {
                continue;
            }
            self.recover(&mut world, 0, job);
            while world.recoverers[0].is_some() {
                let who = Who::Recoverer(0);
                assert!(self.act(&mut world, who, 0).is_some(), "recovery never waits");
                if world.recoverers[0].as_ref().is_some_and(|actor| actor.sent.is_some()) {
                    assert!(self.deliver(&mut world, who).is_some());
                }
            }
        }
        world
    }

    pub(super) fn paid(&self, world: &World, account: usize) -> i64 {
        let wants = |order: &usize| self.orders[*order].contains(&account);
        let is_paid = |order: &usize| matches!(world.orders[*order].1, OrderState::Paid { .. });
        (0..self.orders.len()).filter(wants).filter(is_paid).count() as i64
    }
}
