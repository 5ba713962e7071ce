//! Resets: whose they are, and that no generation is lost from sight.

use super::*;
use crate::db::storage::Register;
use crate::lab::model::Generation;

fn numbers(generations: &[Generation]) -> Vec<u32> {
    generations.iter().map(|generation| generation.0).collect()
}

#[tokio::test]
async fn one_reset_at_a_time_over_all_owners() {
    let folder = tempfile::tempdir().unwrap();
    let (lab, other) = (lab(folder.path()).await, lab(folder.path()).await);
    for name in ["a", "b"] {
        lab.register(database(name, name, SINGLE, 1), at(0)).await.unwrap();
    }
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let first = lab.claim_reset(one, MINUTE, at(0)).await.unwrap().unwrap();
    assert_eq!(other.claim_reset(two, MINUTE, at(59)).await.unwrap(), None);
    assert!(!other.renew_reset(two, MINUTE, at(1)).await.unwrap());
    assert!(!other.finish_reset(two, Ok(())).await.unwrap());
    assert!(lab.renew_reset(one, MINUTE, at(30)).await.unwrap());
    assert_eq!(other.claim_reset(two, MINUTE, at(89)).await.unwrap(), None);
    assert!(lab.finish_reset(one, Ok(())).await.unwrap());
    let second = other.claim_reset(two, MINUTE, at(89)).await.unwrap().unwrap();
    assert_eq!((first.database.resource_id, second.database.resource_id), ("a".into(), "b".into()));
}

#[tokio::test]
async fn a_crash_in_a_reset_leaves_no_generation_behind() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[database("a", "A", SINGLE, 1)]).await;
    let held = leased(&lab, (SINGLE, 1), at(0)).await.unwrap();
    // Numbers begin anywhere, so that labs at one server use different ones.
    let first = held.generation.0;
    let generation = |place| Generation(first + place);
    lab.release(held.lease.id, at(1)).await.unwrap();
    let owners = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let crashed = lab.claim_reset(owners[0], MINUTE, at(1)).await.unwrap().unwrap();
    assert_eq!((numbers(&crashed.drop), crashed.create), (vec![first], generation(1)));
    let again = lab.claim_reset(owners[1], MINUTE, at(61)).await.unwrap().unwrap();
    assert_eq!((numbers(&again.drop), again.create), (vec![first, first + 1], generation(2)));
    assert!(!lab.renew_reset(owners[0], MINUTE, at(62)).await.unwrap(), "the late owner");
    assert!(!lab.finish_reset(owners[0], Ok(())).await.unwrap(), "the late owner");
    assert_eq!(state(&lab, "a", at(62)).await, DatabaseState::Resetting);
    // What failed may be there all the same.
    assert!(lab.finish_reset(owners[1], Err("cut".to_owned())).await.unwrap());
    assert_eq!(state(&lab, "a", at(62)).await, DatabaseState::Broken("cut".to_owned()));
    assert_eq!(lab.claim_reset(owners[2], MINUTE, at(62)).await.unwrap(), None);
    let outcome = lab.register(database("a", "A", SINGLE, 1), at(63)).await.unwrap();
    assert_eq!(outcome, Register::Registered);
    let third = lab.claim_reset(owners[2], MINUTE, at(63)).await.unwrap().unwrap();
    assert_eq!(
        (numbers(&third.drop), third.create),
        (vec![first, first + 1, first + 2], generation(3))
    );
    assert!(lab.finish_reset(owners[2], Ok(())).await.unwrap());
    let next = leased(&lab, (SINGLE, 1), at(64)).await.unwrap();
    assert_eq!(next.generation, generation(3));
    lab.release(next.lease.id, at(65)).await.unwrap();
    let last = lab.claim_reset(owners[2], MINUTE, at(65)).await.unwrap().unwrap();
    assert_eq!(numbers(&last.drop), [first + 3], "the others are known to be dropped");
}

