//! Leases: who gets which database, and when they end.

use super::*;
use crate::db::storage::{BusyReason, Lease, Register};
use crate::lab::model::LeaseId;

async fn busy(lab: &EmbeddedLab, wanted: &[(DatabaseType, u8)], second: i64) -> (u8, BusyReason) {
    let wanted: Vec<_> = wanted.iter().map(|(of, number)| (*of, size(*number))).collect();
    match lab.lease(&wanted, MINUTE, at(second)).await.unwrap() {
        LeaseOutcome::Busy(_, size, reason) => (size.get(), reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_leased_before_its_reset_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let wanted = [(SINGLE, size(1))];
    let outcome = lab.lease(&wanted, MINUTE, at(0)).await.unwrap();
    assert_eq!(outcome, LeaseOutcome::NotRegistered(SINGLE, size(1)));
    lab.register(database("a", "A", SINGLE, 1), at(0)).await.unwrap();
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 0).await, (1, BusyReason::Resetting));
    let owner = Uuid::now_v7();
    let reset = lab.claim_reset(owner, MINUTE, at(0)).await.unwrap().unwrap();
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 0).await, (1, BusyReason::Resetting));
    lab.finish_reset(owner, Ok(())).await.unwrap();
    let first = leased(&lab, (SINGLE, 1), at(0)).await.unwrap();
    assert_eq!(first.generation, reset.create);
    assert_eq!(first.lease.expires_at, at(60));
    assert_eq!(state(&lab, "a", at(59)).await, DatabaseState::Leased(first.lease));
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 1).await, (1, BusyReason::Leased(at(60))));
}

#[tokio::test]
async fn all_that_is_wanted_is_leased_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[database("a", "A", SINGLE, 1), database("b", "B", SINGLE, 2)]).await;
    let held = leased(&lab, (SINGLE, 2), at(5)).await.unwrap();
    let refused = busy(&lab, &[(SINGLE, 1), (SINGLE, 2)], 6).await;
    assert_eq!(refused, (2, BusyReason::Leased(held.lease.expires_at)));
    assert_eq!(state(&lab, "a", at(6)).await, DatabaseState::Free);
    let missing = [(SINGLE, size(1)), (REPLICATED, size(1))];
    let outcome = lab.lease(&missing, MINUTE, at(6)).await.unwrap();
    assert_eq!(outcome, LeaseOutcome::NotRegistered(REPLICATED, size(1)));
    assert_eq!(state(&lab, "a", at(6)).await, DatabaseState::Free);
    assert!(lab.release(held.lease.id, at(7)).await.unwrap());
    reset_all(&lab, at(7)).await;
    let both = [(SINGLE, size(2)), (SINGLE, size(1))];
    let LeaseOutcome::Leased(both) = lab.lease(&both, MINUTE, at(7)).await.unwrap() else {
        panic!("both are free")
    };
    let names: Vec<_> = both.iter().map(|leased| leased.database.resource_id.as_str()).collect();
    assert_eq!(names, ["b", "a"], "in the order in which they are wanted");
}

#[tokio::test]
async fn databases_of_one_server_are_one_lease() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[database("a1", "A", SINGLE, 1), database("a2", "A", SINGLE, 2)]).await;
    let together = busy(&lab, &[(SINGLE, 1), (SINGLE, 2)], 0).await;
    assert_eq!(together, (2, BusyReason::SameServer));
    let held = leased(&lab, (SINGLE, 1), at(0)).await.unwrap();
    assert_eq!(state(&lab, "a2", at(1)).await, DatabaseState::Free);
    assert_eq!(busy(&lab, &[(SINGLE, 2)], 1).await, (2, BusyReason::Leased(at(60))));
    assert!(lab.release(held.lease.id, at(2)).await.unwrap());
    assert!(leased(&lab, (SINGLE, 2), at(2)).await.is_some());
}

#[tokio::test]
async fn a_choice_is_found_where_the_first_free_one_would_take_the_server_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let all = [
        database("a1", "A", SINGLE, 1),
        database("b1", "B", SINGLE, 1),
        database("a2", "A", REPLICATED, 1),
    ];
    ready(&lab, &all).await;
    let wanted = [(SINGLE, size(1)), (REPLICATED, size(1))];
    let LeaseOutcome::Leased(both) = lab.lease(&wanted, MINUTE, at(0)).await.unwrap() else {
        panic!("b1 and a2 are free")
    };
    let names: Vec<_> = both.iter().map(|leased| leased.database.resource_id.as_str()).collect();
    assert_eq!(names, ["b1", "a2"]);
}

