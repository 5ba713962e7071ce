//! The promise about checking the cart's sums.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use super::StorageError;
use crate::cart::model::OrderId;

/// Checking that stock, credit and orders agree.
#[async_trait]
pub trait CartAudit: Send + Sync {
    /// Recomputes every sum from the orders and compares, and looks for what is in progress although
    /// nothing would end it. Servers may write meanwhile: what keeps changing is counted as
    /// unsettled, and what is reported is certain.
    async fn audit(&self) -> Result<Audit, StorageError>;

    /// The same; then ends [`Difference::Reservation`] and [`Difference::Order`], and audits again.
    /// A [`Difference::Sum`] stays. Repeating it after a failure goes on.
    ///
    /// [`ErrorKind::Invalid`](super::ErrorKind::Invalid), a sentence for the operator, where a
    /// checkout is one transaction and so leaves nothing in progress.
    async fn repair(&self) -> Result<Audit, StorageError>;
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    /// Users checked.
    pub users: u64,
    /// Items checked.
    pub items: u64,
    /// Orders checked.
    pub orders: u64,
    /// Orders among them that are paid.
    pub paid_orders: u64,
    /// Parts of paid orders (a user's charge, an item's quantity) that were reset since, and sums of
    /// paid orders that were replaced: reported, but no differences.
    pub reset: u64,
    /// Attempts that had not ended when the audit began, those of a dead server that recovery
    /// will end included.
    pub unfinished: u64,
    /// Users and items that changed whenever they were read, so that their sums were not compared
    /// with the orders.
    pub unsettled: u64,
    /// What does not agree, at most the first [`Audit::SHOWN`].
    pub differences: Vec<Difference>,
    /// How many do not agree.
    pub different: u64,
    /// What was done to each that a repair ended, as a person finds it; `None` unless something was
    /// to be repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Vec<String>>,
}

impl Audit {
    /// Differences that are listed.
    pub const SHOWN: usize = 100;

    /// Adds a difference.
    pub fn differs(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < Self::SHOWN {
            self.differences.push(difference);
        }
    }
}

/// What does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// A sum that is not what it should be.
    Sum {
        /// Whose sum, such as `credit of user 5`.
        what: String,
        /// What the store has.
        found: i128,
        /// What follows from the other sums, or from the orders.
        expected: i128,
    },
    /// A reservation that nothing would capture or release: its attempt owns no order, or the pending
    /// index lacks it.
    Reservation {
        /// Of what, such as `stock of item 7`.
        of: String,
        /// How much is reserved.
        amount: i64,
        /// The attempt that reserved it.
        attempt_id: String,
        /// The order that the attempt owns, or has paid.
        order: Option<OrderId>,
        /// The state of that order.
        state: Option<&'static str>,
    },
    /// An order under way that nothing would end: the pending index lacks its attempt.
    Order {
        /// Which one.
        order: OrderId,
        /// Its state, such as `pending`.
        state: &'static str,
        /// What it costs.
        amount: i64,
        /// The attempt that owns it.
        attempt_id: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum { what, found, expected } => {
                write!(f, "{what} is {found}, should be {expected}")
            }
            Self::Reservation { of, amount, attempt_id, order, state } => {
                write!(f, "{of}: {amount} reserved by attempt {attempt_id}, ")?;
                match (order, state) {
                    (Some(order), Some(state)) => write!(
                        f,
                        "which the pending index lacks; it owns order {order}, which is {state}"
                    ),
                    _ => write!(f, "which owns no order"),
                }
            }
            Self::Order { order, state, amount, attempt_id } => write!(
                f,
                "order {order} of {amount} credits is {state} by attempt {attempt_id}, which the \
                 pending index lacks"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_kind_id_amounts_and_attempt() {
        let (attempt_id, order) = ("0190-a".to_owned(), OrderId::parse("o1"));
        let leaked = |order, state| Difference::Reservation {
            of: "stock of item 7".to_owned(),
            amount: 2,
            attempt_id: attempt_id.clone(),
            order,
            state,
        };
        let lines = [
            leaked(None, None).to_string(),
            leaked(order.clone(), Some("paid")).to_string(),
            Difference::Order {
                order: order.expect("an id"),
                state: "pending",
                amount: 6,
                attempt_id: attempt_id.clone(),
            }
            .to_string(),
        ];
        assert_eq!(
            lines,
            [
                "stock of item 7: 2 reserved by attempt 0190-a, which owns no order",
                "stock of item 7: 2 reserved by attempt 0190-a, which the pending index lacks; it \
                 owns order o1, which is paid",
                "order o1 of 6 credits is pending by attempt 0190-a, which the pending index lacks",
            ]
        );
        let json = serde_json::to_value(leaked(None, None)).expect("JSON");
        assert_eq!((&json["kind"], &json["amount"]), (&"reservation".into(), &2.into()));
    }
}
