//! How a server of the model runs an attempt: its owner, or a recoverer. It does what `runner` and
//! `pending_index` do, by the real decisions of `balance`, `account_batch`, `order_state` and
//! `saga_state`.

use uuid::Uuid;

use super::super::account_batch::{AccountRequest, Plan, Snapshot, plan};
use super::super::balance::{AccountOp, OpOutcome, RefusalReason};
use super::super::order_state::{
    OrderState, OrderTransition, Reversal, TransitionOutcome, amounts, transition_of,
};
use super::super::saga_state::{SagaOutcome, SagaState, SagaStep};
use super::scenario::{Defect, Job, Scenario};
use super::world::{Actor, Row, Who, World, Write, attempt_id};

impl Scenario {
    /// A new attempt: the order was read, and the slot is listed.
    pub(super) fn start(&self, world: &mut World, job: usize) -> Option<()> {
        match &self.jobs[job] {
            Job::Checkout { order, .. } => {
                let row = world.orders[*order].row.clone()?;
                if row.state != OrderState::Open || row.lines.is_empty() {
                    return None;
                }
                let saga = SagaState::checkout(attempt_id(job), amounts(&row.lines));
                self.start_saga(world, job, *order, &row, saga);
            }
            Job::Reverse { order, reversal, .. } => {
                self.start_reversal(world, job, *order, *reversal)?;
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn start_reversal(
        &self,
        world: &mut World,
        job: usize,
        order: usize,
        reversal: Reversal,
    ) -> Option<()> {
        let row = world.orders[order].row.clone()?;
        let OrderState::Paid { attempt_id: of, epochs } = row.state.clone() else { return None };
        let amounts = amounts(&row.lines);
        let saga = SagaState::reversal(attempt_id(job), (of, epochs), reversal, amounts);
        self.start_saga(world, job, order, &row, saga);
        Some(())
    }

    fn start_saga(&self, world: &mut World, job: usize, order: usize, row: &Row, saga: SagaState) {
        world.owners[job] = Some(Actor {
            job,
            order,
            participants: row.participants(),
            saga,
            is_recorded: false,
            read: Some(world.orders[order].version),
            may_own_order: false,
            in_transition: false,
            sent: None,
        });
        world.started[job] = true;
        if let Some(slot) = self.jobs[job].slot() {
            world.slots[slot].listed = true;
        }
    }

    /// Records the attempt, unless its slot takes none any more.
    fn record(&self, world: &mut World, mut actor: Actor) {
        let job = actor.job;
        let slot = self.jobs[job].slot().unwrap_or_default();
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

    /// Reads what the chosen participant of the next step is about, and decides.
    pub(super) fn act(&self, world: &mut World, who: Who, choice: usize) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        if !actor.is_recorded {
            self.record(world, actor);
            return Some(());
        }
        match actor.saga.step() {
            SagaStep::OrderTransition(transition) => {
                self.transition(world, &mut actor, &transition);
            }
            SagaStep::AccountOps { op_id, ops } => {
                let (participant, op) = *ops.get(choice)?;
                self.account_op(world, &mut actor, op_id, participant, op)?;
            }
            SagaStep::End(_) => return None,
        }
        self.put_back(world, who, actor);
        Some(())
    }

    fn transition(&self, world: &World, actor: &mut Actor, transition: &OrderTransition) {
        let order = &world.orders[actor.order];
        let Some(row) = &order.row else { return actor.on_transition(false) };
        match transition_of(&row.state, attempt_id(actor.job), transition) {
            TransitionOutcome::Change(_)
                if transition.takes_ownership()
                    && actor.read != Some(order.version)
                    && !self.has(Defect::BeginsOnAnyVersion) =>
            {
                actor.on_transition(false);
            }
            TransitionOutcome::Change(state) => {
                let row = Some(Row { state, ..row.clone() });
                let if_version = order.read_version();
                let write = Write::Order { order: actor.order, if_version, row, job: None };
                (actor.sent, actor.in_transition) = (Some((write, None)), true);
            }
            TransitionOutcome::AlreadyDone => actor.on_transition(true),
            TransitionOutcome::NotOwner => actor.on_transition(false),
        }
    }

    fn account_op(
        &self,
        world: &mut World,
        actor: &mut Actor,
        op_id: Uuid,
        participant: usize,
        op: AccountOp,
    ) -> Option<()> {
        let account = actor.participants[participant];
        let Plan { change, outcomes, .. } = self.plan(world, account, op_id, op);
        if let Some(change) = change {
            actor.sent = Some((Write::Account { account, change }, Some(participant)));
            return Some(());
        }
        let outcome = outcomes[0]?;
        assert!(actor.saga.on_op(participant, outcome), "{op:?}: {outcome:?}");
        Some(())
    }

    /// What the operation makes of the account as it is now.
    pub(super) fn plan(
        &self,
        world: &mut World,
        account: usize,
        op_id: Uuid,
        op: AccountOp,
    ) -> Plan {
        let request = AccountRequest { op_id, op, expected: None };
        let snapshot = Snapshot { account: world.accounts[account].read(op_id), serial: true };
        let mut plan = plan(&snapshot, std::iter::once(&request));
        if self.has(Defect::RefusesInsteadOfWaiting) {
            let refused = OpOutcome::Refused(RefusalReason::Insufficient);
            plan.outcomes[0] = plan.outcomes[0].or(Some(refused));
        }
        match plan.outcomes[0] {
            Some(OpOutcome::Refused(RefusalReason::Insufficient)) => {
                world.history.refused_too_early |= self.would_suffice(world, account, op);
            }
            Some(OpOutcome::Refused(reason)) => unreachable!("{op:?}: {reason:?}"),
            _ => {}
        }
        plan
    }

    /// There is no time left for the next step. Its server goes on with the compensation, or stops.
    pub(super) fn time_out(&self, world: &mut World, who: Who) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        let may_give_up = !actor.in_transition || self.has(Defect::GivesUpDuringCommit);
        match actor.saga.step() {
            SagaStep::OrderTransition(OrderTransition::Commit { .. }) if may_give_up => {
                actor.saga.give_up();
            }
            SagaStep::AccountOps { ops, .. } => {
                if !actor.saga.on_op(ops[0].0, OpOutcome::TimedOut) {
                    if self.has(Defect::GivesUpAfterCommit) {
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
        if self.has(Defect::ClearsBeforeRelease)
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
        let applied = self.apply(world, &write);
        match (participant, &write) {
            (Some(participant), Write::Account { change, .. }) if applied => {
                let done = OpOutcome::Done { epoch: change.balance.epoch, before: false };
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

    /// Applies a write that arrives.
    pub(super) fn apply(&self, world: &mut World, write: &Write) -> bool {
        let unconditional = match write {
            Write::Account { .. } => self.has(Defect::WritesAccountsBlindly),
            Write::Order { job: Some(_), .. } => self.has(Defect::WritesEditsBlindly),
            Write::Order { .. } => false,
        };
        world.apply(write, unconditional)
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
}
