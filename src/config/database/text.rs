//! The text of a URL, from which URLs of other places are made.

use std::borrow::Borrow;
use std::fmt;

/// The text of a URL that a parser has accepted. It may hold a password, so it is not shown by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlText(String);

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlText")
    }
}

impl UrlText {
    pub(super) fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The text, with the password.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The same with another path: the name of a database or keyspace, which needs no escape.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        let (before, query) =
            self.0.split_once('?').map_or((&*self.0, None), |(b, q)| (b, Some(q)));
        let start = before.find("://").map_or(0, |at| at + 3);
        let end = before[start..].find('/').map_or(before.len(), |at| start + at);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Self(format!("{}/{path}{query}", &before[..end]))
    }

    /// The same with other hosts.
    pub(super) fn with_hosts(&self, hosts: &str) -> Self {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0[start..].find(['/', '?']).map_or(self.0.len(), |at| start + at);
        let start = self.0[start..end].rfind('@').map_or(start, |at| start + at + 1);
        Self(format!("{}{hosts}{}", &self.0[..start], &self.0[end..]))
    }

    /// The same with this value of a parameter, in place of any other.
    #[must_use]
    pub fn with_parameter(&self, name: &str, value: &str) -> Self {
        self.with_parameters(&[name], Some((name, value)))
    }

    /// The same without these parameters.
    pub(super) fn without_parameters(&self, names: &[&str]) -> Self {
        self.with_parameters(names, None)
    }

    fn with_parameters(&self, without: &[&str], with: Option<(&str, &str)>) -> Self {
        let (before, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let kept = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| !without.contains(&name.as_ref()));
        let with = with.map(|(name, value)| (name.into(), value.into()));
        let parameters = encoded(kept.chain(with));
        let mark = if parameters.is_empty() { "" } else { "?" };
        Self(format!("{before}{mark}{parameters}"))
    }
}

/// Parameters with a space as `%20`: in a PostgreSQL URL a `+` is a plus sign.
pub(super) fn encoded<K: AsRef<str>, V: AsRef<str>>(
    parameters: impl IntoIterator<Item = impl Borrow<(K, V)>>,
) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(parameters).finish().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_replaced_and_the_others_stay() {
        let url = UrlText::new("cassandra://u:p%2F@a,b:1/k?replication=3");
        assert_eq!(url.with_path("x").reveal(), "cassandra://u:p%2F@a,b:1/x?replication=3");
        assert_eq!(url.with_hosts("c:2").reveal(), "cassandra://u:p%2F@c:2/k?replication=3");
        let url = UrlText::new("postgres://h?options=-ca%3Db&sslmode=disable");
        assert_eq!(
            url.with_parameter("options", "-c d").reveal(),
            "postgres://h?sslmode=disable&options=-c%20d"
        );
        assert_eq!(
            url.with_hosts("[::1]").reveal(),
            "postgres://[::1]?options=-ca%3Db&sslmode=disable"
        );
        assert_eq!(url.without_parameters(&["options", "sslmode"]).reveal(), "postgres://h");
    }

    #[test]
    fn it_is_not_shown() {
        assert!(!format!("{:?}", UrlText::new("postgres://u:secret@h/d")).contains("secret"));
    }
}
