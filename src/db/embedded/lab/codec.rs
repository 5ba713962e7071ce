//! How ids, times and records are stored.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::lab::model::Generation;

/// A time in a column.
pub(super) fn time(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(index)?).map_err(|e| invalid(index, Type::Integer, e))
}

/// The end of a duration, as it is stored; what lies beyond the calendar ends with it.
pub(super) fn end(now: Timestamp, duration: Duration) -> i64 {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    now.as_microsecond().saturating_add(micros).min(Timestamp::MAX.as_microsecond())
}

/// An id in a column.
pub(super) fn uuid(row: &Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(index).map(Uuid::from_bytes)
}

/// A generation in a column.
pub(super) fn generation(row: &Row<'_>, index: usize) -> rusqlite::Result<Generation> {
    row.get(index).map(Generation)
}

/// A record in a column.
pub(super) fn record<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(index)?.as_str()?).map_err(|e| invalid(index, Type::Text, e))
}

/// A record as it is stored.
pub(super) fn to_json(record: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(record).map_err(|e| Error::ToSqlConversionFailure(e.into()))
}

pub(super) fn invalid(
    index: usize,
    found: Type,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(index, found, why.into())
}
