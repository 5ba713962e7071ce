//! How a server of the model recovers attempts, as `recovery` does, by what the pending index shows.

use super::super::balance::AccountOp;
use super::super::order_state::{OrderState, amounts};
use super::super::saga_state::SagaState;
use super::scenario::{Defect, Job, Scenario};
use super::world::{Actor, Who, World, attempt_id};

impl Scenario {
    pub(super) fn jobs_in(&self, slot: usize) -> impl Iterator<Item = usize> {
        (0..self.jobs.len()).filter(move |job| self.jobs[*job].slot() == Some(slot))
    }

    /// Whether recovery finds the attempt.
    pub(super) fn is_indexed(&self, world: &World, job: usize) -> bool {
        let slot = self.jobs[job].slot();
        world.recorded[job] && slot.is_some_and(|slot| world.slots[slot].listed)
    }

    /// Whether a server may close the slot: in it no attempt begins any more, and it is empty.
    pub(super) fn may_close(&self, world: &World, slot: usize) -> bool {
        let state = &world.slots[slot];
        let is_used = state.takes_attempts && !self.has(Defect::ClosesUsedSlot);
        state.listed && !is_used && !self.jobs_in(slot).any(|job| world.recorded[job])
    }

    /// Whether there is enough once all attempts in progress have ended.
    pub(super) fn would_suffice(&self, world: &World, account: usize, op: AccountOp) -> bool {
        let (AccountOp::Reserve(n) | AccountOp::Remove(n)) = op else { return false };
        // What a reversal gives back is promised to no one before the reversal has ended.
        let is_reversing = |order: &usize| {
            let row = world.orders[*order].row.as_ref();
            row.is_some_and(|row| matches!(row.state, OrderState::Reversing { .. }))
        };
        self.recovered(world, |order| !is_reversing(&order)).accounts[account].balance.available
            >= n
    }

    fn order_of(&self, job: usize) -> usize {
        match self.jobs[job] {
            Job::Checkout { order, .. }
            | Job::Reverse { order, .. }
            | Job::AddItem { order, .. }
            | Job::RemoveItem { order, .. }
            | Job::RemoveOrder { order }
            | Job::PutOrder { order, .. } => order,
            Job::Operation { .. } => unreachable!("it makes no attempt"),
        }
    }

    /// Recovery of one attempt that it knows of.
    pub(super) fn recover(&self, world: &mut World, recoverer: usize, job: usize) {
        let number = self.order_of(job);
        let order = &mut world.orders[number];
        let Some(row) = &order.row else {
            world.recorded[job] = false;
            return;
        };
        match SagaState::resume(&row.state, attempt_id(job), amounts(&row.lines)) {
            Some(saga) => {
                world.recoverers[recoverer] = Some(Actor {
                    job,
                    order: number,
                    participants: row.participants(),
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
                if row.state.attempt_in_progress().is_none() {
                    order.version += 1;
                }
                world.recorded[job] = false;
            }
        }
    }

    /// All servers die, writes in flight are lost, and one recoverer finishes every attempt on those
    /// orders.
    pub(super) fn recovered(&self, world: &World, orders: impl Fn(usize) -> bool) -> World {
        let mut world = world.clone();
        world.owners.fill(None);
        world.recoverers.clear();
        world.recoverers.push(None);
        world.late.clear();
        for job in (0..self.jobs.len()).cycle().take(2 * self.jobs.len()) {
            if !self.is_indexed(&world, job) || !orders(self.order_of(job)) {
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
}
