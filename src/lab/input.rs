//! Bodies of requests: JSON objects or forms, whose numbers may be strings of digits.

use std::ops::RangeInclusive;

use axum::extract::{FromRef, FromRequest, Request};
use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::model::{Fault, Mode};
use crate::web::body::{BodyLimits, Encoding, Payload};
use crate::web::problem::Problem;

/// The fields of a body.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl<S: Sync> FromRequest<S> for Fields
where
    BodyLimits: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Payload { encoding, bytes } = Payload::from_request(request, state).await?;
        match encoding {
            Encoding::Form => Ok(Self(
                form_urlencoded::parse(&bytes)
                    .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
                    .collect(),
            )),
            Encoding::Json if bytes.is_empty() => Ok(Self(Map::new())),
            Encoding::Json => serde_json::from_slice(&bytes)
                .map(Self)
                .map_err(|_| bad("The body is not a JSON object.")),
        }
    }
}

impl Fields {
    /// A whole number of that range.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u32>) -> Result<u32, Problem> {
        self.optional_number(name, range.clone())?.ok_or_else(|| missing(name, &numbers(&range)))
    }

    /// The same, or `None` where it is not given.
    pub(super) fn optional_number(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Problem> {
        let number = match self.given(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            // Digits alone: `parse` takes a sign too.
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        let valid = number.filter(|number| range.contains(number));
        valid.map(Some).ok_or_else(|| wrong(name, &numbers(&range)))
    }

    /// A number from 1 to 3 as the type that it is checked into.
    pub(super) fn one_to_three<T: TryFrom<u8>>(&self, name: &str) -> Result<T, Problem> {
        let number = self.number(name, 1..=3)?;
        let value = u8::try_from(number).ok().and_then(|number| T::try_from(number).ok());
        value.ok_or_else(|| wrong(name, "1, 2 or 3"))
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Result<&str, Problem> {
        self.optional_text(name)?.ok_or_else(|| missing(name, "a text"))
    }

    /// The same, or `None` where it is not given or empty.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(wrong(name, "a text without U+0000"))
            }
            Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(_) => Err(wrong(name, "a text")),
        }
    }

    /// A UUID.
    pub(super) fn id(&self, name: &str) -> Result<Uuid, Problem> {
        self.text(name)?.parse().map_err(|_| wrong(name, "the id that the lease was given"))
    }

    /// `mode`, by default `together`.
    pub(super) fn mode(&self) -> Result<Mode, Problem> {
        let Some(mode) = self.given("mode") else { return Ok(Mode::default()) };
        serde_json::from_value(mode.clone()).map_err(|_| wrong("mode", "together or in_turns"))
    }

    /// `faults`, a list, or in a form its JSON text.
    pub(super) fn faults(&self) -> Result<Vec<Fault>, Problem> {
        let parsed = match self.given("faults") {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => serde_json::from_str(text),
            Some(value) => serde_json::from_value(value.clone()),
        };
        parsed.map_err(|error| {
            let example = r#"[{"at":10,"target":"sql","action":"pause","seconds":3}]"#;
            bad(format!("`faults` must be a list such as {example}: {error}."))
        })
    }

    fn given(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// 400.
pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn missing(name: &str, expected: &str) -> Problem {
    bad(format!("`{name}` is missing: send {expected}."))
}

fn wrong(name: &str, expected: &str) -> Problem {
    bad(format!("`{name}` must be {expected}."))
}

fn numbers(range: &RangeInclusive<u32>) -> String {
    match (range.start(), range.end()) {
        (1, 3) => "1, 2 or 3".to_owned(),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lab::model::Pattern;

    fn fields(value: Value) -> Fields {
        Fields(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn numbers_may_be_digits_in_a_string() {
        for given in [json!(2), json!("2"), json!("02")] {
            let fields = fields(json!({ "read_pattern": given }));
            assert_eq!(u8::from(fields.one_to_three::<Pattern>("read_pattern").unwrap()), 2);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let missing = [json!({}), json!({ "n": null })];
        for body in missing {
            let problem = fields(body).number("n", 1..=3).unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST);
            assert_eq!(problem.detail, "`n` is missing: send 1, 2 or 3.");
        }
        for wrong in [
            json!(0),
            json!(4),
            json!(-1),
            json!(1.5),
            json!("+1"),
            json!(""),
            json!("1 "),
            json!([1]),
            json!(true),
            json!(1e300),
        ] {
            let problem = fields(json!({ "n": wrong })).number("n", 1..=3).unwrap_err();
            assert_eq!(problem.detail, "`n` must be 1, 2 or 3.", "{wrong}");
        }
    }

    #[test]
    fn faults_are_a_list_or_its_text() {
        let list = json!([{ "at": 10, "target": "sql", "action": "pause", "seconds": 3 }]);
        let given = fields(json!({ "faults": list })).faults().unwrap();
        assert_eq!(fields(json!({ "faults": list.to_string() })).faults().unwrap(), given);
        assert_eq!(given[0].at, 10);
        let problem = fields(json!({ "faults": [{ "at": 10 }] })).faults().unwrap_err();
        assert!(problem.detail.contains("missing field `target`"), "{}", problem.detail);
    }
}
