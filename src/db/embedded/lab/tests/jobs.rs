//! Jobs, windows and cached runs.

use super::*;
use crate::db::embedded::lab::jobs::KEPT_RUNS;
use crate::db::storage::{JobEventKind, StoredWindow};
use crate::lab::model::{
    DatabaseLabel, DriverStats, Intensity, Job, JobId, JobState, Mode, Pattern, RunId, Side, Window,
};

pub(super) fn job(run: RunId) -> Job {
    serde_json::from_value(serde_json::json!({
        "id": JobId::new(), "run_id": run, "lease_id": Uuid::now_v7(), "target": "sql",
        "database_type": 1, "database_size": 1, "intensity": Intensity::ALL[2],
        "read_pattern": Pattern::ALL[0], "write_pattern": Pattern::ALL[1], "seconds": 30,
        "mode": Mode::Together, "state": JobState::Running, "valid": true, "why": null,
        "database": DatabaseLabel {
            name: "PostgreSQL 18.6".to_owned(), stand_in: false, shared_machine: true,
        },
        "faults": [], "keys": "uniform", "rate_scale": 1.0, "seed": 7, "created_at": at(0),
        "started_at": null, "finished_at": null, "cached_as": null,
    }))
    .unwrap()
}

fn side(ok: u64) -> Side {
    Side {
        offered: ok,
        count: ok,
        ok,
        failed: 0,
        unsent: 0,
        pending: 0,
        average_latency: Some(0.25),
        failure_percent: 0.0,
        p50: Some(0.25),
        p95: None,
        p99: None,
        errors: [("timeout".to_owned(), 3)].into(),
    }
}

pub(super) fn window(second: u16, is_final: bool, ok: u64) -> StoredWindow {
    let window = Window {
        timestamp: at(second.into()),
        second,
        is_final,
        read: side(ok),
        write: side(1),
        driver: DriverStats { lag_p99: 0.5, cpu: 0.25 },
    };
    StoredWindow { window, read_times: vec![0, 1, 255], write_times: vec![second as u8] }
}

fn ended(job: &Job, state: JobState) -> Job {
    Job { state, finished_at: Some(at(30)), ..job.clone() }
}

#[tokio::test]
async fn jobs_and_windows_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = [job(RunId::new()), job(RunId::new())];
    let (id, first) = {
        let lab = lab(folder.path()).await;
        lab.add_jobs(&jobs).await.unwrap();
        for second in [1, 0] {
            lab.put_window(jobs[0].id, &window(second, false, 5)).await.unwrap();
        }
        (lab.lab_id().await.unwrap(), lab.events(&[jobs[0].id], 0, 100).await.unwrap())
    };
    let lab = lab(folder.path()).await;
    assert_eq!(lab.lab_id().await.unwrap(), id);
    assert_eq!(lab.job(jobs[1].id).await.unwrap().as_ref(), Some(&jobs[1]));
    assert_eq!(lab.job(JobId::new()).await.unwrap(), None);
    assert_eq!(lab.jobs(9).await.unwrap(), [jobs[1].clone(), jobs[0].clone()]);
    assert_eq!(lab.jobs(1).await.unwrap(), [jobs[1].clone()]);
    let windows = lab.windows(jobs[0].id).await.unwrap();
    assert_eq!(windows, [window(0, false, 5), window(1, false, 5)]);
    assert_eq!(lab.events(&[jobs[0].id], 0, 100).await.unwrap(), first);
    assert_eq!(first.len(), 3);
}

#[tokio::test]
async fn a_final_window_replaces_the_first_and_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let job = job(RunId::new());
    lab.add_jobs(std::slice::from_ref(&job)).await.unwrap();
    let versions = [(false, 1), (false, 2), (true, 3), (false, 4), (true, 5)];
    for (is_final, ok) in versions {
        lab.put_window(job.id, &window(7, is_final, ok)).await.unwrap();
    }
    assert_eq!(lab.windows(job.id).await.unwrap(), [window(7, true, 3)]);
    let kinds: Vec<_> =
        lab.events(&[job.id], 1, 99).await.unwrap().into_iter().map(|event| event.kind).collect();
    let published = versions[..3].iter().map(|(is_final, ok)| window(7, *is_final, *ok).window);
    let published: Vec<_> = published.map(|w| JobEventKind::Window(Box::new(w))).collect();
    assert_eq!(kinds, published);
}

