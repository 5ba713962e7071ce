//! A model check of the saga: every order in which its steps can meet those of others, with writes
//! that arrive late, owners that stop anywhere, run out of time or resume after their lease has expired,
//! recoverers that start at any moment and close slots of the pending index, edits of the same orders,
//! and fixtures that replace orders and reset accounts meanwhile.
//!
//! The decisions are the real code of `balance`, `account_batch`, `order_state`, `saga_state` and
//! `cart::rules`. Modelled are the tables ([`world`]: a conditional write of one partition, the pending
//! index) and what a server does ([`attempts`], [`recovery`], [`clients`]). In every reachable state all
//! servers are imagined to die, and recovery alone, which finds only attempts in slots that are listed,
//! must reach a consistent end. What must hold is in [`properties`], what is tried in [`scenarios`].

mod attempts;
mod clients;
mod properties;
mod recovery;
mod scenario;
mod scenarios;
mod world;

use stateright::{Model, Property};

use self::scenario::Scenario;
use self::world::{Who, World};
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

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.first_state()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (job, wanted) in self.jobs.iter().enumerate() {
            let takes_attempts = |slot: usize| world.slots[slot].takes_attempts;
            if wanted.is_attempt()
                && !world.started[job]
                && wanted.slot().is_some_and(takes_attempts)
            {
                actions.push(Action::Start(job));
            }
            for recoverer in 0..self.recoverers {
                if self.is_indexed(world, job) && world.recoverers[recoverer].is_none() {
                    actions.push(Action::Recover(recoverer, job));
                }
            }
            self.actions_of_client(world, job, actions);
        }
        let owners = (0..self.jobs.len()).map(Who::Owner);
        for who in owners.chain((0..self.recoverers).map(Who::Recoverer)) {
            self.actions_of(world, who, actions);
        }
        actions.extend((0..world.late.len()).map(Action::Arrive));
        if self.slots_close {
            self.actions_on_slots(world, actions);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Start(job) => self.start(&mut world, job)?,
            Action::Recover(recoverer, job) => self.recover(&mut world, recoverer, job),
            Action::Step(Who::Client(job), _) => self.step_client(&mut world, job)?,
            Action::Deliver(Who::Client(job)) => self.deliver_client(&mut world, job)?,
            Action::Lose(Who::Client(job)) => self.lose_client(&mut world, job)?,
            Action::Step(who, choice) => self.act(&mut world, who, choice)?,
            Action::Deliver(who) => self.deliver(&mut world, who)?,
            Action::Lose(who) => self.lose(&mut world, who)?,
            Action::TimeOut(who) => self.time_out(&mut world, who)?,
            Action::Arrive(late) => {
                let write = world.late.remove(late);
                self.apply(&mut world, &write);
            }
            Action::Expire(slot) => world.slots[slot].takes_attempts = false,
            Action::Close(slot) => world.slots[slot].listed = false,
        }
        world.forget();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(properties::SUMS, properties::sums_hold),
            Property::always(properties::INDEXED, properties::reservations_are_indexed),
            Property::always(properties::RECOVERY, properties::recovery_ends_consistently),
            Property::always(properties::ANSWERS, properties::answers_hold),
            Property::always(properties::REFUSALS, properties::refusals_are_true),
            Property::always(properties::EDITS, properties::edits_are_done_once),
            Property::always(properties::LINES, properties::lines_are_those_given),
            Property::always(properties::PAYMENTS, properties::payments_last),
            // The scenario gets as far as it is meant to.
            Property::sometimes("every job has ended", Self::has_ended),
            Property::sometimes("an order is paid", |_, world: &World| {
                world.outcomes.contains(&Some(SagaOutcome::Completed))
            }),
        ];
        if self.slots_close {
            properties.push(Property::sometimes("a slot is closed", |_, world: &World| {
                world.slots.iter().any(|slot| !slot.listed && !slot.takes_attempts)
            }));
        }
        properties
    }
}

impl Scenario {
    fn has_ended(&self, world: &World) -> bool {
        self.jobs.iter().enumerate().all(|(job, wanted)| {
            let is_answered = world.clients[job].answer.is_some();
            if wanted.is_attempt() { world.outcomes[job].is_some() } else { is_answered }
        })
    }

    fn actions_of(&self, world: &World, who: Who, actions: &mut Vec<Action>) {
        let actor = match who {
            Who::Owner(n) | Who::Client(n) => &world.owners[n],
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

    fn actions_of_client(&self, world: &World, job: usize, actions: &mut Vec<Action>) {
        let (client, who) = (&world.clients[job], Who::Client(job));
        if client.sent.is_some() {
            actions.push(Action::Deliver(who));
            if world.losses > 0 {
                actions.push(Action::Lose(who));
            }
        } else if !self.jobs[job].is_attempt() && client.answer.is_none() {
            actions.push(Action::Step(who, 0));
        }
    }

    fn actions_on_slots(&self, world: &World, actions: &mut Vec<Action>) {
        for (slot, state) in world.slots.iter().enumerate() {
            if state.listed && state.takes_attempts {
                actions.push(Action::Expire(slot));
            }
            if self.may_close(world, slot) {
                actions.push(Action::Close(slot));
            }
        }
    }
}
