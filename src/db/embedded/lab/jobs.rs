//! Jobs, and which of them are kept.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::codec::{record, to_json, uuid};
use super::events;
use crate::lab::model::{Job, JobId, JobState};

/// Runs whose jobs are kept; cached runs are kept beyond that.
pub(super) const KEPT_RUNS: u32 = 300;

const INSERT: &str = "INSERT INTO jobs \
    (job_id, run_id, has_ended, read_pattern, write_pattern, cached_as, record) \
    VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6)";
const UPDATE: &str = "UPDATE jobs SET has_ended = ?2, read_pattern = ?3, write_pattern = ?4, \
                      cached_as = ?5, record = ?6 WHERE job_id = ?1";
const FIND: &str = "SELECT record FROM jobs WHERE job_id = ?1";
const NEWEST: &str = "SELECT record FROM jobs ORDER BY number DESC LIMIT ?1";
const CACHED: &str = "SELECT record FROM jobs WHERE cached_as IS NOT NULL \
                      ORDER BY cached_as, read_pattern, write_pattern";
const CACHED_UNDER: &str = "SELECT record FROM jobs \
                            WHERE cached_as = ?1 AND read_pattern = ?2 AND write_pattern = ?3";
const PRUNE: &str = "DELETE FROM jobs WHERE has_ended AND cached_as IS NULL AND run_id NOT IN \
    (SELECT run_id FROM jobs GROUP BY run_id ORDER BY max(number) DESC LIMIT ?1) RETURNING job_id";
const PRUNE_WINDOWS: &str = "DELETE FROM windows WHERE job_id = ?1";

pub(super) fn add(c: &Connection, jobs: &[Job]) -> rusqlite::Result<()> {
    for job in jobs {
        let job = &Job { cached_as: None, ..job.clone() };
        let (id, run) = (job.id.0.into_bytes(), job.run_id.0.into_bytes());
        let (reads, writes) = (job.read_pattern.get(), job.write_pattern.get());
        let values = params![id, run, job.state.has_ended(), reads, writes, to_json(job)?];
        c.prepare_cached(INSERT)?.execute(values)?;
        add_events(c, job)?;
    }
    prune(c)
}

/// The event of a job's record, and the last one if it has ended.
fn add_events(c: &Connection, job: &Job) -> rusqlite::Result<()> {
    events::add_state(c, job)?;
    if job.state.has_ended() { events::add_end(c, job.id) } else { Ok(()) }
}

fn prune(c: &Connection) -> rusqlite::Result<()> {
    let pruned: Vec<JobId> = {
        let mut statement = c.prepare_cached(PRUNE)?;
        let rows = statement.query_map([KEPT_RUNS], |row| uuid(row, 0).map(JobId))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for job in pruned {
        c.prepare_cached(PRUNE_WINDOWS)?.execute([job.0.into_bytes()])?;
        events::remove(c, job)?;
    }
    Ok(())
}

pub(super) fn update(c: &Connection, job: &Job) -> rusqlite::Result<()> {
    match find(c, job.id)? {
        Some(stored) if !stored.state.has_ended() => {}
        _ => return Ok(()),
    }
    let job = &Job { cached_as: None, ..job.clone() };
    put(c, job)?;
    add_events(c, job)
}

fn put(c: &Connection, job: &Job) -> rusqlite::Result<()> {
    let (id, has_ended) = (job.id.0.into_bytes(), job.state.has_ended());
    let (reads, writes) = (job.read_pattern.get(), job.write_pattern.get());
    let values = params![id, has_ended, reads, writes, job.cached_as, to_json(job)?];
    c.prepare_cached(UPDATE)?.execute(values).map(drop)
}

pub(super) fn find(c: &Connection, id: JobId) -> rusqlite::Result<Option<Job>> {
    c.prepare_cached(FIND)?.query_row([id.0.into_bytes()], job).optional()
}

/// Whether a job is there and may still get windows.
pub(super) fn is_open(c: &Connection, id: JobId) -> rusqlite::Result<bool> {
    Ok(find(c, id)?.is_some_and(|job| !job.state.has_ended()))
}

pub(super) fn newest(c: &Connection, limit: u32) -> rusqlite::Result<Vec<Job>> {
    all(c, NEWEST, [limit])
}

pub(super) fn cached(c: &Connection) -> rusqlite::Result<Vec<Job>> {
    all(c, CACHED, ())
}

pub(super) fn keep(c: &Connection, id: JobId) -> rusqlite::Result<Option<Job>> {
    let Some(mut kept) = find(c, id)? else { return Ok(None) };
    if kept.state != JobState::Finished || !kept.valid {
        return Ok(None);
    }
    let key = kept.cache_key();
    let values = params![key, kept.read_pattern.get(), kept.write_pattern.get()];
    for earlier in all(c, CACHED_UNDER, values)? {
        put(c, &Job { cached_as: None, ..earlier })?;
    }
    kept.cached_as = Some(key);
    put(c, &kept)?;
    Ok(Some(kept))
}

fn all(c: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<Vec<Job>> {
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map(values, job)?;
    rows.collect()
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    record(row, 0)
}
