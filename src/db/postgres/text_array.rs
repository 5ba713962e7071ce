//! Arrays in SQL's text form. Arrays of different lengths cannot be sent as one array of arrays; they
//! are sent as an array of texts, which the statement casts.

/// Such as `{"a","b"}`.
pub(super) fn text_array<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let mut text = String::from("{");
    for (n, value) in values.into_iter().enumerate() {
        text.push_str(if n > 0 { ",\"" } else { "\"" });
        for c in value.as_ref().chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_quoted_throughout() {
        let tags = ["a", "", "b,c", "{}", "q\"\\", "NULL"];
        assert_eq!(text_array(tags), r#"{"a","","b,c","{}","q\"\\","NULL"}"#);
        assert_eq!(text_array::<&str>([]), "{}");
    }
}
