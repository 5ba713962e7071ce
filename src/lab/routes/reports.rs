//! Reports of a job, to be saved.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::jobs::{JobInPath, MAX_JOBS, job};
use crate::db::storage::LabStore;
use crate::lab::model::{Job, JobId};
use crate::lab::report::{self, Report};
use crate::web::problem::{Problem, ProblemBody};

/// Save the report of a job's run
///
/// One HTML page with charts, tables and the recipe, for all jobs of the run.
#[utoipa::path(get, operation_id = "job_report", path = "/jobs/{id}/report", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/html"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn page(
    State(store): State<Arc<dyn LabStore>>,
    JobInPath(id): JobInPath,
) -> Result<Response, Problem> {
    let asked = job(store.as_ref(), id).await?;
    let mut jobs = store.jobs(MAX_JOBS).await?;
    jobs.retain(|job| job.run_id == asked.run_id);
    if jobs.is_empty() {
        // An old one, which the list does not reach.
        jobs.push(asked);
    }
    // In the order in which the run named them.
    jobs.sort_by_key(|job| job.database_type);
    let mut reports = Vec::new();
    for job in jobs {
        reports.push(report_of(store.as_ref(), job).await?);
    }
    Ok(file(id, "html", "text/html; charset=utf-8", report::page(&reports)))
}

/// Save a job's windows as CSV
#[utoipa::path(get, operation_id = "job_csv", path = "/jobs/{id}/export.csv", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn csv(
    State(store): State<Arc<dyn LabStore>>,
    JobInPath(id): JobInPath,
) -> Result<Response, Problem> {
    let report = report_of(store.as_ref(), job(store.as_ref(), id).await?).await?;
    Ok(file(id, "csv", "text/csv; charset=utf-8", report::csv(&report)))
}

/// Save a job's windows and its recipe as JSON
#[utoipa::path(get, operation_id = "job_json", path = "/jobs/{id}/export.json", tag = "lab",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn json(
    State(store): State<Arc<dyn LabStore>>,
    JobInPath(id): JobInPath,
) -> Result<Json<Report>, Problem> {
    let job = job(store.as_ref(), id).await?;
    Ok(Json(report_of(store.as_ref(), job).await?))
}

async fn report_of(store: &dyn LabStore, job: Job) -> Result<Report, Problem> {
    let windows = store.windows(job.id).await?.into_iter().map(|stored| stored.window).collect();
    Ok(Report::new(job, windows))
}

fn file(id: JobId, ending: &str, content_type: &'static str, text: String) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let disposition = format!("attachment; filename=\"storefront-lab-{id}.{ending}\"");
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}
