//! Following events.

use std::sync::Arc;

use super::jobs::{job, window};
use super::*;
use crate::db::storage::{JobEvent, JobEventKind};
use crate::lab::model::{Job, JobId, JobState, RunId};

const SECONDS: u16 = 40;

/// Publishes the windows of a job, and ends it.
async fn run(lab: Arc<EmbeddedLab>, job: Job) {
    for second in 0..SECONDS {
        lab.put_window(job.id, &window(second, false, 1)).await.unwrap();
        if let Some(done) = second.checked_sub(5) {
            lab.put_window(job.id, &window(done, true, 2)).await.unwrap();
        }
    }
    lab.update_job(&Job { state: JobState::Finished, ..job }).await.unwrap();
}

/// Reads until all of the jobs have ended, and continues after the last one that it got each time.
async fn follow(lab: Arc<EmbeddedLab>, jobs: Vec<JobId>) -> Vec<JobEvent> {
    let mut events: Vec<JobEvent> = Vec::new();
    let ends = |events: &[JobEvent]| events.iter().filter(|e| e.kind == JobEventKind::End).count();
    while ends(&events) < jobs.len() {
        let last = events.last().map_or(0, |event| event.number);
        lab.wait_for_events(&jobs, last, MINUTE).await;
        let next = lab.events(&jobs, last, 3).await.unwrap();
        assert_ne!(next, [], "what was waited for is there");
        events.extend(next);
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_follows_concurrent_writers_misses_nothing_and_gets_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    // Each has connections of its own, as another process has.
    let mut labs = Vec::new();
    for _ in 0..3 {
        labs.push(Arc::new(lab(folder.path()).await));
    }
    let jobs: Vec<_> = (0..6).map(|_| job(RunId::new())).collect();
    labs[0].add_jobs(&jobs).await.unwrap();
    let followed: Vec<JobId> = jobs[..5].iter().map(|job| job.id).collect();
    let followers: Vec<_> =
        labs.iter().map(|lab| tokio::spawn(follow(Arc::clone(lab), followed.clone()))).collect();
    let writers: Vec<_> = jobs
        .into_iter()
        .enumerate()
        .map(|(n, job)| tokio::spawn(run(Arc::clone(&labs[n % 2]), job)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let stored = labs[2].events(&followed, 0, u32::MAX).await.unwrap();
    assert!(stored.is_sorted_by(|a, b| a.number < b.number));
    assert_eq!(stored.len(), 5 * (usize::from(SECONDS) * 2 - 5 + 3));
    for follower in followers {
        assert!(follower.await.unwrap() == stored, "a gap or a duplicate");
    }
    for id in followed {
        let last = stored.iter().rfind(|event| event.job == id).unwrap();
        assert_eq!(last.kind, JobEventKind::End);
    }
}

#[tokio::test]
async fn waiting_ends_with_its_timeout_and_not_by_events_of_other_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let jobs = [job(RunId::new()), job(RunId::new())];
    lab.add_jobs(&jobs).await.unwrap();
    let last = lab.events(&[jobs[0].id], 0, 9).await.unwrap()[0].number;
    let (first, window) = ([jobs[0].id], window(0, false, 1));
    let waiting = lab.wait_for_events(&first, last, Duration::from_millis(300));
    let ((), stored) = tokio::join!(waiting, lab.put_window(jobs[1].id, &window));
    stored.unwrap();
    assert_eq!(lab.events(&[jobs[0].id], last, 9).await.unwrap(), []);
    let both = lab.events(&[jobs[1].id, jobs[0].id], 0, 9).await.unwrap();
    assert_eq!(both.len(), 3);
    assert_eq!(lab.events(&[], 0, 9).await.unwrap(), []);
    assert_eq!(lab.events(&[jobs[0].id], u64::MAX, 9).await.unwrap(), []);
}
