//! Messages, their activities and values. Values of these types are valid: they are parsed at the
//! boundary, and no code behind it checks them again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// In bytes of UTF-8.
pub const MAX_NAME: usize = 63;
/// Digits of a decimal, before and after its point together.
pub const MAX_PRECISION: u32 = 28;
/// Columns of a table.
pub const MAX_COLUMNS: usize = 1_000;

/// Identifies a message: a UUIDv7, so that later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Parses an id in its usual form with hyphens; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36).then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
    }

    /// When it was made, in milliseconds since 1970; 0 for an id without a time.
    #[must_use]
    pub fn made_at(self) -> i64 {
        let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |at| at.to_unix());
        i64::try_from(Duration::new(seconds, nanos).as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of a table or a column: 1 to 63 bytes, any character but U+0000. Compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Parses a name; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=MAX_NAME).contains(&text.len()) && !text.contains('\0');
        is_name.then(|| Self(text.into()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The type of a column. TEXT, VARCHAR and VARCHAR(n) are one type, as are FLOAT and DOUBLE; decimals of
/// different precision or scale are different types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Signed, 64 bits.
    Integer,
    /// Unicode without U+0000.
    Text,
    /// 64 bits, finite, never -0.
    Float,
    /// True or false.
    Boolean,
    /// An exact number.
    Decimal {
        /// Digits in all, 1 to 28.
        precision: u32,
        /// Digits after the point, at most `precision`.
        scale: u32,
    },
}

impl ColumnType {
    /// Parses the form that [`fmt::Display`] gives, in which types are stored.
    #[must_use]
    pub fn parse_canonical(text: &str) -> Option<Self> {
        Some(match text {
            "INTEGER" => Self::Integer,
            "TEXT" => Self::Text,
            "DOUBLE" => Self::Float,
            "BOOLEAN" => Self::Boolean,
            other => {
                let (precision, scale) =
                    other.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
                Self::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? }
            }
        })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer => f.write_str("INTEGER"),
            Self::Text => f.write_str("TEXT"),
            Self::Float => f.write_str("DOUBLE"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
        }
    }
}

/// A value, which fits its column's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of any type; never a value to delete by.
    Null,
    /// Of an INTEGER.
    Integer(i64),
    /// Of a TEXT.
    Text(Arc<str>),
    /// Of a DOUBLE: finite, and 0 for -0.
    Float(f64),
    /// Of a BOOLEAN.
    Boolean(bool),
    /// Of a DECIMAL, with exactly its scale.
    Decimal(Decimal),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            // As text: readers of JSON take a number for a binary fraction.
            Self::Decimal(value) => serializer.collect_str(value),
        }
    }
}

/// A column, its type and a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The column.
    pub column: Name,
    /// Its type.
    pub column_type: ColumnType,
    /// The value.
    pub value: Value,
}

/// One change of one table.
#[derive(Debug, Clone, PartialEq)]
pub enum Activity {
    /// Adds a row, and the table and columns that are missing.
    Insert(Target),
    /// Removes the rows whose named columns are equal to the values, none of which is null.
    Delete(Target),
}

/// What an activity is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The table.
    pub table: Name,
    /// At least one; no column twice.
    pub cells: Vec<Cell>,
}

impl Activity {
    /// What it is about.
    #[must_use]
    pub const fn target(&self) -> &Target {
        match self {
            Self::Insert(target) | Self::Delete(target) => target,
        }
    }
}

/// What a queued message tells the worker to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Activities in their order, at least one: all or none.
    Activities(Vec<Activity>),
    /// Drops a table and its rows; an operator's message.
    DropTable(Name),
}

/// Why a message was not applied. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What kind of reason.
    pub kind: RejectionKind,
    /// The activity that failed, counted from 0; `None` if it was no single one.
    pub activity: Option<u32>,
    /// The table that it is about.
    pub table: Option<Name>,
    /// The column that it is about.
    pub column: Option<Name>,
    /// One sentence for the message's sender.
    pub error: String,
}

/// Kinds of reasons for a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// Deletes from a table that does not exist.
    MissingTable,
    /// Drops a table that does not exist. A kind of its own: retrying what clients sent must not drop one.
    NothingToDrop,
    /// Deletes by a column that does not exist.
    MissingColumn,
    /// A column exists with another type.
    ColumnType,
    /// A table would get more than [`MAX_COLUMNS`], or the tables have more together than the backend can
    /// change in one step.
    TooManyColumns,
    /// Deletes more rows at once than the backend can remove in one step.
    TooManyRows,
    /// The database refused the message's values.
    Refused,
    /// The worker died each time it applied the message.
    WorkerDied,
    /// The queued text is no message to this version of the program.
    Unreadable,
}

impl RejectionKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::MissingTable,
        Self::NothingToDrop,
        Self::MissingColumn,
        Self::ColumnType,
        Self::TooManyColumns,
        Self::TooManyRows,
        Self::Refused,
        Self::WorkerDied,
        Self::Unreadable,
    ];

    /// Its name in causes and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingTable => "missing_table",
            Self::NothingToDrop => "nothing_to_drop",
            Self::MissingColumn => "missing_column",
            Self::ColumnType => "column_type",
            Self::TooManyColumns => "too_many_columns",
            Self::TooManyRows => "too_many_rows",
            Self::Refused => "refused",
            Self::WorkerDied => "worker_died",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Rejection {
    /// By what rejections are grouped: kind, table and column, never a value. Such as
    /// `column_type "games"."price"`.
    #[must_use]
    pub fn cause(&self) -> String {
        let quoted = |name: &Name| format!("\"{}\"", name.as_str().replace('"', "\"\""));
        let names: Vec<_> = self.table.iter().chain(&self.column).map(quoted).collect();
        format!("{} {}", self.kind.as_str(), names.join(".")).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_parsed_from_what_is_stored() {
        for column_type in [
            ColumnType::Integer,
            ColumnType::Text,
            ColumnType::Float,
            ColumnType::Boolean,
            ColumnType::Decimal { precision: 28, scale: 0 },
            ColumnType::Decimal { precision: 5, scale: 5 },
        ] {
            assert_eq!(ColumnType::parse_canonical(&column_type.to_string()), Some(column_type));
        }
        assert_eq!(ColumnType::parse_canonical("DECIMAL(5)"), None);
    }

    #[test]
    fn a_cause_names_kind_table_and_column() {
        let rejection = |table: Option<&str>, column: Option<&str>| Rejection {
            kind: RejectionKind::ColumnType,
            activity: Some(0),
            table: table.and_then(Name::parse),
            column: column.and_then(Name::parse),
            error: "a value: 17".to_owned(),
        };
        assert_eq!(rejection(Some("t"), Some("c")).cause(), r#"column_type "t"."c""#);
        assert_eq!(rejection(Some(r#"a"."b"#), None).cause(), r#"column_type "a"".""b""#);
        assert_eq!(rejection(None, None).cause(), "column_type");
    }

    #[test]
    fn a_name_is_limited_in_bytes() {
        assert!(Name::parse(&"é".repeat(31)).is_some());
        assert!(Name::parse(&"é".repeat(32)).is_none());
        assert!(Name::parse("").is_none());
        assert!(Name::parse("a\0").is_none());
    }
}
