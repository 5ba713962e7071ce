//! The cached runs that come with the program, so that a new lab has something to replay.
//!
//! `scripts/lab-cached` records them, on real servers, and writes the file.

use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

use super::model::{Job, JobId, Window};
use super::times::Times;
use crate::db::storage::{ErrorKind, LabStore, StorageError, StoredWindow};

static FILE: &[u8] = include_bytes!("../../lab-cached/runs.json.gz");

/// A cached run as it is in the file, and in `GET /cached/export`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedSetRun {
    /// Its job.
    pub job: Job,
    /// One for each second.
    pub windows: Vec<Window>,
}

/// Every cached run of a store.
///
/// # Errors
/// If the store does not answer.
pub async fn export(store: &dyn LabStore) -> Result<Vec<CachedSetRun>, StorageError> {
    let mut runs = Vec::new();
    for job in store.cached().await? {
        let windows =
            store.windows(job.id).await?.into_iter().map(|stored| stored.window).collect();
        runs.push(CachedSetRun { job, windows });
    }
    Ok(runs)
}

/// Puts those runs into the store that it has no cached run of the same key and patterns of.
///
/// # Errors
/// If the store does not answer.
pub async fn import(store: &dyn LabStore) -> Result<(), StorageError> {
    let there: BTreeSet<String> = store.cached().await?.iter().map(key).collect();
    let empty = Times::new().to_bytes();
    for CachedSetRun { job, windows } in runs()? {
        // A run that was imported and then replaced is not brought back.
        if there.contains(&key(&job)) || store.job(job.id).await?.is_some() {
            continue;
        }
        let begun = Job { state: super::model::JobState::Running, cached_as: None, ..job.clone() };
        store.add_jobs(&[begun]).await?;
        for window in windows {
            let times = || empty.clone();
            let stored = StoredWindow { window, read_times: times(), write_times: times() };
            store.put_window(job.id, &stored).await?;
        }
        store.update_job(&job).await?;
        store.keep(job.id).await?;
    }
    Ok(())
}

/// Whether a job came with the program: it is replayed, and is no run of this lab.
#[must_use]
pub fn has(job: JobId) -> bool {
    static IDS: LazyLock<HashSet<JobId>> = LazyLock::new(|| {
        // A file that cannot be read has been told of at the import.
        runs().unwrap_or_default().into_iter().map(|run| run.job.id).collect()
    });
    IDS.contains(&job)
}

fn runs() -> Result<Vec<CachedSetRun>, StorageError> {
    let mut text = String::new();
    let read = GzDecoder::new(FILE).read_to_string(&mut text).map_err(|e| invalid(e.into()))?;
    if read == 0 {
        return Ok(Vec::new());
    }
    serde_json::from_str(&text).map_err(|e| invalid(e.into()))
}

fn invalid(error: Box<dyn std::error::Error + Send + Sync>) -> StorageError {
    StorageError::with_source(
        ErrorKind::Internal,
        "the cached runs of the program cannot be read",
        error,
    )
}

fn key(job: &Job) -> String {
    format!("{} {} {}", job.cache_key(), job.read_pattern, job.write_pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_whole_valid_runs_of_different_keys() {
        let runs = runs().unwrap();
        let keys: BTreeSet<String> = runs.iter().map(|run| key(&run.job)).collect();
        assert_eq!(keys.len(), runs.len());
        for CachedSetRun { job, windows } in &runs {
            assert!(
                job.valid && job.state == super::super::model::JobState::Finished,
                "{}",
                key(job)
            );
            assert_eq!(windows.len(), usize::from(job.seconds), "{}", key(job));
            assert!(windows.iter().all(|window| window.is_final), "{}", key(job));
        }
    }
}
