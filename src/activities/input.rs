//! Reading a message's text: what the JSON Schema cannot say.

use std::collections::HashSet;

use rust_decimal::Decimal;

use super::json::{Invalid, Json};
use super::model::{
    Activity, Cell, ColumnType, MAX_NAME, MAX_PRECISION, Name, Target, Value, Work,
};

/// How deep arrays and objects may be nested in what is stored; the gate's limit is lower.
const MAX_DEPTH: usize = 128;
/// Characters of a wrong value that an error shows.
const SHOWN: usize = 40;
/// The longest VARCHAR, as in PostgreSQL.
const MAX_LENGTH: usize = 10_485_760;
/// The member of an operator's message.
const DROP_TABLE: &str = "drop_table";

impl Work {
    /// Reads the text of a queued message.
    ///
    /// # Errors
    /// What is wrong with it: it was queued by another version of the program.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let json = Json::parse(text, MAX_DEPTH)?;
        // A client's message has activities, whatever else it has.
        let operators = json.member(DROP_TABLE).filter(|_| json.member("activities").is_none());
        match operators {
            Some(table) => name(table).map(Self::DropTable).map_err(|e| e.under(DROP_TABLE)),
            None => activities(&json).map(Self::Activities),
        }
    }

    /// The text of a message that drops a table.
    #[must_use]
    pub fn drop_table(table: &Name) -> String {
        serde_json::json!({ DROP_TABLE: table }).to_string()
    }
}

/// The activities of a message.
pub(super) fn activities(message: &Json<'_>) -> Result<Vec<Activity>, Invalid> {
    let list = member(message, "activities")?;
    if list.elements().is_empty() {
        return Err(Invalid::new("expected at least one activity").under("activities"));
    }
    let read = list.elements().iter().enumerate().map(|(n, json)| {
        let read = activity(json);
        read.map_err(|e| e.under(n).under("activities"))
    });
    read.collect()
}

fn activity(json: &Json<'_>) -> Result<Activity, Invalid> {
    let operation = member(json, "operation")?;
    let table = name(member(json, "table")?).map_err(|e| e.under("table"))?;
    match operation.text() {
        Some("insert") => Ok(Activity::Insert(Target { table, cells: cells(json)? })),
        Some("delete") => {
            const PLACE: &str = "value_to_delete";
            let value = member(json, PLACE)?;
            let cells = cells(value).and_then(without_null).map_err(|e| e.under(PLACE))?;
            Ok(Activity::Delete(Target { table, cells }))
        }
        _ => Err(Invalid::new("expected \"insert\" or \"delete\"").under("operation")),
    }
}

fn without_null(cells: Vec<Cell>) -> Result<Vec<Cell>, Invalid> {
    match cells.iter().position(|cell| cell.value == Value::Null) {
        None => Ok(cells),
        Some(n) => {
            let what = "null is equal to nothing; expected a value to delete by";
            Err(Invalid::new(what).under(n).under("col_values"))
        }
    }
}

/// The columns of `col_names`, `col_types` and `col_values`.
fn cells(json: &Json<'_>) -> Result<Vec<Cell>, Invalid> {
    let names = member(json, "col_names")?.elements();
    let types = same_length(json, "col_types", names.len())?;
    let values = same_length(json, "col_values", names.len())?;
    if names.is_empty() {
        return Err(Invalid::new("expected at least one column").under("col_names"));
    }
    let mut known = HashSet::with_capacity(names.len());
    let mut cells = Vec::with_capacity(names.len());
    for (n, ((column, type_name), value)) in names.iter().zip(types).zip(values).enumerate() {
        let column = name(column).map_err(|e| e.under(n).under("col_names"))?;
        if !known.insert(column.clone()) {
            let what = format!("the column `{column}` comes twice");
            return Err(Invalid::new(what).under(n).under("col_names"));
        }
        let declared = Declared::parse(type_name.text().unwrap_or_default())
            .map_err(|e| e.under(n).under("col_types"))?;
        let value = declared.value(value).map_err(|e| e.under(n).under("col_values"))?;
        cells.push(Cell { column, column_type: declared.column_type, value });
    }
    Ok(cells)
}

