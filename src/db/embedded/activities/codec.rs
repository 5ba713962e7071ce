//! How ids, times and values are stored.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, ToSqlOutput, Type, Value as Owned, ValueRef};
use rusqlite::{Error, Row};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::activities::model::{ColumnType, MessageId, Name, Value};

/// The declared type of a column, which decides how SQLite stores its values.
pub(super) const fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Integer | ColumnType::Boolean => "INTEGER",
        // A decimal of SQLite is a binary fraction.
        ColumnType::Text | ColumnType::Decimal { .. } => "TEXT",
        ColumnType::Float => "REAL",
    }
}

/// A value as it is stored. Equal values are stored alike.
pub(super) fn to_sql(value: &Value) -> ToSqlOutput<'_> {
    match value {
        Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
        Value::Integer(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
        Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        Value::Float(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
        Value::Boolean(value) => ToSqlOutput::Borrowed(ValueRef::Integer((*value).into())),
        Value::Decimal(value) => ToSqlOutput::Owned(Owned::Text(value.to_string())),
    }
}

/// The value of a column of a row.
pub(super) fn value(row: &Row<'_>, index: usize, column_type: ColumnType) -> Result<Value, Error> {
    let stored = row.get_ref(index)?;
    if stored == ValueRef::Null {
        return Ok(Value::Null);
    }
    let read = match column_type {
        ColumnType::Integer => stored.as_i64().map(Value::Integer),
        ColumnType::Text => stored.as_str().map(|text| Value::Text(text.into())),
        ColumnType::Float => stored.as_f64().map(Value::Float),
        ColumnType::Boolean => stored.as_i64().map(|number| Value::Boolean(number != 0)),
        ColumnType::Decimal { .. } => stored.as_str().and_then(|text| {
            let number = Decimal::from_str_exact(text);
            number.map(Value::Decimal).map_err(|e| FromSqlError::Other(Box::new(e)))
        }),
    };
    read.map_err(|error| invalid(index, stored.data_type(), error))
}

/// An id as it is stored.
pub(super) const fn id_bytes(id: MessageId) -> [u8; 16] {
    id.0.into_bytes()
}

/// An id in a column.
pub(super) fn id(row: &Row<'_>, index: usize) -> Result<MessageId, Error> {
    row.get::<_, [u8; 16]>(index).map(|bytes| MessageId(Uuid::from_bytes(bytes)))
}

/// An id in a column that may be null.
pub(super) fn optional_id(row: &Row<'_>, index: usize) -> Result<Option<MessageId>, Error> {
    let bytes = row.get::<_, Option<[u8; 16]>>(index)?;
    Ok(bytes.map(|bytes| MessageId(Uuid::from_bytes(bytes))))
}

/// A time in a column.
pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Timestamp, Error> {
    let read = Timestamp::from_microsecond(row.get(index)?);
    read.map_err(|error| invalid(index, Type::Integer, error))
}

/// A name in a column.
pub(super) fn name(row: &Row<'_>, index: usize) -> Result<Name, Error> {
    let text = row.get_ref(index)?.as_str()?;
    Name::parse(text).ok_or_else(|| invalid(index, Type::Text, "not a name"))
}

/// A column type in a column.
pub(super) fn column_type(row: &Row<'_>, index: usize) -> Result<ColumnType, Error> {
    let text = row.get_ref(index)?.as_str()?;
    ColumnType::parse_canonical(text).ok_or_else(|| invalid(index, Type::Text, "not a type"))
}

/// A text in a column.
pub(super) fn text(row: &Row<'_>, index: usize) -> Result<Arc<str>, Error> {
    Ok(row.get_ref(index)?.as_str()?.into())
}

/// A number in a column that is never negative.
pub(super) fn count(row: &Row<'_>, index: usize) -> Result<u64, Error> {
    row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(super) fn invalid(
    index: usize,
    found: Type,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::FromSqlConversionFailure(index, found, why.into())
}
