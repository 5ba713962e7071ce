//! JSON as it was written: numbers keep their digits, and no member may come twice.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Null,
    Boolean(bool),
    /// The digits, with sign, point and exponent.
    Number(&'a str),
    Text(String),
    Array(Vec<Self>),
    /// No name comes twice.
    Object(Vec<(String, Self)>),
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// A JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What is wrong and what was expected; without a full stop.
    pub what: String,
    /// Whether the text is JSON at all.
    pub is_json: bool,
}

impl Invalid {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { pointer: String::new(), what: what.into(), is_json: true }
    }

    /// The same, at a member or an element of what it was about.
    pub(super) fn under(mut self, segment: impl fmt::Display) -> Self {
        let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
        self.pointer.insert_str(0, &format!("/{segment}"));
        self
    }

    fn not_json(error: &serde_json::Error) -> Self {
        Self { pointer: String::new(), what: format!("not JSON: {error}"), is_json: false }
    }
}

/// One sentence: where, and what.
impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "The message" } else { &self.pointer };
        write!(f, "{place}: {}.", self.what)
    }
}

impl<'a> Json<'a> {
    /// Parses a text in which arrays and objects are nested at most `depth` deep.
    pub(super) fn parse(text: &'a str, depth: usize) -> Result<Self, Invalid> {
        // Checks the syntax of all of it, whatever its depth, without recursion.
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| Invalid::not_json(&e))?;
        Self::read(raw.get(), depth, depth)
    }

    fn read(raw: &'a str, left: usize, depth: usize) -> Result<Self, Invalid> {
        let failed = |e: serde_json::Error| Invalid::not_json(&e);
        if left == 0 && raw.starts_with(['[', '{']) {
            return Err(Invalid::new(format!("nested deeper than {depth} levels")));
        }
        match raw.as_bytes().first() {
            Some(b'[') => {
                let raw: Vec<&RawValue> = serde_json::from_str(raw).map_err(failed)?;
                let values = raw.into_iter().enumerate();
                let values = values
                    .map(|(n, raw)| Self::read(raw.get(), left - 1, depth).map_err(|e| e.under(n)));
                values.collect::<Result<_, _>>().map(Self::Array)
            }
            Some(b'{') => {
                let Members(raw) = serde_json::from_str(raw).map_err(failed)?;
                Self::members(raw, left - 1, depth)
            }
            Some(b'"') => text(raw).map(Self::Text),
            Some(b't') => Ok(Self::Boolean(true)),
            Some(b'f') => Ok(Self::Boolean(false)),
            Some(b'n') => Ok(Self::Null),
            _ => Ok(Self::Number(raw)),
        }
    }

    fn members(
        raw: Vec<(String, &'a RawValue)>,
        left: usize,
        depth: usize,
    ) -> Result<Self, Invalid> {
        let mut names = HashSet::with_capacity(raw.len());
        for (name, _) in &raw {
            if !names.insert(name.as_str()) {
                return Err(Invalid::new("this member comes twice").under(name));
            }
        }
        let members = raw.into_iter().map(|(name, raw)| {
            let value = Self::read(raw.get(), left, depth).map_err(|e| e.under(&name))?;
            Ok((name, value))
        });
        members.collect::<Result<_, _>>().map(Self::Object)
    }

    /// A member of an object.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The elements of an array; none of anything else.
    pub(super) fn elements(&self) -> &[Self] {
        if let Self::Array(elements) = self { elements } else { &[] }
    }

    /// The characters of a text.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// For the JSON Schema, which looks at the type of a number only.
    pub(super) fn to_value(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            Self::Number(digits) => number(digits).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Array(elements) => elements.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.to_value())).collect()
            }
        }
    }
}

/// A number of the same type, as near as it can be.
fn number(digits: &str) -> serde_json::Number {
    serde_json::from_str(digits).unwrap_or_else(|_| 0.into())
}

fn text(raw: &str) -> Result<String, Invalid> {
    let text: String = serde_json::from_str(raw).map_err(|e| Invalid::not_json(&e))?;
    if text.contains('\0') {
        return Err(Invalid::new("U+0000 cannot be stored"));
    }
    Ok(text)
}

/// The members of an object in their order, also those that come twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(map.size_hint().unwrap_or_default());
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Json::parse(text, 4).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(error(r#"{"a":{"b":1,"c":2,"b":3}}"#), "/a/b: this member comes twice.");
        assert_eq!(error(r#"[0,{"x/y~":"a\u0000"}]"#), "/1/x~1y~0: U+0000 cannot be stored.");
        assert_eq!(error("[[[[[]]]]]"), "/0/0/0/0: nested deeper than 4 levels.");
        assert!(Json::parse("[[[[1]]]]", 4).is_ok());
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for text in ["", "{", "{}x", "[1,]", r#"["\ud800"]"#, "01", r#"{"a" 1}"#] {
            assert!(!Json::parse(text, 4).unwrap_err().is_json, "{text}");
        }
        assert!(Json::parse(r#"{"a":1,"a":1}"#, 4).unwrap_err().is_json);
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert!(Json::parse(&deep, 4).unwrap_err().is_json);
    }

    #[test]
    fn numbers_keep_their_digits() {
        for digits in ["1", "-0.10", "1e400", "12345678901234567890123456789"] {
            let Ok(Json::Number(kept)) = Json::parse(digits, 1) else { panic!("{digits}") };
            assert_eq!(kept, digits);
        }
    }
}
