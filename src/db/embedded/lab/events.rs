//! What happened to jobs, numbered over all of them.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::codec::{invalid, record, to_json, uuid};
use crate::db::storage::{JobEvent, JobEventKind};
use crate::lab::model::{Job, JobId};

const INSERT: &str = "INSERT INTO events (job_id, kind, record) VALUES (?1, ?2, ?3)";
/// One statement for all jobs: it sees one state of the file. With a statement for each job, an event
/// between two of them would be left out by who continues after the greatest number.
const AFTER: &str = "SELECT number, job_id, kind, record FROM events INDEXED BY events_job \
    WHERE job_id IN (SELECT unhex(value) FROM json_each(?1)) AND number > ?2 ORDER BY number LIMIT ?3";
const ANY_AFTER: &str = "SELECT EXISTS (SELECT 1 FROM events INDEXED BY events_job \
    WHERE job_id IN (SELECT unhex(value) FROM json_each(?1)) AND number > ?2)";
const REMOVE: &str = "DELETE FROM events WHERE job_id = ?1";

pub(super) fn add_state(c: &Connection, job: &Job) -> rusqlite::Result<()> {
    add(c, job.id, "state", Some(&to_json(job)?))
}

/// Takes a window as it is stored.
pub(super) fn add_window(c: &Connection, job: JobId, record: &str) -> rusqlite::Result<()> {
    add(c, job, "window", Some(record))
}

pub(super) fn add_end(c: &Connection, job: JobId) -> rusqlite::Result<()> {
    add(c, job, "end", None)
}

fn add(c: &Connection, job: JobId, kind: &str, record: Option<&str>) -> rusqlite::Result<()> {
    c.prepare_cached(INSERT)?.execute(params![job.0.into_bytes(), kind, record]).map(drop)
}

pub(super) fn after(
    c: &Connection,
    jobs: &[JobId],
    after: u64,
    limit: u32,
) -> rusqlite::Result<Vec<JobEvent>> {
    let mut statement = c.prepare_cached(AFTER)?;
    let rows = statement.query_map(params![list(jobs)?, position(after), limit], event)?;
    rows.collect()
}

pub(super) fn any_after(c: &Connection, jobs: &[JobId], after: u64) -> rusqlite::Result<bool> {
    let values = params![list(jobs)?, position(after)];
    c.prepare_cached(ANY_AFTER)?.query_row(values, |row| row.get(0))
}

/// Of a job that is removed.
pub(super) fn remove(c: &Connection, job: JobId) -> rusqlite::Result<()> {
    c.prepare_cached(REMOVE)?.execute([job.0.into_bytes()]).map(drop)
}

/// One value for any number of ids, so that there is one statement.
fn list(jobs: &[JobId]) -> rusqlite::Result<String> {
    to_json(&jobs.iter().map(|job| job.0.simple().to_string()).collect::<Vec<_>>())
}

fn position(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}

fn event(row: &Row<'_>) -> rusqlite::Result<JobEvent> {
    let kind = match row.get_ref(2)?.as_str()? {
        "state" => JobEventKind::State(record(row, 3)?),
        "window" => JobEventKind::Window(record(row, 3)?),
        "end" => JobEventKind::End,
        _ => return Err(invalid(2, Type::Text, "not a kind of event")),
    };
    let number = row.get::<_, i64>(0)?.cast_unsigned();
    Ok(JobEvent { number, job: JobId(uuid(row, 1)?), kind })
}
