//! Streams of what happens to jobs, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::jobs::{JobInPath, job};
use crate::db::storage::{JobEvent, JobEventKind, LabStore};
use crate::lab::input::bad;
use crate::lab::model::JobId;
use crate::web::problem::{Problem, ProblemBody};

/// Events that are read at once: what a slow client has not read stays in the store, not in memory.
const BATCH: u32 = 64;
/// How long to wait for an event before the store is asked again.
const WAIT: Duration = Duration::from_secs(1);
/// Jobs of one stream.
const MAX_JOBS: usize = 30;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Ids {
    /// Ids of jobs with commas between them, at most 30.
    ids: Option<String>,
}

/// Follow a job
///
/// Server-sent events from its start: `window`, `state`, and `end` as the last one. With `Last-Event-ID` from
/// there; 204 if nothing follows.
#[utoipa::path(get, operation_id = "follow_job", path = "/jobs/{id}/events", tag = "lab",
    params(("id" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 204, description = "The job has ended, and nothing follows"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn one(
    State(store): State<Arc<dyn LabStore>>,
    State(stop): State<CancellationToken>,
    JobInPath(id): JobInPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    follow(store, stop, vec![id], &headers).await
}

/// Follow several jobs
///
/// The events of all of them in one stream.
#[utoipa::path(get, operation_id = "follow_jobs", path = "/jobs/events", tag = "lab",
    params(Ids, ("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 204, description = "The jobs have ended, and nothing follows"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json"),
    ))]
pub(super) async fn several(
    State(store): State<Arc<dyn LabStore>>,
    State(stop): State<CancellationToken>,
    Query(Ids { ids }): Query<Ids>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ids =
        ids.ok_or_else(|| bad("`ids` is missing: send ids of jobs with commas between them."))?;
    let malformed = || bad("`ids` must be ids of jobs with commas between them.");
    let parse = |id: &str| id.trim().parse().map(JobId).map_err(|_| malformed());
    let mut jobs = ids.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
    jobs.sort_unstable();
    jobs.dedup();
    if jobs.len() > MAX_JOBS {
        return Err(bad(format!("`ids` may name {MAX_JOBS} jobs.")));
    }
    follow(store, stop, jobs, &headers).await
}

async fn follow(
    store: Arc<dyn LabStore>,
    stop: CancellationToken,
    jobs: Vec<JobId>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event(headers)?;
    let mut running = 0;
    for id in &jobs {
        running += usize::from(!job(store.as_ref(), *id).await?.state.has_ended());
    }
    let first = store.events(&jobs, after, BATCH).await?;
    if running == 0 && first.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follower = Follower { store, stop, jobs, after, read: first.into() };
    Ok(Sse::new(follower.events()).keep_alive(KeepAlive::default()).into_response())
}

fn last_event(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(id) = headers.get("last-event-id") else { return Ok(0) };
    let number = id.to_str().ok().and_then(|id| id.parse().ok());
    number.ok_or_else(|| bad("`Last-Event-ID` is not the number of an event."))
}

/// Where one client is in the events of some jobs.
struct Follower {
    store: Arc<dyn LabStore>,
    stop: CancellationToken,
    jobs: Vec<JobId>,
    /// The number of the last event that was read.
    after: u64,
    /// Read, and not sent yet.
    read: std::collections::VecDeque<JobEvent>,
}

impl Follower {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut follower| {
            let event = follower.next().await?;
            Some((Ok(sse(&event)), follower))
        })
    }

    /// The next event; `None`: every job has ended, or the lab ends.
    async fn next(&mut self) -> Option<JobEvent> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.number;
                return Some(event);
            }
            match self.store.events(&self.jobs, self.after, BATCH).await {
                Ok(events) if events.is_empty() => {
                    if self.all_ended().await {
                        return None;
                    }
                    tokio::select! {
                        () = self.stop.cancelled() => return None,
                        () = self.store.wait_for_events(&self.jobs, self.after, WAIT) => {}
                    }
                }
                Ok(events) => self.read = events.into(),
                // The client connects again, and continues behind its last event.
                Err(error) => {
                    tracing::warn!(error = error.with_causes(), "events cannot be read");
                    return None;
                }
            }
        }
    }

    async fn all_ended(&self) -> bool {
        for id in &self.jobs {
            if let Ok(Some(job)) = self.store.job(*id).await
                && !job.state.has_ended()
            {
                return false;
            }
        }
        // An event may have been added between the read of the events and that of the jobs.
        matches!(self.store.events(&self.jobs, self.after, 1).await, Ok(events) if events.is_empty())
    }
}

fn sse(event: &JobEvent) -> Event {
    let (kind, data) = match &event.kind {
        JobEventKind::State(job) => ("state", serde_json::to_value(job)),
        JobEventKind::End => ("end", Ok(json!({ "job_id": event.job }))),
        JobEventKind::Window(window) => {
            let window = serde_json::to_value(window).map(|mut window| {
                window["job_id"] = json!(event.job);
                window
            });
            ("window", window)
        }
    };
    let data = data.unwrap_or_default().to_string();
    Event::default().id(event.number.to_string()).event(kind).data(data)
}
