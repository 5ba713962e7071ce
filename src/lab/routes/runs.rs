//! `/run` and `/fail`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::storage::BusyReason;
use crate::lab::input::{Fields, bad};
use crate::lab::model::{DatabaseSize, DatabaseType, Intensity, JobId};
use crate::lab::runs::{NewRun, NotStarted, Runs};
use crate::lab::settings::LabSettings;
use crate::web::problem::{Problem, ProblemBody};

/// Seconds after which to ask again for a database that is being reset.
const RESET_SECONDS: u32 = 2;
/// The same of one that somebody has to mend.
const BROKEN_SECONDS: u32 = 15;
const SECONDS: std::ops::RangeInclusive<u32> = 5..=600;

#[derive(Serialize, ToSchema)]
pub(super) struct Started {
    /// Of the single SQL server, the one with a replica, and the distributed database.
    #[schema(value_type = Vec<String>)]
    job_ids: Vec<JobId>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Failing {
    #[schema(value_type = String)]
    jobs_id: JobId,
}

/// What starts a run; numbers may be strings of digits.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct RunBody {
    #[schema(minimum = 1, maximum = 3)]
    read_pattern: u8,
    #[schema(minimum = 1, maximum = 3)]
    write_pattern: u8,
    #[schema(minimum = 1, maximum = 3)]
    intensity: u8,
    #[schema(minimum = 1, maximum = 3)]
    sql_size: u8,
    #[schema(minimum = 1, maximum = 3)]
    sql_rep_size: u8,
    #[schema(minimum = 1, maximum = 3)]
    spanner_size: u8,
    #[schema(minimum = 5, maximum = 600)]
    seconds: Option<u16>,
    /// `together` or `in_turns`.
    mode: Option<String>,
    faults: Option<Vec<FaultBody>>,
}

/// Something that happens to a server during a run.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct FaultBody {
    at: u16,
    target: String,
    /// `pause`, `kill`, `cut` or `delay`.
    action: String,
    seconds: u16,
}

/// What shows a small database failing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct FailBody {
    #[schema(minimum = 1, maximum = 3)]
    read_pattern: u8,
    #[schema(minimum = 1, maximum = 3)]
    write_pattern: u8,
}

/// Load three databases side by side
///
/// All three are leased, or none.
#[utoipa::path(post, operation_id = "start_run", path = "/run", tag = "lab", request_body = RunBody,
    responses(
        (status = 200, body = Started),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody<'_>, content_type = "application/problem+json", description = "Sent by a page of another origin"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A fault names a server that the lab does not control"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No database is free"),
    ))]
pub(super) async fn run(
    State(runs): State<Arc<Runs>>,
    State(settings): State<Arc<LabSettings>>,
    fields: Fields,
) -> Result<Json<Started>, Problem> {
    let run = NewRun {
        read_pattern: fields.one_to_three("read_pattern")?,
        write_pattern: fields.one_to_three("write_pattern")?,
        intensity: fields.one_to_three("intensity")?,
        databases: vec![
            (DatabaseType::Single, fields.one_to_three("sql_size")?),
            (DatabaseType::Replicated, fields.one_to_three("sql_rep_size")?),
            (DatabaseType::Distributed, fields.one_to_three("spanner_size")?),
        ],
        seconds: fields.optional_number("seconds", SECONDS)?.and_then(|n| u16::try_from(n).ok()),
        mode: fields.mode()?,
        faults: fields.faults()?,
    };
    check_times(&run, settings.seconds)?;
    Ok(Json(Started { job_ids: runs.start(run).await? }))
}

/// A fault that begins after the run, or lasts no time, is a mistake.
fn check_times(run: &NewRun, usual: u16) -> Result<(), Problem> {
    let seconds = run.seconds.unwrap_or(usual);
    match run.faults.iter().find(|fault| fault.at >= seconds || fault.seconds == 0) {
        None => Ok(()),
        Some(_) => Err(bad(format!(
            "`faults`: `at` must be from 0 to {}, in the run, and `seconds` at least 1.",
            seconds - 1
        ))),
    }
}

/// Show a small database failing
///
/// The smallest SQL database at intensity 3.
#[utoipa::path(post, operation_id = "start_failing_run", path = "/fail", tag = "lab", request_body = FailBody,
    responses(
        (status = 200, body = Failing),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No database is free"),
    ))]
pub(super) async fn fail(
    State(runs): State<Arc<Runs>>,
    fields: Fields,
) -> Result<Json<Failing>, Problem> {
    let [small, _, _] = DatabaseSize::ALL;
    let [_, _, high] = Intensity::ALL;
    let run = NewRun {
        read_pattern: fields.one_to_three("read_pattern")?,
        write_pattern: fields.one_to_three("write_pattern")?,
        intensity: high,
        databases: vec![(DatabaseType::Single, small)],
        seconds: None,
        mode: Default::default(),
        faults: Vec::new(),
    };
    let ids = runs.start(run).await?;
    let jobs_id = ids.first().copied().ok_or_else(|| Problem::defect("a run without a job"))?;
    Ok(Json(Failing { jobs_id }))
}

fn busy(database: DatabaseType, size: DatabaseSize, why: BusyReason) -> Problem {
    let (why, seconds) = match why {
        BusyReason::Leased(until) => {
            let seconds = until.duration_since(Timestamp::now()).as_secs().max(0) + 1;
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            (format!("the first lease that is in the way ends at {until}, at the latest"), seconds)
        }
        BusyReason::Resetting => ("it is being reset".to_owned(), RESET_SECONDS),
        BusyReason::Broken(why) => (format!("it is broken: {why}"), BROKEN_SECONDS),
        BusyReason::SameServer => (
            "it is at the server of another one of this run, and a server is loaded by one job at a time"
                .to_owned(),
            BROKEN_SECONDS,
        ),
    };
    let detail = format!("No {} database of size {size} is free: {why}.", database.name());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry_after(seconds)
}

impl From<NotStarted> for Problem {
    fn from(not_started: NotStarted) -> Self {
        match not_started {
            NotStarted::Busy(database, size, why) => busy(database, size, why),
            NotStarted::NotRegistered(database, size) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("No {} database of size {size} is registered.", database.name()),
            ),
            NotStarted::Fault(why) => Self::new(StatusCode::CONFLICT, why),
            NotStarted::Storage(error) => error.into(),
        }
    }
}
