//! Where accepted messages of activities are queued before they are in the store.

use std::fmt;

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// The stream's name where the URL has none.
const STREAM: &str = "STOREFRONT_ACTIVITIES";
/// NATS's own port.
const PORT: u16 = 4222;
/// The longest name of a stream: its subjects begin with it, and it is a folder of the NATS server.
const MAX_NAME: usize = 64;

/// A stream of a NATS server.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsQueue {
    /// A name or an address; of IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Whether only an encrypted connection will do.
    pub tls: bool,
    /// The stream, with letters, digits, `-` and `_`.
    pub stream: String,
}

/// Without the password.
impl fmt::Display for NatsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "nats" };
        write!(f, "{scheme}://{}:{}/{}", self.host, self.port, self.stream)
    }
}

impl fmt::Debug for NatsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses `nats://[USER:PASSWORD@]HOST[:PORT][/STREAM]`.
///
/// # Errors
/// What to write instead. The text may hold a password, so an error names no part of it but a stream.
pub fn parse(text: &str) -> Result<NatsQueue, String> {
    let url = Url::parse(text).map_err(|_| malformed())?;
    let tls = match url.scheme() {
        "nats" => false,
        "tls" => true,
        _ => return Err(malformed()),
    };
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(malformed)?.to_owned();
    if url.query().is_some() || url.fragment().is_some() {
        return Err(malformed());
    }
    let stream = match url.path().trim_start_matches('/') {
        "" => STREAM,
        name => name,
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if stream.len() > MAX_NAME || !stream.chars().all(is_part) {
        return Err(format!(
            "the stream `{stream}` must be named with up to {MAX_NAME} letters, digits, `-` and `_`"
        ));
    }
    let (port, stream) = (url.port().unwrap_or(PORT), stream.to_owned());
    Ok(NatsQueue { host, port, login: login(&url)?, tls, stream })
}

fn login(url: &Url) -> Result<Option<(String, String)>, String> {
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().map_err(|_| malformed())?;
        Ok::<_, String>(decoded.into_owned())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (_, None) | ("", Some(_)) => {
            Err("a user needs a password; write nats://USER:PASSWORD@HOST:PORT/STREAM".to_owned())
        }
        (user, Some(password)) => Ok(Some((decode(user)?, decode(password)?))),
    }
}

fn malformed() -> String {
    "not a URL such as nats://127.0.0.1:4222 or nats://USER:PASSWORD@HOST:PORT/STREAM; leave it out \
     to queue in the store"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_leave_all_but_the_host_out() {
        for (text, host, port, stream) in [
            ("nats://127.0.0.1", "127.0.0.1", 4222, STREAM),
            ("nats://queue.example:1/a_B-9", "queue.example", 1, "a_B-9"),
            ("nats://[::1]:7/", "[::1]", 7, STREAM),
        ] {
            let found = parse(text).unwrap();
            assert_eq!(
                (found.host.as_str(), found.port, found.stream.as_str()),
                (host, port, stream)
            );
            assert_eq!((found.login, found.tls), (None, false));
        }
        assert!(parse("tls://queue.example").unwrap().tls);
    }

    #[test]
    fn a_password_is_read_and_not_shown() {
        let found = parse("nats://u%40:se%2Fcret@h/s").unwrap();
        assert_eq!(found.login, Some(("u@".to_owned(), "se/cret".to_owned())));
        for shown in [found.to_string(), format!("{found:?}")] {
            assert_eq!(shown, "nats://h:4222/s");
        }
        for text in
            ["nats:/u:secret@h", "http://u:secret@h", "nats://u:secret@", "nats://u:secret@h:x"]
        {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("secret") && error.contains("nats://"), "{error}");
        }
    }

    #[test]
    fn a_stream_must_have_a_name_that_subjects_may_have() {
        for text in ["nats://h/a.b", "nats://h/a*", "nats://h/a/b", "nats://h/a%20b", "nats://u@h"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
