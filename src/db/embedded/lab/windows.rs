//! The windows of jobs.

use rusqlite::{Connection, params};

use super::codec::{record, to_json};
use super::{events, jobs};
use crate::db::storage::StoredWindow;
use crate::lab::model::JobId;

/// Changes no row if a final one is there.
const PUT: &str = "INSERT INTO windows (job_id, second, is_final, record, read_times, write_times) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (job_id, second) DO UPDATE SET \
    is_final = excluded.is_final, record = excluded.record, read_times = excluded.read_times, \
    write_times = excluded.write_times WHERE NOT is_final";
const OF_JOB: &str =
    "SELECT record, read_times, write_times FROM windows WHERE job_id = ?1 ORDER BY second";

/// Whether it was stored.
pub(super) fn put(c: &Connection, job: JobId, stored: &StoredWindow) -> rusqlite::Result<bool> {
    if !jobs::is_open(c, job)? {
        return Ok(false);
    }
    let StoredWindow { window, read_times, write_times } = stored;
    let record = to_json(window)?;
    let (id, second) = (job.0.into_bytes(), window.second);
    let values = params![id, second, window.is_final, record, read_times, write_times];
    if c.prepare_cached(PUT)?.execute(values)? == 0 {
        return Ok(false);
    }
    events::add_window(c, job, &record).map(|()| true)
}

pub(super) fn of_job(c: &Connection, job: JobId) -> rusqlite::Result<Vec<StoredWindow>> {
    let mut statement = c.prepare_cached(OF_JOB)?;
    let rows = statement.query_map([job.0.into_bytes()], |row| {
        Ok(StoredWindow {
            window: record(row, 0)?,
            read_times: row.get(1)?,
            write_times: row.get(2)?,
        })
    })?;
    rows.collect()
}
