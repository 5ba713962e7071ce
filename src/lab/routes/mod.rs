//! The lab's routes: runs, jobs with their windows and events, cached runs, leases.

mod cached;
mod events;
mod info;
mod jobs;
mod leases;
pub mod origin;
mod reports;
mod runs;
pub mod workers;

use std::sync::Arc;

use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::origin::LocalOnly;
use super::databases::Databases;
use super::runs::Runs;
use super::servers::ServerControl;
use super::settings::LabSettings;
use crate::db::storage::LabStore;
use crate::web::body::BodyLimits;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Lab {
    /// What is registered, leased and measured.
    pub store: Arc<dyn LabStore>,
    /// Registers databases.
    pub databases: Arc<Databases>,
    /// Starts runs.
    pub runs: Arc<Runs>,
    /// Gives servers the settings of a size.
    pub servers: Arc<dyn ServerControl>,
    /// What the lab was told at its start.
    pub settings: Arc<LabSettings>,
    /// Limits of request bodies.
    pub body: BodyLimits,
    /// Whether it listens on this machine only.
    pub local_only: LocalOnly,
    /// Ends the streams of events when the lab shuts down.
    pub stop: CancellationToken,
}

/// The routes.
pub fn router(state: Lab) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(runs::run))
        .routes(routes!(runs::fail))
        .routes(routes!(cached::choose))
        .routes(routes!(cached::list))
        .routes(routes!(cached::export))
        .routes(routes!(cached::transactions))
        .routes(routes!(jobs::list))
        .routes(routes!(events::several))
        .routes(routes!(jobs::find))
        .routes(routes!(jobs::transactions))
        .routes(routes!(events::one))
        .routes(routes!(jobs::stop))
        .routes(routes!(jobs::keep))
        .routes(routes!(reports::page))
        .routes(routes!(reports::csv))
        .routes(routes!(reports::json))
        .routes(routes!(leases::list))
        .routes(routes!(leases::add))
        .routes(routes!(leases::lease))
        .routes(routes!(leases::renew))
        .routes(routes!(leases::release))
        .routes(routes!(leases::remove))
        .routes(routes!(info::info))
        .layer(from_fn_with_state(state.local_only, origin::refuse_others))
        .with_state(state)
}
