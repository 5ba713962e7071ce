//! `/jobs`: what was measured.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use http::StatusCode;
use http::request::Parts;

use crate::db::storage::LabStore;
use crate::lab::cached_set;
use crate::lab::model::{Job, JobId, Window};
use crate::lab::runs::Runs;
use crate::web::problem::{Problem, ProblemBody};

/// The jobs of a list.
pub(super) const MAX_JOBS: u32 = 300;

/// The id of a job in the path; 404 for what is none.
pub(super) struct JobInPath(pub(super) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(id)| id.parse().ok());
        id.map(|id| Self(JobId(id))).ok_or_else(no_such_job)
    }
}

/// 404.
fn no_such_job() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such job: GET /jobs lists them.")
}

/// The job of that id.
///
/// # Errors
/// 404 if there is none.
pub(super) async fn job(store: &dyn LabStore, id: JobId) -> Result<Job, Problem> {
    store.job(id).await?.ok_or_else(no_such_job)
}

/// List jobs, newest first
///
/// Without the cached runs that came with the program.
#[utoipa::path(get, operation_id = "list_jobs", path = "/jobs", tag = "lab",
    responses((status = 200, body = Vec<serde_json::Value>, description = "The newest 300")))]
pub(super) async fn list(
    State(store): State<Arc<dyn LabStore>>,
) -> Result<Json<Vec<Job>>, Problem> {
    let mut jobs = store.jobs(MAX_JOBS).await?;
    jobs.retain(|job| !cached_set::has(job.id));
    Ok(Json(jobs))
}

/// Show a job
#[utoipa::path(get, operation_id = "find_job", path = "/jobs/{id}", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn find(
    State(store): State<Arc<dyn LabStore>>,
    JobInPath(id): JobInPath,
) -> Result<Json<Job>, Problem> {
    Ok(Json(job(store.as_ref(), id).await?))
}

/// Show a job's windows so far, one for each second
#[utoipa::path(get, operation_id = "list_windows", path = "/jobs/{id}/transactions", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Vec<serde_json::Value>),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn transactions(
    State(store): State<Arc<dyn LabStore>>,
    JobInPath(id): JobInPath,
) -> Result<Json<Vec<Window>>, Problem> {
    job(store.as_ref(), id).await?;
    let windows = store.windows(id).await?.into_iter();
    Ok(Json(windows.map(|stored| stored.window).collect()))
}

/// End a job early
#[utoipa::path(post, operation_id = "stop_job", path = "/jobs/{id}/stop", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value, description = "The job; it ends within seconds"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn stop(
    State(store): State<Arc<dyn LabStore>>,
    State(runs): State<Arc<Runs>>,
    JobInPath(id): JobInPath,
) -> Result<Json<Job>, Problem> {
    let stopped = runs.stop_job(id);
    let job = job(store.as_ref(), id).await?;
    if !stopped && !job.state.has_ended() {
        let detail = "The job is driven by another lab on the same store: stop it there.";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(Json(job))
}

/// Keep a finished job as the cached run of its key
#[utoipa::path(post, operation_id = "keep_job", path = "/jobs/{id}/keep", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "Not finished, or not valid"),
    ))]
pub(super) async fn keep(
    State(store): State<Arc<dyn LabStore>>,
    JobInPath(id): JobInPath,
) -> Result<Json<Job>, Problem> {
    job(store.as_ref(), id).await?;
    store.keep(id).await?.map(Json).ok_or_else(|| {
        let detail = "Only a job that has finished and is valid can be kept.";
        Problem::new(StatusCode::CONFLICT, detail)
    })
}
