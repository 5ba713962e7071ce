//! The rules of the lab's store.

mod events;
mod jobs;
mod leases;
mod opening;
mod processes;
mod resets;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::EmbeddedLab;
use crate::db::storage::{DatabaseState, LabStore, LeaseOutcome, LeasedDatabase, NewDatabase};
use crate::lab::model::{DatabaseSize, DatabaseType, Layout};
use crate::telemetry::Registry;

const MINUTE: Duration = Duration::from_secs(60);
const SINGLE: DatabaseType = DatabaseType::Single;
const REPLICATED: DatabaseType = DatabaseType::Replicated;

/// Opens the file in a folder, as each process does.
async fn lab(folder: &Path) -> EmbeddedLab {
    EmbeddedLab::open(folder.join("lab.db"), &Registry::default(), 10 * MINUTE).await.unwrap()
}

/// A time of the tests' clock.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn size(number: u8) -> DatabaseSize {
    DatabaseSize::try_from(number).unwrap()
}

/// A database at the server `server`.
fn database(resource: &str, server: &str, database_type: DatabaseType, number: u8) -> NewDatabase {
    NewDatabase {
        resource_id: resource.to_owned(),
        database_type,
        database_size: size(number),
        connection_string: format!("postgres://user:secret@{server}/{resource}"),
        replica: None,
        layout: Layout::One,
        stand_in: false,
        name: "PostgreSQL 18.6".to_owned(),
        identity: server.to_owned(),
        is_local: true,
    }
}

fn stand_in(resource: &str, database_type: DatabaseType, number: u8) -> NewDatabase {
    NewDatabase { stand_in: true, ..database(resource, resource, database_type, number) }
}

/// Registers databases and resets them.
async fn ready(lab: &EmbeddedLab, databases: &[NewDatabase]) {
    for database in databases {
        lab.register(database.clone(), at(0)).await.unwrap();
    }
    reset_all(lab, at(0)).await;
}

async fn reset_all(lab: &EmbeddedLab, now: Timestamp) {
    let owner = Uuid::now_v7();
    while lab.claim_reset(owner, MINUTE, now).await.unwrap().is_some() {
        assert!(lab.finish_reset(owner, Ok(())).await.unwrap());
    }
}

async fn state(lab: &EmbeddedLab, resource: &str, now: Timestamp) -> DatabaseState {
    let all = lab.databases(now).await.unwrap();
    all.into_iter().find(|d| d.database.resource_id == resource).unwrap().state
}

/// Leases one database of a type and size.
async fn leased(
    lab: &EmbeddedLab,
    wanted: (DatabaseType, u8),
    now: Timestamp,
) -> Option<LeasedDatabase> {
    match lab.lease(&[(wanted.0, size(wanted.1))], MINUTE, now).await.unwrap() {
        LeaseOutcome::Leased(mut leased) => leased.pop(),
        _ => None,
    }
}
