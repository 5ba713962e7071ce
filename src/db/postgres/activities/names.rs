//! Names of the tables and columns that messages make.
//!
//! They are the real ones, quoted. A generated name stands for one that PostgreSQL cannot hold, or that
//! is taken; the catalogue has both.

pub(super) use postgres_protocol::escape::escape_identifier as quoted;

use crate::activities::model::{ColumnType, Name};

/// Generated names begin so, and no real one does: a real name that does is replaced by a generated one.
const GENERATED: &str = "storefront ";
/// The column by which rows are in order of their arrival.
pub(super) const ROW_NUMBER: &str = "storefront row";
/// Every table of PostgreSQL has columns of these names.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"];

/// Whether a table can have that name, unless another relation of the schema has it.
pub(super) fn is_possible_table(name: &Name) -> bool {
    !name.as_str().starts_with(GENERATED)
}

/// What a column is called in its table; `number` is its place.
pub(super) fn physical_column(name: &Name, number: usize) -> String {
    let name = name.as_str();
    if name.starts_with(GENERATED) || SYSTEM_COLUMNS.contains(&name) {
        return format!("{GENERATED}column {number}");
    }
    name.to_owned()
}

/// The type of a column. Texts are compared by their bytes.
pub(super) fn sql_type(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Integer => "bigint".to_owned(),
        ColumnType::Text => "text COLLATE \"C\"".to_owned(),
        ColumnType::Float => "double precision".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
    }
}
