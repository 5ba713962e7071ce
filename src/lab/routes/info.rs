//! `/lab`: what this lab can do, for its page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::db::storage::{DatabaseState, LabStore, RegisteredDatabase};
use crate::lab::machine;
use crate::lab::model::{DatabaseSize, DatabaseType, Pattern};
use crate::lab::patterns::Schedule;
use crate::lab::settings::LabSettings;
use crate::web::problem::Problem;

/// Show what this lab can do
///
/// Its version and settings, the patterns, this machine, and the database that a run takes of each type and size.
#[utoipa::path(get, operation_id = "describe_lab", path = "/lab", tag = "lab",
    responses((status = 200, body = serde_json::Value)))]
pub(super) async fn info(
    State(store): State<Arc<dyn LabStore>>,
    State(settings): State<Arc<LabSettings>>,
) -> Result<Json<Value>, Problem> {
    let registered = store.databases(Timestamp::now()).await?;
    let choices = DatabaseType::ALL
        .into_iter()
        .flat_map(|database| DatabaseSize::ALL.map(|size| (database, size)));
    let databases: Vec<Value> = choices
        .filter_map(|(database, size)| chosen(&registered, database, size))
        .map(describe)
        .collect();
    let patterns: serde_json::Map<String, Value> = Pattern::ALL
        .into_iter()
        .map(|pattern| (pattern.to_string(), json!(rates(pattern))))
        .collect();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "rate_scale": settings.rate_scale,
        "seconds": settings.seconds,
        "keys": settings.keys.to_string(),
        "rows": settings.rows,
        "patterns": patterns,
        "machine": machine::describe(),
        "databases": databases,
    })))
}

/// Transactions a second per worker, one entry for each second, which repeat.
fn rates(pattern: Pattern) -> Vec<u64> {
    let schedule = Schedule::new(pattern, 1.0);
    let mut rates: Vec<u64> = (0..4).map(|second| schedule.due_in(second)).collect();
    if rates.iter().all(|rate| *rate == rates[0]) {
        rates.truncate(1);
    }
    rates
}

/// The database that a run of this type and size takes: no stand-in where another is registered.
fn chosen(
    all: &[RegisteredDatabase],
    database_type: DatabaseType,
    size: DatabaseSize,
) -> Option<&RegisteredDatabase> {
    let fits = |one: &&RegisteredDatabase| {
        (one.database.database_type, one.database.database_size) == (database_type, size)
    };
    all.iter().filter(fits).min_by_key(|one| one.database.stand_in)
}

fn describe(registered: &RegisteredDatabase) -> Value {
    let database = &registered.database;
    let (state, why) = match &registered.state {
        DatabaseState::Free => ("free", None),
        DatabaseState::Leased(_) => ("leased", None),
        DatabaseState::Resetting => ("resetting", None),
        DatabaseState::Broken(why) => ("broken", Some(why)),
    };
    json!({
        "database_type": database.database_type,
        "database_size": database.database_size,
        "name": database.name,
        "stand_in": database.stand_in,
        "stands_for": database.stand_in.then(|| stands_for(database.database_type)),
        "shared_machine": database.is_local,
        "state": state,
        "why": why,
    })
}

fn stands_for(database_type: DatabaseType) -> &'static str {
    match database_type {
        DatabaseType::Single => "one SQL server, such as PostgreSQL",
        DatabaseType::Replicated => "an SQL server with a read replica",
        DatabaseType::Distributed => "a distributed database, such as Cassandra",
    }
}
