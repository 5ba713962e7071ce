//! Ends what the audit found in progress without anything that would end it, by the steps of recovery.
//!
//! A reservation of an attempt that owns no order is released. An attempt that owns one is put into
//! the pending index again: of a paid order the reservations are captured at once, any other order is
//! left to recovery, because its owner may still run. Each step may be repeated.

use std::collections::HashSet;

use uuid::Uuid;

use super::judge::Orphan;
use super::sums::Owner;
use crate::db::cassandra::cart::accounts_table::AccountKey;
use crate::db::cassandra::cart::contention::{OPERATION_TIMEOUT, contended};
use crate::db::cassandra::cart::coordinator::CheckoutCoordinator;
use crate::db::cassandra::cart::saga::account_batch::AccountRequest;
use crate::db::cassandra::cart::saga::balance::{AccountOp, OpOutcome};
use crate::db::storage::{ActContext, StorageError};

/// Ends all of them; what was done to each, for people.
pub(super) async fn repair(
    coordinator: &CheckoutCoordinator,
    orphans: &[Orphan],
) -> Result<Vec<String>, StorageError> {
    let (mut repaired, mut listed) = (Vec::new(), HashSet::new());
    for orphan in orphans {
        let done = match orphan {
            Orphan::Reservation { key, attempt_id, owner: None, .. } => {
                release(coordinator, key, *attempt_id).await?;
                "released"
            }
            Orphan::Reservation { attempt_id, owner: Some(owner), .. }
            | Orphan::Order { owner, attempt_id, .. } => {
                if listed.insert(*attempt_id) {
                    list(coordinator, owner, *attempt_id).await?;
                }
                if owner.is_paid { "captured" } else { "left to recovery" }
            }
        };
        repaired.push(format!("{} ({done})", orphan.difference()));
    }
    Ok(repaired)
}

/// Releases a reservation. No order can be paid by its attempt any more: the attempt began before it
/// reserved, and begins once.
async fn release(
    coordinator: &CheckoutCoordinator,
    key: &AccountKey,
    attempt_id: Uuid,
) -> Result<(), StorageError> {
    let request = AccountRequest { op_id: attempt_id, op: AccountOp::Release, expected: None };
    let context = ActContext::new().with_timeout(OPERATION_TIMEOUT);
    match coordinator.runner.batchers.submit(key.clone(), context, request).await? {
        OpOutcome::TimedOut => Err(contended()),
        _ => Ok(()),
    }
}

/// Puts the attempt into the pending index again, so that recovery finds it, also if this process
/// stops here.
async fn list(
    coordinator: &CheckoutCoordinator,
    owner: &Owner,
    attempt_id: Uuid,
) -> Result<(), StorageError> {
    coordinator.runner.pending.restore(attempt_id, &owner.order).await?;
    if owner.is_paid {
        coordinator.recovery.recover(&owner.order, attempt_id).await?;
    }
    Ok(())
}
