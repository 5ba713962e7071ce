//! A request to one of several programs, and what its client may conclude from the answer.

use reqwest::{Client, Method, Response};
use serde_json::Value;

use crate::balancer::SENT_TO;
use testkit::wait::TIMEOUT;

/// What a client knows after an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: it was done; what the answer says.
    Done(String),
    /// 4xx: nothing has changed; the status.
    Refused(u16),
    /// No answer, or a 503: it may have been done or not, now or a little later. So is a checkout
    /// that nginx has sent twice: what died first may have left it to the database.
    Unknown,
    /// It was not sent: nothing listens there.
    NotSent,
}

impl Answer {
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

/// A client of programs whose addresses may change.
pub fn client() -> Client {
    testkit::process::client().timeout(TIMEOUT).build().expect("a client")
}

/// Sends a request. Any answer that is not allowed at all is a failure: with `faults` a 503 is.
pub async fn ask(client: &Client, method: Method, url: &str, faults: bool) -> Answer {
    let answer = match client.request(method.clone(), url).send().await {
        Ok(answer) => answer,
        Err(error) if faults && error.is_connect() => return Answer::NotSent,
        Err(_) if faults => return Answer::Unknown,
        Err(error) => panic!("{method} {url}: {error:?}"),
    };
    let status = answer.status().as_u16();
    let twice = is_checkout_sent_twice(&answer);
    let body = match answer.text().await {
        Ok(body) => body,
        Err(_) if faults => return Answer::Unknown,
        Err(error) => panic!("{method} {url}: {error:?}"),
    };
    match status {
        _ if faults && twice => Answer::Unknown,
        200 => Answer::Done(body),
        400..500 => Answer::Refused(status),
        503 if faults => Answer::Unknown,
        _ => panic!("{method} {url}: {status} {body}"),
    }
}

fn is_checkout_sent_twice(answer: &Response) -> bool {
    let sent_to = answer.headers().get(SENT_TO).map(|programs| programs.as_bytes());
    answer.url().path().starts_with("/orders/checkout/")
        && sent_to.is_some_and(|programs| programs.contains(&b','))
}
