//! URLs without their passwords.

use crate::config::database::parse_url;

/// The URL without its password and without its parameters, of which one may be a password too.
pub(super) fn url(text: &str) -> String {
    parse_url(text)
        .map_or_else(|_| "not a URL that this program knows".to_owned(), |url| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (given, shown) in [
            ("postgres://u:secret@h:1/d?application_name=y", "postgres://u@h:1/d"),
            ("postgres://u@h:1/d?password=secret", "postgres://u@h:1/d"),
            ("cassandra://u:secret@h1,h2:9042/k", "cassandra://u@h1:9042,h2:9042/k"),
            ("embedded:./data/x.db", "embedded:./data/x.db"),
            ("mysql://u:secret@h/d", "not a URL that this program knows"),
        ] {
            assert_eq!(url(given), shown);
        }
    }
}