fn same_length<'j>(
    json: &'j Json<'j>,
    list: &'static str,
    expected: usize,
) -> Result<&'j [Json<'j>], Invalid> {
    let elements = member(json, list)?.elements();
    if elements.len() == expected {
        return Ok(elements);
    }
    let what = format!("expected {expected} elements as in `col_names`, not {}", elements.len());
    Err(Invalid::new(what).under(list))
}

fn member<'j>(json: &'j Json<'j>, name: &'static str) -> Result<&'j Json<'j>, Invalid> {
    json.member(name).ok_or_else(|| Invalid::new("this member is missing").under(name))
}

fn name(json: &Json<'_>) -> Result<Name, Invalid> {
    json.text()
        .and_then(Name::parse)
        .ok_or_else(|| Invalid::new(format!("expected a name of 1 to {MAX_NAME} bytes in UTF-8")))
}

/// The type as a message declares it.
struct Declared {
    column_type: ColumnType,
    /// Characters of a VARCHAR(n).
    length: Option<usize>,
}

impl Declared {
    fn parse(text: &str) -> Result<Self, Invalid> {
        let plain = |column_type| Ok(Self { column_type, length: None });
        let upper = text.to_ascii_uppercase();
        match upper.as_str() {
            "INTEGER" => return plain(ColumnType::Integer),
            "TEXT" | "VARCHAR" => return plain(ColumnType::Text),
            "FLOAT" | "DOUBLE" => return plain(ColumnType::Float),
            "BOOLEAN" => return plain(ColumnType::Boolean),
            _ => {}
        }
        let arguments = |name| upper.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(length) = arguments("VARCHAR").and_then(whole)
            && (1..=MAX_LENGTH).contains(&length)
        {
            return Ok(Self { column_type: ColumnType::Text, length: Some(length) });
        }
        if let Some((precision, scale)) = arguments("DECIMAL").and_then(|list| list.split_once(','))
            && let (Some(precision), Some(scale)) = (whole(precision), whole(scale))
            && (1..=MAX_PRECISION).contains(&precision)
            && scale <= precision
        {
            return plain(ColumnType::Decimal { precision, scale });
        }
        Err(Invalid::new(format!(
            "`{}` is no type; expected INTEGER, TEXT, VARCHAR, VARCHAR(n) with n from 1 to \
             {MAX_LENGTH}, FLOAT, DOUBLE, BOOLEAN or DECIMAL(p,s) with p from 1 to {MAX_PRECISION} \
             and s at most p",
            shown(text)
        )))
    }

    fn value(&self, json: &Json<'_>) -> Result<Value, Invalid> {
        match (self.column_type, json) {
            (_, Json::Null) => Ok(Value::Null),
            (ColumnType::Integer, Json::Number(digits)) => integer(digits).map(Value::Integer),
            (ColumnType::Float, Json::Number(digits)) => float(digits).map(Value::Float),
            (ColumnType::Boolean, Json::Boolean(value)) => Ok(Value::Boolean(*value)),
            (ColumnType::Text, Json::Text(text)) => self.text(text),
            (ColumnType::Decimal { precision, scale }, Json::Number(digits)) => {
                decimal(digits, precision, scale).map(Value::Decimal)
            }
            (ColumnType::Decimal { precision, scale }, Json::Text(digits)) => {
                decimal(digits, precision, scale).map(Value::Decimal)
            }
            (column_type, other) => {
                let expected = match column_type {
                    ColumnType::Integer => "a whole number",
                    ColumnType::Float => "a number",
                    ColumnType::Boolean => "true or false",
                    ColumnType::Text => "a string",
                    ColumnType::Decimal { .. } => "a number, or its digits in a string",
                };
                let found = kind(other);
                Err(Invalid::new(format!("expected {expected} for {column_type}, not {found}")))
            }
        }
    }

