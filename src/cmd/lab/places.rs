//! Where the workers of a lab run.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::lab::routes::workers::WorkerRoutes;
use crate::lab::workers::Workers;
use crate::lab::workers::in_process::InProcess;
use crate::lab::workers::pool::{Pooled, WorkerPool};
use crate::web::body::BodyLimits;

/// The variable by which a worker is given the token: arguments are shown to every user of a machine.
pub(super) const TOKEN: &str = "STOREFRONT_LAB_TOKEN";

/// The choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Place {
    InProcess,
    Children,
    Elsewhere,
}

/// The workers of one lab.
pub(super) struct WorkerPlaces {
    pool: Option<Arc<WorkerPool>>,
    token: String,
    place: Place,
    children: Arc<Children>,
}

/// Processes that this one has started.
#[derive(Default)]
struct Children {
    /// Of the lab, once it listens.
    url: OnceLock<String>,
    running: Mutex<Vec<Child>>,
}

impl WorkerPlaces {
    pub(super) fn of(place: Place) -> Self {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let children = Arc::new(Children::default());
        let spawn: Box<dyn Fn() + Send + Sync> = match place {
            Place::Children => {
                let (children, token) = (Arc::clone(&children), token.clone());
                Box::new(move || children.start(&token))
            }
            Place::InProcess | Place::Elsewhere => Box::new(|| {}),
        };
        let pool =
            (place != Place::InProcess).then(|| Arc::new(WorkerPool::new(token.clone(), spawn)));
        Self { pool, token, place, children }
    }

    /// Where the jobs take their workers from.
    pub(super) fn source(&self) -> Arc<dyn Workers> {
        match &self.pool {
            Some(pool) => Arc::new(Pooled(Arc::clone(pool))),
            None => Arc::new(InProcess),
        }
    }

    /// What workers in other processes ask.
    pub(super) fn routes(&self, body: BodyLimits) -> Option<WorkerRoutes> {
        Some(WorkerRoutes { pool: self.pool.clone()?, body })
    }

    /// Tells where the lab listens; returns the command of a worker elsewhere, if there can be one.
    pub(super) fn serve_at(&self, url: String) -> Option<String> {
        let command = format!("{TOKEN}={} storefront lab worker --orchestrator {url}", self.token);
        // Set once: a lab listens at one address.
        let _ = self.children.url.set(url);
        (self.place == Place::Elsewhere).then_some(command)
    }

    /// Gives no task any more.
    pub(super) fn close(&self) {
        if let Some(pool) = &self.pool {
            pool.close();
        }
    }

    /// Ends the children, which have no task any more.
    pub(super) fn end(&self) {
        for mut child in self.children.lock().drain(..) {
            // One that has ended by itself only needs to be waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Children {
    /// Starts a worker; a failure shows as a job that gets none.
    fn start(&self, token: &str) {
        let Some(url) = self.url.get() else { return };
        let program = std::env::current_exe().unwrap_or_else(|_| "storefront".into());
        let child = Command::new(program)
            .args(["lab", "worker", "--once", "--orchestrator", url])
            .env(TOKEN, token)
            // They have passwords in them; a task names its own database.
            .env_remove("STOREFRONT_LAB_SQL")
            .env_remove("STOREFRONT_LAB_REPLICATED_SQL")
            .env_remove("STOREFRONT_LAB_REPLICA")
            .env_remove("STOREFRONT_LAB_DISTRIBUTED")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        match child {
            Ok(child) => {
                let mut running = self.lock();
                // Waits for those that have ended, so that none stays a zombie.
                running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
                running.push(child);
            }
            Err(error) => tracing::error!(%error, "cannot start a worker"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
