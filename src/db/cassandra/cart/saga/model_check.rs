//! A model check of the saga: every order in which its steps can meet, with writes that arrive late,
//! owners that stop anywhere or resume after their lease has expired, and recoverers that start at
//! any moment, because clocks may differ.
//!
//! The decisions are the real code of `balance`, `order_state` and `saga_state`. Modelled are the
//! database (a conditional write of one partition) and who runs when. In every reachable state all
//! servers are imagined to die, and recovery alone must reach a consistent end.

use stateright::{Checker, Model, Property};
use uuid::Uuid;

use super::balance::{
    AccountOp, Balance, Decision, OpOutcome, OpRecord, OpState, RefusalReason, decide,
};
use super::order_state::{OrderState, Reversal, TransitionOutcome, transition_of};
use super::saga_state::{SagaOutcome, SagaState, SagaStep};

/// A conditional write of one partition that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Write {
    Order {
        order: usize,
        if_version: u8,
        state: OrderState,
    },
    Account {
        account: usize,
        if_version: i64,
        op_id: Uuid,
        if_record: Option<OpRecord>,
        balance: Balance,
        record: OpRecord,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Account {
    balance: Balance,
    records: Vec<(Uuid, OpRecord)>,
}

/// A server that runs an attempt: its owner, or a recoverer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Actor {
    job: usize,
    saga: Option<SagaState>,
    /// The version of the order that the attempt begins on; it does not begin on another.
    read: Option<u8>,
    sent: Option<(Write, Option<usize>)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    orders: Vec<(u8, OrderState)>,
    accounts: Vec<Account>,
    owners: Vec<Option<Actor>>,
    outcomes: Vec<Option<SagaOutcome>>,
    recoverers: Vec<Option<Actor>>,
    /// Whether the pending index has each attempt.
    index: Vec<bool>,
    late: Vec<Write>,
    losses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Owner(usize),
    Recoverer(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    Start(usize),
    Recover(usize, usize),
    /// Read, decide, and send the write.
    Step(Who, usize),
    Deliver(Who),
    /// The answer is lost: the write arrives later, or never.
    Lose(Who),
    GiveUp(usize),
    Arrive(usize),
}

/// An attempt that is made in the scenario.
#[derive(Debug, Clone, Copy)]
struct Job {
    order: usize,
    /// Undoes the order instead of checking it out.
    reversal: Option<Reversal>,
}

struct Scenario {
    jobs: Vec<Job>,
    /// Ledgers of each order: the user, then the items; one of each is wanted.
    orders: Vec<Vec<usize>>,
    available: Vec<i64>,
    recoverers: usize,
    losses: u8,
    give_up: bool,
}

fn attempt_id(job: usize) -> Uuid {
    Uuid::from_u128(job as u128 + 1)
}

impl Account {
    fn record(&self, op_id: Uuid) -> Option<OpRecord> {
        self.records.iter().find(|(of, _)| *of == op_id).map(|(_, record)| *record)
    }
}

impl World {
    fn apply(&mut self, write: &Write) -> bool {
        match write {
            Write::Order { order, if_version, state } => {
                let found = &mut self.orders[*order];
                let applies = found.0 == *if_version;
                if applies {
                    *found = (found.0 + 1, state.clone());
                }
                applies
            }
            Write::Account { account, if_version, op_id, if_record, balance, record } => {
                let found = &mut self.accounts[*account];
                let applies =
                    found.balance.version == *if_version && found.record(*op_id) == *if_record;
                if applies {
                    found.balance = *balance;
                    found.records.retain(|(of, _)| of != op_id);
                    found.records.push((*op_id, *record));
                    found.records.sort_by_key(|(of, _)| *of);
                }
                applies
            }
        }
    }

    /// Drops late writes whose version is gone: they can never apply.
    fn forget(&mut self) {
        let (orders, accounts) = (&self.orders, &self.accounts);
        self.late.retain(|write| match write {
            Write::Order { order, if_version, .. } => orders[*order].0 == *if_version,
            Write::Account { account, if_version, .. } => {
                accounts[*account].balance.version == *if_version
            }
        });
    }

    fn actor(&mut self, who: Who) -> &mut Option<Actor> {
        match who {
            Who::Owner(n) => &mut self.owners[n],
            Who::Recoverer(n) => &mut self.recoverers[n],
        }
    }
}

impl Scenario {
    fn resume(&self, world: &World, job: usize) -> Option<SagaState> {
        let order = self.jobs[job].order;
        SagaState::resume(
            &world.orders[order].1,
            attempt_id(job),
            vec![1; self.orders[order].len()],
        )
    }

    fn start(&self, world: &World, job: usize) -> Option<Actor> {
        let Job { order, reversal } = self.jobs[job];
        let amounts = vec![1; self.orders[order].len()];
        let saga = match (reversal, &world.orders[order]) {
            (None, (_, OrderState::Open)) => SagaState::checkout(attempt_id(job), amounts),
            (Some(reversal), (_, OrderState::Paid { attempt_id: of, epochs })) => {
                SagaState::reversal(attempt_id(job), (*of, epochs.clone()), reversal, amounts)
            }
            _ => return None,
        };
        let read = Some(world.orders[order].0);
        Some(Actor { job, saga: Some(saga), read, sent: None })
    }

    /// Reads what the chosen participant of the next step is about, and decides.
    fn act(&self, world: &mut World, who: Who, choice: usize) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        let order = self.jobs[actor.job].order;
        let saga = actor.saga.as_mut()?;
        match saga.step() {
            SagaStep::OrderTransition(transition) => {
                let (version, state) = &world.orders[order];
                match transition_of(state, attempt_id(actor.job), &transition) {
                    TransitionOutcome::Change(_)
                        if transition.takes_ownership() && actor.read != Some(*version) =>
                    {
                        saga.on_transition(false);
                    }
                    TransitionOutcome::Change(state) => {
                        let write = Write::Order { order, if_version: *version, state };
                        actor.sent = Some((write, None));
                    }
                    TransitionOutcome::AlreadyDone => saga.on_transition(true),
                    TransitionOutcome::NotOwner => saga.on_transition(false),
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
        let saga = actor.saga.as_mut()?;
        match decide(Some(account.balance), account.record(op_id), op) {
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
            }
            Decision::NoOp => {
                saga.on_op(participant, OpOutcome::Done { epoch: account.balance.epoch })
            }
            Decision::Wait => return None,
            Decision::Refused(RefusalReason::Missing | RefusalReason::Overflow) => {
                unreachable!("{op:?}")
            }
            Decision::Refused(RefusalReason::Insufficient) => {
                saga.on_op(participant, OpOutcome::Refused(RefusalReason::Insufficient))
            }
            Decision::Fenced => saga.on_op(participant, OpOutcome::Fenced),
        }
        Some(())
    }

    /// Removes an actor that has ended; what it has finished needs no recovery.
    fn put_back(&self, world: &mut World, who: Who, actor: Actor) {
        let outcome = match actor.saga.as_ref().map(SagaState::step) {
            Some(SagaStep::End(outcome)) => outcome,
            _ => {
                *world.actor(who) = Some(actor);
                return;
            }
        };
        if outcome != SagaOutcome::NotOwner {
            world.index[actor.job] = false;
        }
        if let Who::Owner(n) = who {
            world.outcomes[n] = Some(outcome);
        }
    }

    fn deliver(&self, world: &mut World, who: Who) -> Option<()> {
        let mut actor = world.actor(who).take()?;
        let (write, participant) = actor.sent.take()?;
        let applied = world.apply(&write);
        let saga = actor.saga.as_mut()?;
        match (participant, &write) {
            (Some(participant), Write::Account { balance, .. }) if applied => {
                saga.on_op(participant, OpOutcome::Done { epoch: balance.epoch });
            }
            (None, _) if applied => saga.on_transition(true),
            _ => {}
        }
        self.put_back(world, who, actor);
        Some(())
    }

    /// Recovery of one attempt that it knows of.
    fn recover(&self, world: &mut World, recoverer: usize, job: usize) {
        let order = self.jobs[job].order;
        match self.resume(world, job) {
            Some(saga) => {
                let actor = Actor { job, saga: Some(saga), read: None, sent: None };
                world.recoverers[recoverer] = Some(actor);
            }
            None => {
                // The fence: a new version makes the owner's late `Begin` fail.
                if matches!(world.orders[order].1, OrderState::Open | OrderState::Paid { .. }) {
                    world.orders[order].0 += 1;
                }
                world.index[job] = false;
            }
        }
    }

    /// All servers die, writes in flight are lost, and one recoverer finishes every attempt.
    fn recovered(&self, world: &World) -> World {
        let mut world = world.clone();
        world.owners.fill(None);
        world.recoverers.fill(None);
        world.late.clear();
        for job in (0..self.jobs.len()).cycle().take(2 * self.jobs.len()) {
            if !world.index[job] {
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

    fn paid(&self, world: &World, account: usize) -> i64 {
        let wants = |order: &usize| self.orders[*order].contains(&account);
        let is_paid = |order: &usize| matches!(world.orders[*order].1, OrderState::Paid { .. });
        (0..self.orders.len()).filter(wants).filter(is_paid).count() as i64
    }
}

fn sums_hold(_: &Scenario, world: &World) -> bool {
    world.accounts.iter().all(|account| {
        let Balance { available, reserved, captured, added, removed, written_off, .. } =
            account.balance;
        let open = account.records.iter().filter(|(_, record)| record.state == OpState::Reserved);
        let recorded: i64 = open.map(|(_, record)| record.amount).sum();
        available >= 0
            && captured >= 0
            && reserved == recorded
            && available + reserved + captured + removed + written_off == added
    })
}

/// Every attempt ends. No oversell, no double charge, no lost credit: what is captured is what paid orders
/// took. No undersell: a refused checkout was refused because another order has it for good.
fn recovery_ends_consistently(scenario: &Scenario, world: &World) -> bool {
    let end = scenario.recovered(world);
    let mut states = end.orders.iter().map(|(_, state)| state);
    states.all(|state| matches!(state, OrderState::Open | OrderState::Paid { .. }))
        && end.accounts.iter().enumerate().all(|(number, account)| {
            account.balance.reserved == 0 && account.balance.captured == scenario.paid(&end, number)
        })
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
        let account = |available: &i64| Account {
            balance: Balance {
                version: 1,
                available: *available,
                added: *available,
                ..Balance::default()
            },
            records: Vec::new(),
        };
        vec![World {
            orders: vec![(0, OrderState::Open); self.orders.len()],
            accounts: self.available.iter().map(account).collect(),
            owners: vec![None; self.jobs.len()],
            outcomes: vec![None; self.jobs.len()],
            recoverers: vec![None; self.recoverers],
            index: vec![false; self.jobs.len()],
            late: Vec::new(),
            losses: self.losses,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for job in 0..self.jobs.len() {
            let never = world.owners[job].is_none()
                && world.outcomes[job].is_none()
                && !world.index[job]
                && world.orders[self.jobs[job].order].1.attempt_id() != Some(attempt_id(job));
            if never {
                actions.push(Action::Start(job));
            }
            for recoverer in 0..self.recoverers {
                if world.index[job] && world.recoverers[recoverer].is_none() {
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
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Start(job) => {
                world.owners[job] = Some(self.start(&world, job)?);
                world.index[job] = true;
            }
            Action::Recover(recoverer, job) => self.recover(&mut world, recoverer, job),
            Action::Step(who, choice) => self.act(&mut world, who, choice)?,
            Action::Deliver(who) => self.deliver(&mut world, who)?,
            Action::Lose(who) => {
                let (write, _) = world.actor(who).as_mut()?.sent.take()?;
                world.late.push(write);
                world.losses -= 1;
            }
            Action::GiveUp(job) => {
                let saga = world.owners[job].as_mut()?.saga.as_mut()?;
                let SagaStep::AccountOps { ops, .. } = saga.step() else { return None };
                let &[(participant, AccountOp::Reserve(_))] = ops.as_slice() else { return None };
                saga.on_op(participant, OpOutcome::TimedOut);
            }
            Action::Arrive(late) => {
                let write = world.late.remove(late);
                world.apply(&write);
            }
        }
        world.forget();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the sums hold, nothing is oversold", sums_hold),
            Property::always("recovery reaches a consistent end", recovery_ends_consistently),
            Property::always("answers hold", answers_hold),
            Property::sometimes("an order is paid", |_, world: &World| {
                world.outcomes.contains(&Some(SagaOutcome::Completed))
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
        if let Who::Owner(n) = who
            && self.give_up
            && actor.sent.is_none()
        {
            actions.push(Action::GiveUp(n));
        }
        if actor.sent.is_some() {
            actions.push(Action::Deliver(who));
            if world.losses > 0 {
                actions.push(Action::Lose(who));
            }
            return;
        }
        let choices = match actor.saga.as_ref().map(SagaState::step) {
            Some(SagaStep::AccountOps { ops, .. }) => ops.len(),
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

const CHECKOUT: fn(usize) -> Job = |order| Job { order, reversal: None };

/// The last piece of an item, ordered by two users, each of whom can pay.
#[test]
fn two_checkouts_of_the_last_piece() {
    check(
        "two checkouts of the last piece",
        Scenario {
            jobs: vec![CHECKOUT(0), CHECKOUT(1)],
            orders: vec![vec![0, 2], vec![1, 2]],
            available: vec![1, 1, 1],
            recoverers: 1,
            losses: 1,
            give_up: false,
        },
    );
}

/// One order, checked out twice, with recovery in between and a write that arrives late.
#[test]
fn one_order_twice() {
    check(
        "one order twice",
        Scenario {
            jobs: vec![CHECKOUT(0), CHECKOUT(0)],
            orders: vec![vec![0, 1]],
            available: vec![2, 2],
            recoverers: 1,
            losses: 1,
            give_up: true,
        },
    );
}

/// An owner that may give up, two recoverers, and writes that arrive late.
#[test]
fn one_checkout_with_two_recoverers() {
    check(
        "one checkout with two recoverers",
        Scenario {
            jobs: vec![CHECKOUT(0)],
            orders: vec![vec![0, 1]],
            available: vec![2, 2],
            recoverers: 2,
            losses: 2,
            give_up: true,
        },
    );
}

/// A checkout that is reversed as soon as it is paid.
#[test]
fn a_checkout_and_its_reversal() {
    for (reversal, recoverers) in [(Reversal::Cancel, 2), (Reversal::WriteOff, 1)] {
        let reversal = Job { order: 0, reversal: Some(reversal) };
        check(
            "a checkout and its reversal",
            Scenario {
                jobs: vec![CHECKOUT(0), reversal],
                orders: vec![vec![0, 1]],
                available: vec![1, 1],
                recoverers,
                losses: 1,
                give_up: false,
            },
        );
    }
}
