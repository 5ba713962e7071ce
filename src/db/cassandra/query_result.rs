//! Rows of the driver's answers. What conditional writes answer is in [`super::lwt`].

use scylla::deserialize::row::DeserializeRow;
use scylla::response::query_result::QueryResult;

use super::error::shape;
use crate::db::storage::StorageError;

/// All rows of an answer.
pub(super) fn rows<T>(result: QueryResult) -> Result<Vec<T>, StorageError>
where
    for<'a> T: DeserializeRow<'a, 'a>,
{
    let rows = result.into_rows_result().map_err(shape)?;
    rows.rows::<T>().map_err(shape)?.map(|row| row.map_err(shape)).collect()
}

/// The row of an answer that has at most one.
pub(super) fn optional_row<T>(result: QueryResult) -> Result<Option<T>, StorageError>
where
    for<'a> T: DeserializeRow<'a, 'a>,
{
    result.into_rows_result().map_err(shape)?.maybe_first_row::<T>().map_err(shape)
}
