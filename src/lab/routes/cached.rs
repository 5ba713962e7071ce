//! `/cached`: finished runs that were kept, and can be replayed without any database.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::storage::LabStore;
use crate::lab::cached_set::{self, CachedSetRun};
use crate::lab::input::{Fields, bad};
use crate::lab::model::{
    DatabaseLabel, DatabaseSize, DatabaseType, Intensity, Job, Pattern, Window,
};
use crate::web::problem::{Problem, ProblemBody};

#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    /// Type, size and intensity, such as `sql-2-3`.
    job_ids: Vec<String>,
}

/// Which cached runs; numbers may be strings of digits.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct CachedBody {
    /// `run` or `fail`.
    mode: String,
    #[schema(minimum = 1, maximum = 3)]
    read_pattern: u8,
    #[schema(minimum = 1, maximum = 3)]
    write_pattern: u8,
    #[schema(minimum = 1, maximum = 3)]
    intensity: Option<u8>,
    #[schema(minimum = 1, maximum = 3)]
    sql_size: Option<u8>,
    #[schema(minimum = 1, maximum = 3)]
    sql_rep_size: Option<u8>,
    #[schema(minimum = 1, maximum = 3)]
    spanner_size: Option<u8>,
}

/// Name the cached runs of a choice
#[utoipa::path(post, operation_id = "choose_cached_runs", path = "/cached", tag = "lab", request_body = CachedBody,
    responses(
        (status = 200, body = Keys),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn choose(fields: Fields) -> Result<Json<Keys>, Problem> {
    let is_run = match fields.text("mode")? {
        "run" => true,
        "fail" => false,
        _ => return Err(bad("`mode` must be run or fail.")),
    };
    fields.one_to_three::<Pattern>("read_pattern")?;
    fields.one_to_three::<Pattern>("write_pattern")?;
    if !is_run {
        return Ok(Json(Keys { job_ids: vec!["sql-1-3".to_owned()] }));
    }
    let intensity: Intensity = fields.one_to_three("intensity")?;
    let sizes = ["sql_size", "sql_rep_size", "spanner_size"];
    let keys = DatabaseType::ALL.into_iter().zip(sizes).map(|(database, size)| {
        let size: DatabaseSize = fields.one_to_three(size)?;
        Ok(format!("{}-{size}-{intensity}", database.name()))
    });
    Ok(Json(Keys { job_ids: keys.collect::<Result<_, Problem>>()? }))
}

/// A run that was kept.
#[derive(Serialize)]
pub(super) struct CachedRun {
    key: String,
    read_pattern: Pattern,
    write_pattern: Pattern,
    seconds: u16,
    database: DatabaseLabel,
    recorded_at: Option<Timestamp>,
}

impl From<Job> for CachedRun {
    fn from(job: Job) -> Self {
        Self {
            key: job.cache_key(),
            read_pattern: job.read_pattern,
            write_pattern: job.write_pattern,
            seconds: job.seconds,
            database: job.database,
            recorded_at: job.started_at,
        }
    }
}

/// List cached runs
#[utoipa::path(get, operation_id = "list_cached_runs", path = "/cached", tag = "lab",
    responses((status = 200, body = Vec<serde_json::Value>)))]
pub(super) async fn list(
    State(store): State<Arc<dyn LabStore>>,
) -> Result<Json<Vec<CachedRun>>, Problem> {
    Ok(Json(store.cached().await?.into_iter().map(CachedRun::from).collect()))
}

/// Save all cached runs
///
/// With their windows, as one JSON text.
#[utoipa::path(get, operation_id = "export_cached_runs", path = "/cached/export", tag = "lab",
    responses((status = 200, body = Vec<serde_json::Value>)))]
pub(super) async fn export(
    State(store): State<Arc<dyn LabStore>>,
) -> Result<Json<Vec<CachedSetRun>>, Problem> {
    Ok(Json(cached_set::export(store.as_ref()).await?))
}

/// Show the windows of a cached run
#[utoipa::path(get, operation_id = "list_cached_windows",
    path = "/cached/{key}/patterns/{patterns}/transactions", tag = "lab",
    params(("key" = String, Path), ("patterns" = String, Path, description = "Of reads and writes, such as `1-2`")),
    responses(
        (status = 200, body = Vec<serde_json::Value>),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn transactions(
    State(store): State<Arc<dyn LabStore>>,
    Path((key, patterns)): Path<(String, String)>,
) -> Result<Json<Vec<Window>>, Problem> {
    let is_wanted = |job: &Job| {
        job.cache_key() == key && format!("{}-{}", job.read_pattern, job.write_pattern) == patterns
    };
    let job = store.cached().await?.into_iter().find(is_wanted).ok_or_else(|| {
        let detail =
            "There is no cached run of this key and these patterns: GET /cached lists them.";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    let windows = store.windows(job.id).await?.into_iter();
    Ok(Json(windows.map(|stored| stored.window).collect()))
}
