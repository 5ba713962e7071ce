//! URLs without their passwords.

/// The URL with `***` in place of the password.
pub(super) fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // The last one: the parser refuses a password with an `@` of its own, but that text is not shown either.
    let Some((login, host)) = authority.rsplit_once('@') else { return text.to_owned() };
    let user = login.split_once(':').map_or(login, |(user, _)| user);
    format!("{scheme}://{user}:***@{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_and_all_else_is_shown() {
        for (given, shown) in [
            ("postgres://u:secret@h:1/d?x=y", "postgres://u:***@h:1/d?x=y"),
            ("cassandra://u:s@1,2:9042/k", "cassandra://u:***@1,2:9042/k"),
            ("postgres://h/d", "postgres://h/d"),
            ("embedded:./data/x.db", "embedded:./data/x.db"),
        ] {
            assert_eq!(url(given), shown);
        }
    }
}