#[tokio::test]
async fn a_server_is_not_reset_while_it_is_leased_nor_leased_while_it_is_reset() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    ready(&lab, &[database("a1", "A", SINGLE, 1), database("a2", "A", SINGLE, 2)]).await;
    let first = leased(&lab, (SINGLE, 1), at(0)).await.unwrap();
    lab.release(first.lease.id, at(1)).await.unwrap();
    let second = leased(&lab, (SINGLE, 2), at(2)).await.unwrap();
    let owner = Uuid::now_v7();
    assert_eq!(lab.claim_reset(owner, MINUTE, at(3)).await.unwrap(), None, "a2 is leased");
    lab.register(database("b", "B", SINGLE, 1), at(3)).await.unwrap();
    let elsewhere = lab.claim_reset(owner, MINUTE, at(3)).await.unwrap().unwrap();
    assert_eq!(elsewhere.database.resource_id, "b");
    lab.finish_reset(owner, Ok(())).await.unwrap();
    // The lease of a2 is over: now its server is reset, the one that has waited longer first.
    let reset = lab.claim_reset(owner, MINUTE, second.lease.expires_at).await.unwrap().unwrap();
    assert_eq!(reset.database.resource_id, "a1");
    lab.finish_reset(owner, Ok(())).await.unwrap();
    let reset = lab.claim_reset(owner, MINUTE, at(63)).await.unwrap().unwrap();
    assert_eq!(reset.database.resource_id, "a2");
    assert_eq!(leased(&lab, (SINGLE, 1), at(64)).await.unwrap().database.resource_id, "b");
    assert_eq!(leased(&lab, (SINGLE, 1), at(122)).await, None, "a1 is free, its server not");
    // The claim is over.
    assert_eq!(leased(&lab, (SINGLE, 1), at(123)).await.unwrap().database.resource_id, "a1");
    assert!(!lab.renew_reset(owner, MINUTE, at(123)).await.unwrap(), "its server is leased");
    assert!(!lab.finish_reset(owner, Ok(())).await.unwrap());
}

#[tokio::test]
async fn a_reset_of_a_replaced_registration_ends_as_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    lab.register(database("a", "A", SINGLE, 1), at(0)).await.unwrap();
    let owner = Uuid::now_v7();
    let lost = lab.claim_reset(owner, MINUTE, at(0)).await.unwrap().unwrap();
    lab.register(database("a", "A", SINGLE, 2), at(1)).await.unwrap();
    let other = Uuid::now_v7();
    assert_eq!(lab.claim_reset(other, MINUTE, at(1)).await.unwrap(), None, "it is still under way");
    assert!(!lab.finish_reset(owner, Ok(())).await.unwrap());
    assert_eq!(state(&lab, "a", at(1)).await, DatabaseState::Resetting);
    let reset = lab.claim_reset(other, MINUTE, at(1)).await.unwrap().unwrap();
    assert_eq!(reset.drop, [lost.create]);
    lab.register(database("a", "A", SINGLE, 3), at(2)).await.unwrap();
    assert!(!lab.renew_reset(other, MINUTE, at(2)).await.unwrap());
}

#[tokio::test]
async fn no_number_is_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let owner = Uuid::now_v7();
    let mut last = Generation(0);
    for round in 0..4 {
        let lab = lab(folder.path()).await;
        let database = database("a", "A", SINGLE, 1);
        assert_eq!(lab.register(database, at(round)).await.unwrap(), Register::Registered);
        let reset = lab.claim_reset(owner, MINUTE, at(round)).await.unwrap().unwrap();
        assert!(reset.create > last);
        // What was made before the registration was removed is at the server still.
        let before: Vec<_> = (round > 0).then_some(last).into_iter().collect();
        assert_eq!(reset.drop, before);
        last = reset.create;
        lab.finish_reset(owner, Ok(())).await.unwrap();
        assert!(lab.unregister("a", at(round)).await.unwrap());
    }
}

#[tokio::test]
async fn what_another_registration_of_the_same_place_uses_is_not_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let first = database("a", "A", SINGLE, 1);
    let second = NewDatabase { resource_id: "b".to_owned(), ..first.clone() };
    let elsewhere = NewDatabase { identity: "B".to_owned(), ..first.clone() };
    ready(&lab, &[first]).await;
    lab.register(second, at(1)).await.unwrap();
    let owner = Uuid::now_v7();
    let used = lab.claim_reset(owner, MINUTE, at(1)).await.unwrap().unwrap();
    assert_eq!(used.drop, []);
    lab.finish_reset(owner, Ok(())).await.unwrap();
    lab.register(elsewhere, at(2)).await.unwrap();
    let moved = lab.claim_reset(owner, MINUTE, at(2)).await.unwrap().unwrap();
    assert_eq!(moved.drop, [], "the old server's are not at the new one");
    lab.finish_reset(owner, Ok(())).await.unwrap();
    let lease = lab.databases(at(3)).await.unwrap()[1].generation;
    assert_eq!(lease, Some(used.create));
}
