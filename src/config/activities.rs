//! Settings of activities: the gate, the queue and the worker.

use std::time::Duration;

use reqwest::Url;

use super::loader::SettingsLoader;
use super::queue::NatsQueue;
use super::setting::{Setting, settings};

settings! {
    /// Limits of messages and of the queue, and what the worker does.
    pub struct Activities {
        /// Queue accepted messages in NATS JetStream, in a stream that this store has for itself, instead of
        /// in the store: nats://USER:PASSWORD@HOST:PORT/STREAM, of which all but the host may be left out.
        /// They are moved into the store before they are applied, and accepted while it is away
        queue: Option<NatsQueue> = nats("URL");
        /// Run no worker of activities in this server; another server or `storefront worker` must apply
        /// what is accepted
        no_activities_worker: bool = switch(), default "false";
        /// Seconds for which applied messages can be looked up; their rows stay
        activities_keep: Duration = whole_seconds("SECONDS"), default "2592000";
        /// Queued messages; with more the queue is full, and further messages get 503
        activities_queue_messages: u64 = count("N"), default "1000000";
        /// Bytes of queued messages; with more the queue is full
        activities_queue_bytes: u64 = count("BYTES"), default "1073741824";
        /// Seconds since the oldest queued message was accepted; with more the queue counts as full
        activities_queue_age: Duration = whole_seconds("SECONDS"), default "86400";
        /// A Prometheus Pushgateway that gets the counts of valid and invalid messages every 5 seconds
        pushgateway: Option<Url> = host("HOST:PORT"), older "PUSHGATEWAY_PROMETHEUS_HOST";
        /// Activities in a message; more is 400
        activities_per_message: usize = small("N"), default "1000";
        /// Columns of an activity; more is 400
        activities_columns: usize = small("N"), default "1000";
        /// How deep arrays and objects of a message may be nested; deeper is 400
        activities_depth: usize = depth("N"), default "16";
    }
}

const MAX_COUNT: u64 = 1 << 50;
const MAX_SMALL: usize = 100_000;
const MAX_DEPTH: usize = 100;
/// Ten years.
const MAX_SECONDS: u64 = 3_660 * 86_400;

fn switch(text: &str) -> Result<bool, String> {
    super::serve::switch(text)
}

fn nats(text: &str) -> Result<NatsQueue, String> {
    super::queue::parse(text)
}

fn host(text: &str) -> Result<Url, String> {
    super::serve::url_or_host(text)
}

fn count(text: &str) -> Result<u64, String> {
    within(text, MAX_COUNT)
}

fn small(text: &str) -> Result<usize, String> {
    within(text, MAX_SMALL as u64).map(|number| number as usize)
}

fn depth(text: &str) -> Result<usize, String> {
    within(text, MAX_DEPTH as u64).map(|number| number as usize)
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    within(text, MAX_SECONDS).map(Duration::from_secs)
}

fn within(text: &str, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a whole number from 1 to {most}")),
    }
}
