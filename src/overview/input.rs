//! Parsing request bodies into values of the model.
//!
//! JSON and forms become the same map of fields first, so that one set of rules serves both. All
//! errors are reported in one sentence, a clause for each field.

use serde_json::{Map, Value};

use super::model::{Changes, GameId, NewOverview};
use crate::web::body::{Encoding, Payload};

const TEXTS: [&str; 5] = ["game_name", "description", "release_date", "developer", "publisher"];

/// Unknown fields that an answer names; a body may have thousands.
const MAX_UNKNOWN: usize = 5;

/// The body of a create.
///
/// # Errors
/// What is wrong, naming the fields.
pub fn new_overview(payload: &Payload) -> Result<NewOverview, String> {
    let mut fields = Fields::read(payload)?;
    let game_id = fields.id();
    let [game_name, description, release_date, developer, publisher] =
        TEXTS.map(|name| fields.required(name));
    let tags = fields.tags().unwrap_or_default();
    let game =
        NewOverview { game_id, game_name, description, release_date, developer, publisher, tags };
    fields.finish(game)
}

/// The body of a change to the game of that id.
///
/// # Errors
/// What is wrong, naming the fields.
pub fn changes(payload: &Payload, id: GameId) -> Result<Changes, String> {
    let mut fields = Fields::read(payload)?;
    if fields.map.is_empty() {
        return Err("the body is empty; give at least one field to change".to_owned());
    }
    if fields.id().is_some_and(|other| other != id) {
        fields.wrong("`game_id` is not the one in the path, and cannot be changed");
    }
    let [game_name, description, release_date, developer, publisher] =
        TEXTS.map(|name| fields.text(name));
    let tags = fields.tags();
    let changes = Changes { game_name, description, release_date, developer, publisher, tags };
    fields.finish(changes)
}

/// The fields that are not read yet, and what is wrong with those that were.
struct Fields {
    map: Map<String, Value>,
    /// Whether the body is a form, in which every value is text.
    numbers_are_texts: bool,
    errors: Vec<String>,
}

impl Fields {
    fn read(payload: &Payload) -> Result<Self, String> {
        let map = match payload.encoding {
            Encoding::Json => json(&payload.bytes)?,
            Encoding::Form => form(&payload.bytes)?,
        };
        let numbers_are_texts = payload.encoding == Encoding::Form;
        Ok(Self { map, numbers_are_texts, errors: Vec::new() })
    }

    fn wrong(&mut self, why: impl Into<String>) {
        self.errors.push(why.into());
    }

    fn id(&mut self) -> Option<GameId> {
        let value = self.map.remove("game_id")?;
        let id = match &value {
            Value::String(text) if self.numbers_are_texts => GameId::parse(text),
            Value::Number(number) => whole(number).and_then(|n| n.try_into().ok()).map(GameId),
            _ => None,
        };
        if id.is_none() {
            self.wrong("`game_id` must be an integer from -2147483648 to 2147483647");
        }
        id
    }

    fn required(&mut self, name: &str) -> String {
        if !self.map.contains_key(name) {
            self.wrong(format!("`{name}` is missing"));
        }
        self.text(name).unwrap_or_default()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.map.remove(name)? {
            Value::String(text) if text.contains('\0') => {
                self.wrong(format!("`{name}` must not hold U+0000"));
                None
            }
            Value::String(text) => Some(text),
            _ => {
                self.wrong(format!("`{name}` must be one text"));
                None
            }
        }
    }

    /// Null means no tags, as in the rows of the earlier service.
    fn tags(&mut self) -> Option<Vec<String>> {
        let tags = match self.map.remove("tags")? {
            Value::Null => Some(Vec::new()),
            Value::Array(tags) => tags.into_iter().map(tag).collect(),
            Value::String(one) if self.numbers_are_texts => tag(one.into()).map(|tag| vec![tag]),
            _ => None,
        };
        if tags.is_none() {
            self.wrong("`tags` must be a list of texts without U+0000");
        }
        tags
    }

    /// `value`, if nothing was wrong and no field is left over.
    fn finish<T>(mut self, value: T) -> Result<T, String> {
        for name in std::mem::take(&mut self.map).keys().take(MAX_UNKNOWN) {
            self.wrong(format!("`{}` is not a field of an overview", excerpt(name)));
        }
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors.join("; ")) }
    }
}

