//! Answers of conditional writes (lightweight transactions, LWT). Other answers are in
//! [`super::query_result`].

use scylla::response::query_result::QueryResult;
use scylla::value::{CqlValue, Row};

use super::error::shape;
use crate::db::storage::StorageError;

/// Whether the condition held and the write was applied.
pub(super) fn applied(result: QueryResult) -> Result<bool, StorageError> {
    refused(result).map(|found| found.is_none())
}

/// The present values of the condition's columns, in its order, if it did not hold; `None` if the
/// write was applied.
pub(super) fn refused(result: QueryResult) -> Result<Option<Vec<Option<CqlValue>>>, StorageError> {
    let rows = result.into_rows_result().map_err(shape)?;
    // The first column is `[applied]`; the others are present only where it is false.
    let Row { mut columns } = rows.first_row::<Row>().map_err(shape)?;
    match columns.first() {
        Some(Some(CqlValue::Boolean(true))) => Ok(None),
        Some(Some(CqlValue::Boolean(false))) => Ok(Some(columns.split_off(1))),
        _ => Err(shape("a conditional write does not tell whether it was applied")),
    }
}
