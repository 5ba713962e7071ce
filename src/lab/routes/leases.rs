//! `/db_lease`: registering databases, and leasing them to other programs than the lab's own driver.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::db::storage::{
    DatabaseState, ErrorKind, LabStore, LeaseOutcome, Register, RegisteredDatabase, StorageError,
};
use crate::lab::databases::{Databases, Registration};
use crate::lab::input::Fields;
use crate::lab::model::{DatabaseSize, DatabaseType, LeaseId};
use crate::lab::redact;
use crate::lab::runs::NotStarted;
use crate::lab::servers::ServerControl;
use crate::web::problem::{Problem, ProblemBody};

/// Seconds of a lease.
const DURATION: std::ops::RangeInclusive<u32> = 1..=86_400;

/// A database to register; numbers may be strings of digits.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct AddBody {
    /// 1: one SQL server; 2: with a read replica; 3: distributed.
    #[schema(minimum = 1, maximum = 3)]
    database_type: u8,
    #[schema(minimum = 1, maximum = 3)]
    database_size: u8,
    /// Your name of it, which is unique.
    resource_id: String,
    /// As `--database-url` takes it.
    connection_string: String,
    /// Host or host:port.
    replica_ip: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct LeaseBody {
    #[schema(minimum = 1, maximum = 3)]
    database_type: u8,
    #[schema(minimum = 1, maximum = 3)]
    database_size: u8,
    /// Seconds.
    #[schema(minimum = 1, maximum = 86400)]
    duration: u32,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct RenewBody {
    lease_id: String,
    /// Seconds from now.
    #[schema(minimum = 1, maximum = 86400)]
    duration: u32,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
pub(super) struct ReleaseBody {
    lease_id: String,
}

/// A leased database.
#[derive(Serialize, ToSchema)]
pub(super) struct LeasedBody {
    connection_string: String,
    replica_ip: Option<String>,
    #[schema(value_type = String)]
    lease_id: LeaseId,
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

/// A registered database.
#[derive(Serialize, ToSchema)]
pub(super) struct DatabaseBody {
    resource_id: String,
    #[schema(value_type = u8)]
    database_type: DatabaseType,
    #[schema(value_type = u8)]
    database_size: DatabaseSize,
    name: String,
    stand_in: bool,
    /// With the password masked.
    connection_string: String,
    replica_ip: Option<String>,
    /// `free`, `leased`, `resetting` or `broken`.
    state: &'static str,
    /// Why it is broken.
    why: Option<String>,
    #[schema(value_type = Option<String>)]
    lease_id: Option<LeaseId>,
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
}

impl From<RegisteredDatabase> for DatabaseBody {
    fn from(registered: RegisteredDatabase) -> Self {
        let (state, why, lease) = match registered.state {
            DatabaseState::Free => ("free", None, None),
            DatabaseState::Leased(lease) => ("leased", None, Some(lease)),
            DatabaseState::Resetting => ("resetting", None, None),
            DatabaseState::Broken(why) => ("broken", Some(why), None),
        };
        let (lease_id, expires_at) = lease.map(|lease| (lease.id, lease.expires_at)).unzip();
        let database = registered.database;
        Self {
            resource_id: database.resource_id,
            database_type: database.database_type,
            database_size: database.database_size,
            name: database.name,
            stand_in: database.stand_in,
            connection_string: redact::url(&database.connection_string),
            replica_ip: database.replica,
            state,
            why,
            lease_id,
            expires_at,
        }
    }
}

/// List registered databases
#[utoipa::path(get, operation_id = "list_databases", path = "/db_lease", tag = "lab",
    responses((status = 200, body = Vec<DatabaseBody>)))]
pub(super) async fn list(
    State(store): State<Arc<dyn LabStore>>,
) -> Result<Json<Vec<DatabaseBody>>, Problem> {
    let databases = store.databases(Timestamp::now()).await?.into_iter();
    Ok(Json(databases.map(DatabaseBody::from).collect()))
}

/// Register a database
///
/// Connects and checks the rights; creates nothing there. The first lease has a schema, keyspace or folder of
/// its own, `storefront_lab_<n>`.
#[utoipa::path(post, operation_id = "register_database", path = "/db_lease/add", tag = "lab", request_body = AddBody,
    responses(
        (status = 200, body = serde_json::Value, description = "Registered"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The database of this resource_id is leased"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The database does not answer"),
    ))]
pub(super) async fn add(
    State(databases): State<Arc<Databases>>,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let registration = Registration {
        database_type: fields.one_to_three("database_type")?,
        database_size: fields.one_to_three("database_size")?,
        resource_id: fields.text("resource_id")?.to_owned(),
        connection_string: fields.text("connection_string")?.to_owned(),
        replica: fields.optional_text("replica_ip")?.map(str::to_owned),
        stand_in: None,
    };
    let resource_id = registration.resource_id.clone();
    match databases.register(registration).await.map_err(not_registered)? {
        Register::Registered | Register::Unchanged => {
            Ok(Json(json!({ "resource_id": resource_id })))
        }
        Register::Leased(until) => Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "`{resource_id}` is leased until {until}: release it, or choose another `resource_id`."
            ),
        )),
    }
}