    fn text(&self, text: &str) -> Result<Value, Invalid> {
        match self.length {
            Some(most) if text.chars().nth(most).is_some() => {
                Err(Invalid::new(format!("longer than the {most} characters of VARCHAR({most})")))
            }
            _ => Ok(Value::Text(text.into())),
        }
    }
}

const fn kind(json: &Json<'_>) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Boolean(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::Text(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// A number of digits only, with white space around it.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim_matches(' ');
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn integer(digits: &str) -> Result<i64, Invalid> {
    digits.parse().map_err(|_| {
        let is_whole = !digits.contains(['.', 'e', 'E']);
        let what = if is_whole { "outside the range of 64 bits" } else { "not a whole number" };
        Invalid::new(format!("{} is {what}, which INTEGER needs", shown(digits)))
    })
}

fn float(digits: &str) -> Result<f64, Invalid> {
    match digits.parse::<f64>() {
        // The sum is 0 for -0.
        Ok(value) if value.is_finite() => Ok(value + 0.0),
        _ => Err(Invalid::new(format!("{} is outside the range of DOUBLE", shown(digits)))),
    }
}

/// The exact value of a number as JSON writes it.
fn decimal(text: &str, precision: u32, scale: u32) -> Result<Decimal, Invalid> {
    let digits = Digits::parse(text).ok_or_else(|| {
        Invalid::new(format!("\"{}\" is no number as JSON writes it", shown(text)))
    })?;
    digits.scaled(precision, scale).ok_or_else(|| {
        let whole = precision - scale;
        let what = format!(
            "{} has more than {whole} digits before the point or {scale} after it, as \
             DECIMAL({precision},{scale}) allows",
            shown(text)
        );
        Invalid::new(what)
    })
}

/// The number `0.digits * 10^point`, without zeros at either end of the digits.
struct Digits {
    is_negative: bool,
    digits: String,
    point: i64,
}

impl Digits {
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, unsigned) =
            text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            None => (unsigned, 0),
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        };
        let (before, after) = match mantissa.split_once('.') {
            None => (mantissa, ""),
            Some((_, "")) => return None,
            Some(parts) => parts,
        };
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let is_padded = before.len() > 1 && before.starts_with('0');
        if before.is_empty() || is_padded || !is_digits(before) || !is_digits(after) {
            return None;
        }
        let all = format!("{before}{after}");
        let significant = all.trim_start_matches('0');
        let leading = i64::try_from(all.len() - significant.len()).ok()?;
        let point = i64::try_from(before.len()).ok()?.saturating_sub(leading);
        let digits = significant.trim_end_matches('0').to_owned();
        Some(Self { is_negative, digits, point: point.saturating_add(exponent) })
    }

    /// With exactly that scale; `None` if digits would be lost.
    fn scaled(&self, precision: u32, scale: u32) -> Option<Decimal> {
        if self.digits.is_empty() {
            return Decimal::try_from_i128_with_scale(0, scale).ok();
        }
        let after = i64::try_from(self.digits.len()).ok()?.saturating_sub(self.point);
        if self.point > i64::from(precision - scale) || after > i64::from(scale) {
            return None;
        }
        let zeros = u32::try_from(i64::from(scale) - after).ok()?;
        let magnitude =
            self.digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)?;
        let number = if self.is_negative { -magnitude } else { magnitude };
        Decimal::try_from_i128_with_scale(number, scale).ok()
    }
}

/// Exponents beyond any use are all the same.
fn parse_exponent(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<i64>().unwrap_or(i64::MAX).min(1 << 40);
    Some(if is_negative { -value } else { value })
}

