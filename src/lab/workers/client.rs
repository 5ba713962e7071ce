//! A worker that asks a lab elsewhere for work.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::in_process::open;
use super::{Assignment, Continue, Readiness, Start};
use crate::lab::driver;
use crate::lab::model::WorkerTask;
use crate::lab::worker_window::WorkerWindow;
use crate::web::http_client;

/// Longer than the lab lets a worker wait for a task or its start.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than a run may take to get ready.
const START_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Between two tries to reach the lab.
const PAUSE: Duration = Duration::from_secs(1);
const WINDOWS: usize = 16;

/// A worker of one lab.
pub struct WorkerClient {
    http: Client,
    orchestrator: Url,
    token: String,
}

impl WorkerClient {
    /// For the lab at that URL.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(orchestrator: Url, token: String) -> reqwest::Result<Self> {
        Ok(Self { http: http_client::client(REQUEST_TIMEOUT)?, orchestrator, token })
    }

    /// Takes task after task, or only one if `once`, until told to stop.
    ///
    /// # Errors
    /// A sentence, where the lab refuses this worker.
    pub async fn run(&self, once: bool, stop: &CancellationToken) -> Result<(), String> {
        let mut answers = true;
        while !stop.is_cancelled() {
            let next = tokio::select! {
                next = self.post("workers/next", &()) => next,
                () = stop.cancelled() => return Ok(()),
            };
            match next {
                Ok(response) if response.status() == StatusCode::FORBIDDEN => {
                    return Err(
                        "The lab does not know this token: use the one that it printed.".to_owned()
                    );
                }
                Ok(response) if response.status() == StatusCode::OK => {
                    answers = true;
                    let assignment = json(response).await?;
                    if let Err(why) = self.work(assignment, stop).await {
                        tracing::warn!(why, "a task ended early");
                    }
                    if once {
                        return Ok(());
                    }
                }
                // The task of this child was withdrawn.
                Ok(response) if response.status() == StatusCode::NO_CONTENT && once => {
                    return Ok(());
                }
                Ok(response) if response.status() == StatusCode::NO_CONTENT => answers = true,
                Ok(response) => return Err(format!("The lab answered {}.", response.status())),
                // A child of a lab that is gone.
                Err(error) if once => return Err(format!("The lab does not answer: {error}")),
                Err(error) => {
                    if std::mem::take(&mut answers) {
                        tracing::warn!(%error, "the lab does not answer, trying again");
                    }
                    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                }
            }
        }
        Ok(())
    }

    async fn work(&self, assignment: Assignment, stop: &CancellationToken) -> Result<(), String> {
        let Assignment { id, task } = assignment;
        let opened = open(&task).await;
        let readiness = Readiness { error: opened.as_ref().err().cloned() };
        let path = format!("workers/{id}/ready");
        // Waits until every database of the run is ready, which may take as long as the longest lease lasts.
        let response = tokio::select! {
            response = self.post_for(&path, &readiness, START_TIMEOUT) => response,
            () = stop.cancelled() => return Ok(()),
        };
        let Start { starts_in_ms } = json(accepted(response)?).await?;
        // By this machine's clock, which need not agree with the lab's.
        let task =
            WorkerTask { start_at: Timestamp::now() + Duration::from_millis(starts_in_ms), ..task };
        let (sender, mut windows) = mpsc::channel::<WorkerWindow>(WINDOWS);
        let stop = stop.child_token();
        let run = driver::run(task, opened?, sender, stop.clone());
        let forward = async {
            while let Some(window) = windows.recv().await {
                match self.window(id, &window).await {
                    Ok(false) => {}
                    // Windows of what is under way still come, and are sent.
                    Ok(true) => stop.cancel(),
                    Err(why) => {
                        stop.cancel();
                        return Err(why);
                    }
                }
            }
            Ok(())
        };
        let (outcome, forwarded) = tokio::join!(run, forward);
        forwarded?;
        accepted(self.post(&format!("workers/{id}/end"), &outcome).await)?;
        Ok(())
    }

    async fn window(&self, id: Uuid, window: &WorkerWindow) -> Result<bool, String> {
        let response = self.post(&format!("workers/{id}/windows"), window).await;
        let Continue { stop } = json(accepted(response)?).await?;
        Ok(stop)
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, String> {
        self.post_for(path, body, REQUEST_TIMEOUT).await
    }

    async fn post_for(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<Response, String> {
        let url = self.orchestrator.join(path).map_err(|error| error.to_string())?;
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        let request = self.http.post(url).bearer_auth(&self.token).timeout(timeout);
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
        request.send().await.map_err(|error| error.to_string())
    }
}

fn accepted(response: Result<Response, String>) -> Result<Response, String> {
    match response?.error_for_status() {
        Ok(response) => Ok(response),
        Err(error) if error.status() == Some(StatusCode::GONE) => {
            Err("the lab has ended the task".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn json<T: serde::de::DeserializeOwned>(response: Response) -> Result<T, String> {
    let bytes = response.bytes().await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes)
        .map_err(|error| format!("The lab's answer cannot be read: {error}"))
}