#[tokio::test]
async fn busy_names_the_end_of_the_first_lease_that_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[database("a", "A", SINGLE, 1), database("b", "B", SINGLE, 1)]).await;
    leased(&lab, (SINGLE, 1), at(10)).await.unwrap();
    leased(&lab, (SINGLE, 1), at(5)).await.unwrap();
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 20).await, (1, BusyReason::Leased(at(65))));
}

#[tokio::test]
async fn a_stand_in_is_leased_only_where_nothing_else_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[stand_in("s", SINGLE, 1), stand_in("t", SINGLE, 2)]).await;
    lab.register(database("a", "A", SINGLE, 1), at(1)).await.unwrap();
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 1).await, (1, BusyReason::Resetting));
    let owner = Uuid::now_v7();
    lab.claim_reset(owner, MINUTE, at(1)).await.unwrap().unwrap();
    lab.finish_reset(owner, Err("no right to create".to_owned())).await.unwrap();
    let broken = BusyReason::Broken("no right to create".to_owned());
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 1).await, (1, broken), "the user must see why");
    let other = leased(&lab, (SINGLE, 2), at(1)).await.unwrap();
    assert_eq!(other.database.resource_id, "t");
    assert!(lab.unregister("a", at(1)).await.unwrap());
    assert_eq!(leased(&lab, (SINGLE, 1), at(1)).await.unwrap().database.resource_id, "s");
}

#[tokio::test]
async fn a_lease_that_is_over_is_neither_renewed_nor_released() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[database("a", "A", SINGLE, 1)]).await;
    let first = leased(&lab, (SINGLE, 1), at(0)).await.unwrap();
    let id = first.lease.id;
    assert_eq!(lab.renew(id, MINUTE, at(59)).await.unwrap(), Some(at(119)));
    assert_eq!(lab.renew(id, MINUTE, at(20)).await.unwrap(), Some(at(80)), "counts from now");
    assert_eq!(lab.leases(at(79)).await.unwrap(), [id]);
    assert_eq!(lab.leases(at(80)).await.unwrap(), []);
    assert_eq!(lab.renew(id, MINUTE, at(80)).await.unwrap(), None);
    assert!(!lab.release(id, at(80)).await.unwrap());
    assert_eq!(
        state(&lab, "a", at(79)).await,
        DatabaseState::Leased(Lease { id, expires_at: at(80) })
    );
    assert_eq!(state(&lab, "a", at(80)).await, DatabaseState::Resetting);
    assert_eq!(busy(&lab, &[(SINGLE, 1)], 80).await, (1, BusyReason::Resetting));
    // The lease before does not come back by a clock that is behind.
    assert_eq!(lab.renew(id, MINUTE, at(79)).await.unwrap(), None);
    reset_all(&lab, at(80)).await;
    let second = leased(&lab, (SINGLE, 1), at(80)).await.unwrap();
    assert!(second.generation > first.generation);
    assert!(!lab.release(id, at(81)).await.unwrap(), "the id of the lease before");
    assert!(lab.release(second.lease.id, at(81)).await.unwrap());
    assert!(!lab.release(second.lease.id, at(81)).await.unwrap());
    assert!(!lab.release(LeaseId::new(), at(81)).await.unwrap());
}

#[tokio::test]
async fn registering_again_replaces_what_is_not_leased() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let old = database("a", "A", SINGLE, 1);
    let new = database("a", "A", SINGLE, 2);
    ready(&lab, std::slice::from_ref(&old)).await;
    assert_eq!(lab.register(old.clone(), at(1)).await.unwrap(), Register::Unchanged);
    assert_eq!(state(&lab, "a", at(1)).await, DatabaseState::Free);
    let held = leased(&lab, (SINGLE, 1), at(1)).await.unwrap();
    assert_eq!(lab.register(old, at(2)).await.unwrap(), Register::Unchanged);
    assert_eq!(lab.register(new.clone(), at(2)).await.unwrap(), Register::Leased(at(61)));
    assert!(!lab.unregister("a", at(2)).await.unwrap());
    assert_eq!(lab.databases(at(2)).await.unwrap()[0].generation, Some(held.generation));
    assert_eq!(lab.register(new.clone(), at(61)).await.unwrap(), Register::Registered);
    let all = lab.databases(at(61)).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0].database, all[0].generation), (&new, None));
    assert_eq!(all[0].state, DatabaseState::Resetting);
    assert!(lab.unregister("a", at(62)).await.unwrap());
    assert!(!lab.unregister("a", at(62)).await.unwrap());
}