/// A name that the client sent, escaped and cut so that an answer may contain it.
fn excerpt(name: &str) -> String {
    let start: String = name.chars().take(40).collect();
    let dots = if start.len() < name.len() { "..." } else { "" };
    format!("{}{dots}", start.escape_default())
}

/// `5.0` is five, as it is to JavaScript.
fn whole(number: &serde_json::Number) -> Option<i64> {
    let float = || number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15);
    number.as_i64().or_else(|| float().map(|f| f as i64))
}

fn tag(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.contains('\0') => Some(text),
        _ => None,
    }
}

fn json(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the body must be a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}

/// A form's fields; `tags`, `tags[]` and `tags[N]` make one list, ordered by N.
fn form(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut map = Map::new();
    let mut tags = Vec::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        if let Some(index) = tag_index(&name) {
            tags.push((index.unwrap_or(tags.len()), value.into_owned()));
        } else if map.insert(name.to_string(), value.into_owned().into()).is_some() {
            return Err(format!("`{}` is given twice", excerpt(&name)));
        }
    }
    if !tags.is_empty() {
        tags.sort_by_key(|(index, _)| *index);
        map.insert("tags".to_owned(), tags.into_iter().map(|(_, tag)| Value::from(tag)).collect());
    }
    Ok(map)
}

/// `Some` for a name of the list, with its index if it has one.
fn tag_index(name: &str) -> Option<Option<usize>> {
    match name.strip_prefix("tags")? {
        "" | "[]" => Some(None),
        rest => rest.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "game_name=n&description=d&release_date=r&developer=e&publisher=p";

    fn payload(encoding: Encoding, text: &str) -> Payload {
        Payload { encoding, bytes: text.to_owned().into() }
    }

    fn tags_of(form: &str) -> Vec<String> {
        new_overview(&payload(Encoding::Form, &format!("{FULL}&{form}"))).unwrap().tags
    }

    #[test]
    fn a_form_may_write_lists_in_four_ways() {
        for form in [
            "tags[0]=a&tags[1]=b",
            "tags%5B0%5D=a&tags%5B1%5D=b",
            "tags[]=a&tags[]=b",
            "tags=a&tags=b",
            "tags[7]=b&tags[3]=a",
        ] {
            assert_eq!(tags_of(form), ["a", "b"], "{form}");
        }
        assert_eq!(tags_of("tags=a"), ["a"]);
        assert!(tags_of("").is_empty());
    }

    #[test]
    fn numbers_are_texts_in_forms_only() {
        let form = format!("{FULL}&game_id=5");
        assert_eq!(new_overview(&payload(Encoding::Form, &form)).unwrap().game_id, Some(GameId(5)));
        let id = |json: &str| changes(&payload(Encoding::Json, json), GameId(5));
        for same in ["5", "5.0", "5e0"] {
            assert!(id(&format!("{{\"game_id\":{same}}}")).is_ok(), "{same}");
        }
        for wrong in ["\"5\"", "5.5", "null", "2147483648", "1e300", "true", "[5]", "6"] {
            assert!(id(&format!("{{\"game_id\":{wrong}}}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_error_is_named() {
        let json = r#"{"game_name":1,"description":"a\u0000b","tags":[1],"extra":0}"#;
        let text = new_overview(&payload(Encoding::Json, json)).unwrap_err();
        for part in [
            "`game_name` must be one text",
            "`description` must not hold U+0000",
            "`release_date` is missing",
            "`developer` is missing",
            "`publisher` is missing",
            "`tags` must be a list of texts",
            "`extra` is not a field",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn bodies_without_fields_are_refused() {
        for (text, part) in [("[]", "object"), ("{", "not JSON"), ("", "missing")] {
            let error = new_overview(&payload(Encoding::Json, text)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        for text in ["", "{}"] {
            let error = changes(&payload(Encoding::Json, text), GameId(1)).unwrap_err();
            assert!(error.contains("empty"), "{error}");
        }
        let twice = format!("{FULL}&developer=again");
        assert!(new_overview(&payload(Encoding::Form, &twice)).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_change_has_only_what_was_given() {
        let json = r#"{"tags":null,"developer":"x"}"#;
        let expected =
            Changes { developer: Some("x".into()), tags: Some(Vec::new()), ..Changes::default() };
        assert_eq!(changes(&payload(Encoding::Json, json), GameId(1)), Ok(expected));
    }
}
