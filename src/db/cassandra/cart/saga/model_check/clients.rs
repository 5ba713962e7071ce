//! How a server of the model runs an edit of an order, a fixture, or an operation on one account. It
//! does what `order_edits`, `fixtures` and `account_batcher` do, by the real decisions of
//! `cart::rules`, `account_batch` and `balance`.

use std::sync::Arc;

use super::super::account_batch::Plan;
use super::super::balance::{AccountOp, OpOutcome};
use super::super::order_state::{OrderState, Reversal};
use super::scenario::{Defect, Job, Scenario, item_id};
use super::world::{Answer, Order, Row, World, Write, attempt_id};
use crate::cart::model::{Amount, Line};
use crate::cart::rules;

/// What an edit makes of an order; `None`: it is refused.
type Edited = Option<Option<Row>>;

impl Scenario {
    /// Reads, decides, and sends the write of the job, or ends it.
    pub(super) fn step_client(&self, world: &mut World, job: usize) -> Option<()> {
        match &self.jobs[job] {
            Job::AddItem { order, .. }
            | Job::RemoveItem { order, .. }
            | Job::RemoveOrder { order } => self.edit(world, job, *order),
            Job::PutOrder { order, row, .. } => self.put_order(world, job, *order, row),
            Job::Operation { account, op } => self.operation(world, job, *account, *op),
            Job::Checkout { .. } | Job::Reverse { .. } => None,
        }
    }

    fn edit(&self, world: &mut World, job: usize, number: usize) -> Option<()> {
        let order = &world.orders[number];
        if is_in_progress(order) && !self.has(Defect::EditsPendingOrder) {
            return None;
        }
        let answer = match self.lost_write(world, job, order) {
            answer @ Some(_) => answer,
            None => match self.edited(world, job, order.row.as_ref()) {
                None => Some(Answer::Refused),
                Some(row) => {
                    let if_version = order.read_version();
                    let write = Write::Order { order: number, if_version, row, job: Some(job) };
                    world.clients[job].sent = Some(write);
                    None
                }
            },
        };
        world.clients[job].answer = answer;
        Some(())
    }

    /// What is known of a write whose answer was lost; `None`: it was not done.
    fn lost_write(&self, world: &World, job: usize, order: &Order) -> Option<Answer> {
        if self.has(Defect::RepeatsLostEdit) {
            return None;
        }
        let removes = matches!(self.jobs[job], Job::RemoveOrder { .. });
        world.clients[job].lost.iter().find_map(|before| {
            let was_done = match &order.row {
                Some(_) => order.jobs.contains(&job),
                None => removes,
            };
            let may_have_been =
                order.row.is_some() && before.is_some_and(|version| !order.has_been(version));
            match (was_done, may_have_been) {
                (true, _) => Some(Answer::Done),
                (false, true) => Some(Answer::Unknown),
                (false, false) => None,
            }
        })
    }

    fn edited(&self, world: &World, job: usize, row: Option<&Row>) -> Edited {
        let row = row?;
        // As `order_edits` has it; a defect reaches orders in other states.
        if matches!(row.state, OrderState::Paid { .. }) {
            return None;
        }
        let lines = match &self.jobs[job] {
            Job::AddItem { item, quantity, .. } => {
                let price = Amount::stored(world.accounts[*item].balance.price)?;
                rules::with_item(&row.lines, &item_id(*item), Amount::new(*quantity)?, price)
                    .ok()?
            }
            Job::RemoveItem { item, .. } => rules::without_one(&row.lines, &item_id(*item)).ok()?,
            _ => return Some(None),
        };
        Some(Some(Row { lines: lines.into(), ..row.clone() }))
    }

    /// A put whose answer was lost is repeated: it replaces whatever is there.
    fn put_order(&self, world: &mut World, job: usize, number: usize, new: &Row) -> Option<()> {
        let order = &world.orders[number];
        let is_paid = |row: &Row| matches!(row.state, OrderState::Paid { .. });
        if world.owners[job].is_some() || is_in_progress(order) {
            return None;
        }
        if order.row.as_ref().is_some_and(is_paid) && !self.has(Defect::OverwritesPaidOrder) {
            if world.started[job] {
                // Its one attempt has lost the order to others, or ran out of time.
                world.clients[job].answer = Some(Answer::Unknown);
                return Some(());
            }
            return self.start_reversal(world, job, number, Reversal::WriteOff);
        }
        let (if_version, row) = (order.read_version(), Some(new.clone()));
        world.clients[job].sent =
            Some(Write::Order { order: number, if_version, row, job: Some(job) });
        Some(())
    }

    fn operation(
        &self,
        world: &mut World,
        job: usize,
        account: usize,
        op: AccountOp,
    ) -> Option<()> {
        let Plan { change, outcomes, .. } = self.plan(world, account, attempt_id(job), op);
        let client = &mut world.clients[job];
        match change {
            Some(change) => client.sent = Some(Write::Account { account, change }),
            None => {
                client.answer = Some(match outcomes[0]? {
                    OpOutcome::Done { .. } => Answer::Done,
                    OpOutcome::Refused(_) => Answer::Refused,
                    outcome => unreachable!("{op:?}: {outcome:?}"),
                });
            }
        }
        Some(())
    }

    pub(super) fn deliver_client(&self, world: &mut World, job: usize) -> Option<()> {
        let write = world.clients[job].sent.take()?;
        if self.apply(world, &write) {
            world.clients[job].answer = Some(Answer::Done);
        }
        Some(())
    }

    pub(super) fn lose_client(&self, world: &mut World, job: usize) -> Option<()> {
        let write = world.clients[job].sent.take()?;
        if let Write::Order { if_version, .. } = &write {
            world.clients[job].lost.push(*if_version);
        }
        world.late.push(write);
        world.losses -= 1;
        Some(())
    }

    /// The pieces of each item that the order must have, by the edits that were applied.
    pub(super) fn expected_lines(&self, world: &World, number: usize) -> Vec<(String, u64)> {
        let jobs = world.orders[number].jobs.iter().map(|job| &self.jobs[*job]);
        let first = self.orders[number].as_ref().map_or(Arc::from([]), |row| row.lines.clone());
        let mut lines: Vec<Line> = first.to_vec();
        for job in jobs {
            match job {
                Job::PutOrder { row, .. } => lines = row.lines.to_vec(),
                Job::AddItem { item, quantity, .. } => {
                    let quantity = Amount::new(*quantity).unwrap_or_default();
                    lines = rules::with_item(&lines, &item_id(*item), quantity, Amount::ONE)
                        .expect("it was applied");
                }
                Job::RemoveItem { item, .. } => {
                    lines = rules::without_one(&lines, &item_id(*item)).expect("it was applied");
                }
                _ => {}
            }
        }
        quantities(&lines)
    }
}

/// How many pieces of each item there are.
pub(super) fn quantities(lines: &[Line]) -> Vec<(String, u64)> {
    lines.iter().map(|line| (line.item.to_string(), line.quantity.get())).collect()
}

fn is_in_progress(order: &Order) -> bool {
    order.row.as_ref().is_some_and(|row| row.state.attempt_in_progress().is_some())
}
