//! A request to one of several programs, and what its client may conclude from the answer.

use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value;

use crate::balancer::SENT_TO;
use testkit::wait::TIMEOUT;

/// What a client knows after an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: it was done; what the answer says.
    Done(String),
    /// 4xx: nothing has changed; the status.
    Refused(u16),
    /// A broken connection, or a 503: it may have been done or not, now or a little later. So is a
    /// checkout that nginx has sent twice: what died first may have left it to the database. No
    /// server has the request any more.
    Unknown,
    /// The client hung up, or on Cassandra was answered at the deadline: a server may have the request
    /// still, and read, begin or end it at any time.
    TimedOut,
    /// It was not sent: nothing listens there.
    NotSent,
}

impl Answer {
    /// Whether the operation may have been done or not.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::TimedOut)
    }

    /// A number in the answer's JSON.
    pub fn number(&self, key: &str) -> u64 {
        self.json()[key].as_u64().unwrap_or_else(|| panic!("{key} in {self:?}"))
    }

    /// A text in the answer's JSON.
    pub fn text(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap_or_else(|| panic!("{key} in {self:?}")).to_owned()
    }

    /// The answer, which must be JSON.
    pub fn json(&self) -> Value {
        let Self::Done(body) = self else { panic!("{self:?}") };
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"))
    }
}

/// What may go wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// Nothing: anything but 200 and 4xx is a failure.
    None,
    /// Programs, connections and the database; the client waits for its answer.
    Any,
    /// The same, and the client hangs up after that time.
    HangUp(Duration),
}

/// A client of programs whose addresses may change.
pub fn client() -> Client {
    testkit::process::client().timeout(TIMEOUT).build().expect("a client")
}

/// A request to any of the programs.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    /// Its idempotency key: a repeat changes nothing again.
    pub key: Option<String>,
}

/// Sends a request. Any answer that is not allowed at all is a failure: with faults a 503 is.
pub async fn ask(client: &Client, request: &Request, url: &str, faults: Faults) -> Answer {
    let Request { method, key, .. } = request;
    let mut request = client.request(method.clone(), url);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    if let Faults::HangUp(after) = faults {
        request = request.timeout(after);
    }
    match exchange(request).await {
        Ok((status, twice, body)) => match status {
            _ if faults != Faults::None && twice => Answer::Unknown,
            200 => Answer::Done(body),
            400..500 => Answer::Refused(status),
            503 if faults != Faults::None => Answer::Unknown,
            _ => panic!("{method} {url}: {status} {body}"),
        },
        Err(error) if faults == Faults::None => panic!("{method} {url}: {error:?}"),
        Err(error) if error.is_connect() => Answer::NotSent,
        Err(error) if error.is_timeout() => {
            assert_ne!(faults, Faults::Any, "no answer within {TIMEOUT:?}: {method} {url}");
            Answer::TimedOut
        }
        Err(_) => Answer::Unknown,
    }
}

/// The status, whether it is a checkout that was sent to two programs, and the whole body.
async fn exchange(request: reqwest::RequestBuilder) -> reqwest::Result<(u16, bool, String)> {
    let answer = request.send().await?;
    let (status, twice) = (answer.status().as_u16(), is_checkout_sent_twice(&answer));
    Ok((status, twice, answer.text().await?))
}

fn is_checkout_sent_twice(answer: &Response) -> bool {
    let sent_to = answer.headers().get(SENT_TO).map(|programs| programs.as_bytes());
    answer.url().path().starts_with("/orders/checkout/")
        && sent_to.is_some_and(|programs| programs.contains(&b','))
}