#[tokio::test]
async fn nothing_changes_once_a_job_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let job = job(RunId::new());
    lab.add_jobs(std::slice::from_ref(&job)).await.unwrap();
    let stopped = ended(&job, JobState::Stopped);
    lab.update_job(&stopped).await.unwrap();
    lab.update_job(&job).await.unwrap();
    lab.update_job(&ended(&job, JobState::Failed)).await.unwrap();
    lab.put_window(job.id, &window(0, true, 1)).await.unwrap();
    assert_eq!(lab.job(job.id).await.unwrap(), Some(stopped.clone()));
    assert_eq!(lab.windows(job.id).await.unwrap(), []);
    let events = lab.events(&[job.id], 0, 99).await.unwrap();
    let kinds: Vec<_> = events.into_iter().map(|event| event.kind).collect();
    let state = |job: &Job| JobEventKind::State(Box::new(job.clone()));
    assert_eq!(kinds, [state(&job), state(&stopped), JobEventKind::End]);
    // Of a job that is not there.
    let unknown = self::job(RunId::new());
    lab.update_job(&unknown).await.unwrap();
    lab.put_window(unknown.id, &window(0, true, 1)).await.unwrap();
    assert_eq!(lab.job(unknown.id).await.unwrap(), None);
    assert_eq!(lab.events(&[unknown.id], 0, 99).await.unwrap(), []);
}

#[tokio::test]
async fn one_cached_run_of_each_key_and_patterns() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let jobs: Vec<_> = (0..4).map(|_| job(RunId::new())).collect();
    lab.add_jobs(&jobs).await.unwrap();
    assert_eq!(lab.keep(jobs[0].id).await.unwrap(), None, "it runs");
    lab.update_job(&ended(&jobs[0], JobState::Finished)).await.unwrap();
    lab.update_job(&ended(&jobs[1], JobState::Finished)).await.unwrap();
    let other = Job { read_pattern: Pattern::ALL[2], ..ended(&jobs[2], JobState::Finished) };
    lab.update_job(&other).await.unwrap();
    lab.update_job(&Job { valid: false, ..ended(&jobs[3], JobState::Finished) }).await.unwrap();
    assert_eq!(lab.keep(jobs[3].id).await.unwrap(), None, "it is not valid");
    let kept = lab.keep(jobs[0].id).await.unwrap().unwrap();
    assert_eq!(kept.cached_as.as_deref(), Some("sql-1-3"));
    let third = lab.keep(jobs[2].id).await.unwrap().unwrap();
    assert_eq!(lab.cached().await.unwrap(), [kept.clone(), third.clone()]);
    let second = lab.keep(jobs[1].id).await.unwrap().unwrap();
    assert_eq!(lab.cached().await.unwrap(), [second, third]);
    assert_eq!(lab.job(jobs[0].id).await.unwrap(), Some(ended(&jobs[0], JobState::Finished)));
    assert_eq!(lab.keep(JobId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn the_newest_runs_are_kept_and_the_cached_ones() {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab(folder.path()).await;
    let run = RunId::new();
    let [old, cached, running] = [job(run), job(run), job(run)];
    lab.add_jobs(&[old.clone(), cached.clone(), running.clone()]).await.unwrap();
    for job in [&old, &cached] {
        lab.put_window(job.id, &window(0, true, 1)).await.unwrap();
        lab.update_job(&ended(job, JobState::Finished)).await.unwrap();
    }
    lab.keep(cached.id).await.unwrap().unwrap();
    let later: Vec<_> = (1..KEPT_RUNS).map(|_| job(RunId::new())).collect();
    lab.add_jobs(&later).await.unwrap();
    assert!(lab.job(old.id).await.unwrap().is_some(), "of the oldest run that is kept");
    lab.add_jobs(&[job(RunId::new())]).await.unwrap();
    assert_eq!(lab.job(old.id).await.unwrap(), None);
    assert_eq!(lab.windows(old.id).await.unwrap(), []);
    assert_eq!(lab.events(&[old.id], 0, 99).await.unwrap(), []);
    for kept in [&cached, &running, &later[0]] {
        assert!(lab.job(kept.id).await.unwrap().is_some());
        assert_ne!(lab.events(&[kept.id], 0, 99).await.unwrap(), []);
    }
    assert_eq!(lab.windows(cached.id).await.unwrap().len(), 1);
}
