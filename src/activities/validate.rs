//! The gate's checks of a message: the published JSON Schema, the limits, and what neither can say.

use jsonschema::Validator;

use super::input;
use super::json::{Invalid, Json};
use super::model::Activity;

/// The JSON Schema, as it is published.
pub const SCHEMA: &str = include_str!("../../schema/activities.schema.json");
/// Characters of what the schema's validator says.
const MAX_ERROR: usize = 300;

/// Limits of a message besides its bytes.
#[derive(Debug, Clone, Copy)]
pub struct MessageLimits {
    /// How deep arrays and objects may be nested.
    pub depth: usize,
    /// Activities in a message.
    pub activities: usize,
    /// Columns in an activity.
    pub columns: usize,
}

/// Checks messages; the schema is compiled once.
#[derive(Debug)]
pub struct MessageValidator {
    schema: Validator,
    limits: MessageLimits,
}

impl MessageValidator {
    /// A validator with these limits.
    ///
    /// # Panics
    /// Never: the schema is a part of the program, and a test compiles it.
    #[must_use]
    pub fn new(limits: MessageLimits) -> Self {
        let schema = serde_json::from_str(SCHEMA).ok();
        let schema = schema.and_then(|schema| jsonschema::validator_for(&schema).ok());
        let Some(schema) = schema else { unreachable!("the JSON Schema is valid") };
        Self { schema, limits }
    }

    /// The activities of a message.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(&self, text: &str) -> Result<Vec<Activity>, Invalid> {
        let json = Json::parse(text, self.limits.depth)?;
        self.within_limits(&json)?;
        self.fits_schema(&json)?;
        input::activities(&json)
    }

    /// Before the schema, so that its validator works on bounded input only.
    fn within_limits(&self, json: &Json<'_>) -> Result<(), Invalid> {
        let MessageLimits { activities: most, columns, .. } = self.limits;
        let Some(activities) = json.member("activities") else { return Ok(()) };
        let count = activities.elements().len();
        if count > most {
            let what = format!("{count} activities; a message has at most {most}");
            return Err(Invalid::new(what).under("activities"));
        }
        for (n, activity) in activities.elements().iter().enumerate() {
            let deleted = activity.member("value_to_delete");
            let named = [Some(activity), deleted].into_iter().flatten();
            let count = named
                .filter_map(|columns| columns.member("col_names"))
                .map(|names| names.elements().len())
                .max();
            if let Some(count) = count.filter(|count| *count > columns) {
                let what = format!("{count} columns; an activity has at most {columns}");
                return Err(Invalid::new(what).under(n).under("activities"));
            }
        }
        Ok(())
    }

    fn fits_schema(&self, json: &Json<'_>) -> Result<(), Invalid> {
        let value = json.to_value();
        if self.schema.is_valid(&value) {
            return Ok(());
        }
        let Err(error) = self.schema.validate(&value) else { return Ok(()) };
        // Without the value, which may be long.
        let what: String =
            error.masked_with("the value").to_string().chars().take(MAX_ERROR).collect();
        Err(Invalid { pointer: error.instance_path().to_string(), what, is_json: true })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn error(message: &Value) -> String {
        let limits = MessageLimits { depth: 6, activities: 3, columns: 2 };
        let checked = MessageValidator::new(limits).check(&message.to_string());
        checked.expect_err("it is invalid").to_string()
    }

    fn insert(names: Value, types: Value, values: Value) -> Value {
        json!({"activities": [{"operation": "insert", "table": "t", "col_names": names,
                               "col_types": types, "col_values": values}]})
    }

    #[test]
    fn an_error_tells_where_and_what_was_expected() {
        for (message, expected) in [
            (json!([]), "The message: the value is not of type \"object\"."),
            (json!({}), "The message: \"activities\" is a required property."),
            (json!({"activities": []}), "/activities: the value has less than 1 item."),
            (
                json!({"activities": [{"operation": "update", "table": "t"}]}),
                "/activities/0/operation: the value is not one of \"insert\" or \"delete\".",
            ),
            (
                json!({"activities": [{"operation": "insert", "table": "t"}]}),
                "/activities/0: \"col_names\" is a required property.",
            ),
            (
                insert(json!(["a"]), json!(["INT"]), json!([1])),
                "/activities/0/col_types/0: the value does not match",
            ),
            (
                insert(json!(["a", "b"]), json!(["TEXT"]), json!(["x", "y"])),
                "/activities/0/col_types: expected 2 elements as in `col_names`, not 1.",
            ),
            (
                insert(json!(["a", "a"]), json!(["TEXT", "TEXT"]), json!(["x", "y"])),
                "/activities/0/col_names/1: the column `a` comes twice.",
            ),
            (
                insert(json!(["a"]), json!(["INTEGER"]), json!([5.5])),
                "/activities/0/col_values/0: 5.5 is not a whole number, which INTEGER needs.",
            ),
            (
                insert(json!(["é".repeat(40)]), json!(["TEXT"]), json!(["x"])),
                "/activities/0/col_names/0: expected a name of 1 to 63 bytes in UTF-8.",
            ),
            (
                insert(json!(["a", "b", "c"]), json!([]), json!([])),
                "/activities/0: 3 columns; an activity has at most 2.",
            ),
            (
                json!({"activities": [1, 2, 3, 4]}),
                "/activities: 4 activities; a message has at most 3.",
            ),
            (
                json!({"activities": [], "x": [[[[[[]]]]]]}),
                "/x/0/0/0/0/0: nested deeper than 6 levels.",
            ),
            (
                json!({"activities": [{"operation": "delete", "table": "t", "value_to_delete":
                       {"col_names": ["a"], "col_types": ["TEXT"], "col_values": [null]}}]}),
                "/activities/0/value_to_delete/col_values/0: ",
            ),
        ] {
            let error = error(&message);
            assert!(error.starts_with(expected), "{error}\n{expected}");
        }
    }

    #[test]
    fn additional_members_are_ignored() {
        let mut message = insert(json!(["a"]), json!(["varchar(3)"]), json!(["abc"]));
        message["more"] = json!({"any": [1]});
        message["activities"][0]["value_to_delete"] = json!("unused");
        let limits = MessageLimits { depth: 16, activities: 1_000, columns: 1_000 };
        assert_eq!(MessageValidator::new(limits).check(&message.to_string()).unwrap().len(), 1);
    }
}