/// Unlike a failure of the lab's own store, one of a database that a client names is told to that client.
fn not_registered(error: StorageError) -> Problem {
    let status = match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Conflict => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Internal => return error.into(),
    };
    let cause = error.with_causes();
    Problem::new(status, format!("The database was not registered: {error}.")).with_cause(cause)
}

/// Remove a registration
///
/// What the lab created there for its next lease is dropped.
#[utoipa::path(delete, operation_id = "unregister_database", path = "/db_lease/{resource_id}", tag = "lab",
    params(("resource_id" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "There is none of this resource_id"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "It is leased"),
    ))]
pub(super) async fn remove(
    State(store): State<Arc<dyn LabStore>>,
    State(databases): State<Arc<Databases>>,
    Path(resource_id): Path<String>,
) -> Result<Json<Value>, Problem> {
    if databases.unregister(&resource_id).await? {
        return Ok(Json(json!({ "resource_id": resource_id })));
    }
    let all = store.databases(Timestamp::now()).await?;
    Err(if all.iter().any(|one| one.database.resource_id == resource_id) {
        Problem::new(StatusCode::CONFLICT, "This database is leased: release it first.")
    } else {
        Problem::new(StatusCode::NOT_FOUND, "No database of this `resource_id` is registered.")
    })
}

/// Lease a database
///
/// It is in its starting state, and nobody else's until the lease ends.
#[utoipa::path(post, operation_id = "lease_database", path = "/db_lease/lease", tag = "lab", request_body = LeaseBody,
    responses(
        (status = 200, body = LeasedBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No database is free"),
    ))]
pub(super) async fn lease(
    State(store): State<Arc<dyn LabStore>>,
    State(databases): State<Arc<Databases>>,
    State(servers): State<Arc<dyn ServerControl>>,
    fields: Fields,
) -> Result<Json<LeasedBody>, Problem> {
    let wanted = (fields.one_to_three("database_type")?, fields.one_to_three("database_size")?);
    let duration = seconds(&fields)?;
    let leased = match store.lease(&[wanted], duration, Timestamp::now()).await? {
        LeaseOutcome::Leased(mut leased) => leased.pop(),
        LeaseOutcome::Busy(database, size, why) => {
            return Err(NotStarted::Busy(database, size, why).into());
        }
        LeaseOutcome::NotRegistered(database, size) => {
            return Err(NotStarted::NotRegistered(database, size).into());
        }
    };
    let leased = leased.ok_or_else(|| Problem::defect("a lease of no database"))?;
    let target = databases.target(&leased.database, leased.generation)?;
    if servers.controls(&leased.database)
        && let Err(why) = servers.set_size(wanted.0, wanted.1).await
    {
        store.release(leased.lease.id, Timestamp::now()).await?;
        databases.lease_ended();
        let detail = "The server could not be given the settings of this size.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_cause(why));
    }
    Ok(Json(LeasedBody {
        connection_string: target.url,
        replica_ip: leased.database.replica,
        lease_id: leased.lease.id,
        expires_at: leased.lease.expires_at,
    }))
}

/// Let a lease end later, counted from now
#[utoipa::path(post, operation_id = "renew_lease", path = "/db_lease/renew", tag = "lab", request_body = RenewBody,
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The lease is over"),
    ))]
pub(super) async fn renew(
    State(store): State<Arc<dyn LabStore>>,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let (lease_id, duration) = (LeaseId(fields.id("lease_id")?), seconds(&fields)?);
    let renewed = store.renew(lease_id, duration, Timestamp::now()).await?;
    let expires_at = renewed.ok_or_else(is_over)?;
    Ok(Json(json!({ "lease_id": lease_id, "expires_at": expires_at })))
}

/// End a lease
#[utoipa::path(post, operation_id = "release_lease", path = "/db_lease/release", tag = "lab", request_body = ReleaseBody,
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The lease is over"),
    ))]
pub(super) async fn release(
    State(store): State<Arc<dyn LabStore>>,
    State(databases): State<Arc<Databases>>,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let lease_id = LeaseId(fields.id("lease_id")?);
    if !store.release(lease_id, Timestamp::now()).await? {
        return Err(is_over());
    }
    databases.lease_ended();
    Ok(Json(json!({ "lease_id": lease_id })))
}

fn seconds(fields: &Fields) -> Result<Duration, Problem> {
    Ok(Duration::from_secs(fields.number("duration", DURATION)?.into()))
}

fn is_over() -> Problem {
    let detail = "This lease is over: lease a database again.";
    Problem::new(StatusCode::CONFLICT, detail)
}