/// The beginning of a text, for an error.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(column_type: &str, json: &str) -> Result<Value, String> {
        let json = Json::parse(json, 4).unwrap();
        Declared::parse(column_type).and_then(|d| d.value(&json)).map_err(|e| e.what)
    }

    #[test]
    fn a_value_must_fit_its_type() {
        for (column_type, json) in [
            ("integer", "5.0"),
            ("INTEGER", "1e2"),
            ("INTEGER", "true"),
            ("INTEGER", "9223372036854775808"),
            ("INTEGER", "\"5\""),
            ("FLOAT", "1e400"),
            ("DOUBLE", "\"1\""),
            ("BOOLEAN", "1"),
            ("TEXT", "1"),
            ("VARCHAR(2)", "\"abc\""),
            ("DECIMAL(5,2)", "1000"),
            ("DECIMAL(5,2)", "0.001"),
            ("DECIMAL(5,2)", "\"1,5\""),
            ("DECIMAL(5,2)", "\"\""),
            ("DECIMAL(5,2)", "\" 1\""),
            ("DECIMAL(5,2)", "1e99999999999999999999"),
            ("TEXT", "[]"),
            ("TEXT", "{}"),
        ] {
            assert!(value(column_type, json).is_err(), "{column_type} {json}");
        }
    }

    #[test]
    fn values_are_read_exactly() {
        assert_eq!(value("INTEGER", "-9223372036854775808"), Ok(Value::Integer(i64::MIN)));
        assert_eq!(value("INTEGER", "-0"), Ok(Value::Integer(0)));
        let Ok(Value::Float(zero)) = value("float", "-0.0") else { panic!() };
        assert!(zero.is_sign_positive());
        assert_eq!(value("VARCHAR(2)", "\"éé\""), Ok(Value::Text("éé".into())));
        assert_eq!(value("TEXT", "null"), Ok(Value::Null));
        for (column_type, json, expected) in [
            ("DECIMAL(5,2)", "1.5", "1.50"),
            ("DECIMAL(5,2)", "-999.99", "-999.99"),
            ("DECIMAL(5,2)", "1.500000000000000000000000000000000000", "1.50"),
            ("DECIMAL(5,2)", "15e-1", "1.50"),
            ("DECIMAL(5,2)", "0.00015E4", "1.50"),
            ("DECIMAL(5,2)", "-0", "0.00"),
            ("DECIMAL(5,2)", "0e999999999999999999999", "0.00"),
            ("decimal( 28 , 0 )", "9999999999999999999999999999", "9999999999999999999999999999"),
            (
                "DECIMAL(28,28)",
                "\"0.0000000000000000000000000001\"",
                "0.0000000000000000000000000001",
            ),
        ] {
            let Ok(Value::Decimal(read)) = value(column_type, json) else { panic!("{json}") };
            assert_eq!(read.to_string(), expected);
        }
    }

    #[test]
    fn a_type_is_read_in_any_case() {
        for text in ["Integer", "varchar", "VarChar(1)", "DECIMAL(1,1)", "double", "FLOAT"] {
            assert!(Declared::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "INT",
            "VARCHAR()",
            "VARCHAR(0)",
            "VARCHAR(+1)",
            "DECIMAL(29,0)",
            "DECIMAL(2,3)",
            "DECIMAL(2)",
            "DECIMAL(0,0)",
            " TEXT",
        ] {
            assert!(Declared::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_operators_message_is_read_back() {
        let table = Name::parse("a \"b\" \u{1F600}").unwrap();
        assert_eq!(Work::parse(&Work::drop_table(&table)), Ok(Work::DropTable(table)));
    }

    #[test]
    fn a_clients_message_is_never_an_operators() {
        let text = r#"{"drop_table":"t","activities":[{"operation":"insert","table":"t",
            "col_names":["n"],"col_types":["INTEGER"],"col_values":[1]}]}"#;
        assert!(matches!(Work::parse(text), Ok(Work::Activities(_))));
    }
}
