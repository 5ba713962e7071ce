//! Values as they are stored: as text, in exactly one form, so that equal texts are equal values.

use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::activities::model::{ColumnType, Value};

/// The text of a value; `None` for null.
pub(super) fn encode(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(value) => Some(value.to_string()),
        Value::Text(value) => Some(value.to_string()),
        // The shortest digits that are read as the same number; -0 does not occur.
        Value::Float(value) => Some(format!("{value:e}")),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Decimal(value) => Some(value.to_string()),
    }
}

/// The value of a text; `None` if it is none of that type.
pub(super) fn decode(text: &str, column_type: ColumnType) -> Option<Value> {
    match column_type {
        ColumnType::Integer => text.parse().ok().map(Value::Integer),
        ColumnType::Text => Some(Value::Text(text.into())),
        ColumnType::Float => text.parse().ok().map(Value::Float),
        ColumnType::Boolean => text.parse().ok().map(Value::Boolean),
        ColumnType::Decimal { .. } => text.parse().ok().map(Value::Decimal),
    }
}

/// By what rows with a value are found. Stored: it never changes.
pub(super) fn hash(table_id: i64, column: i32, value: &str) -> Uuid {
    let mut hash = Xxh3::new();
    hash.update(&table_id.to_be_bytes());
    hash.update(&column.to_be_bytes());
    hash.update(value.as_bytes());
    Uuid::from_u128(hash.digest128())
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let decimal = ColumnType::Decimal { precision: 28, scale: 3 };
        for (value, column_type) in [
            (Value::Integer(i64::MIN), ColumnType::Integer),
            (Value::Text("".into()), ColumnType::Text),
            (Value::Text("'é\"\n😀".into()), ColumnType::Text),
            (Value::Float(0.1), ColumnType::Float),
            (Value::Float(f64::MAX), ColumnType::Float),
            (Value::Float(f64::from_bits(1)), ColumnType::Float),
            (Value::Float(-1.5e-300), ColumnType::Float),
            (Value::Boolean(true), ColumnType::Boolean),
            (Value::Decimal(Decimal::new(-1_500, 3)), decimal),
            (Value::Decimal(Decimal::new(0, 3)), decimal),
        ] {
            let text = encode(&value).unwrap();
            let read = decode(&text, column_type).unwrap();
            assert_eq!(format!("{read:?}"), format!("{value:?}"), "{text}");
        }
        assert_eq!(encode(&Value::Null), None);
        assert_eq!(decode("1.5", ColumnType::Integer), None);
    }

    #[test]
    fn a_hash_tells_tables_columns_and_values_apart() {
        let first = hash(1, 2, "3");
        for other in [hash(2, 2, "3"), hash(1, 3, "3"), hash(1, 2, "4"), hash(1, 2, "")] {
            assert_ne!(first, other);
        }
        assert_eq!(first, hash(1, 2, "3"));
        assert_eq!(first.to_string(), "543f5053-e306-259e-87d5-0b4e9a9f2c6b");
    }
}
