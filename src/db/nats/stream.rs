//! The stream: what it must be, and the requests to the server about it.
//!
//! Requests are answered within [`TIMEOUT`] or fail. Errors are of the kinds
//! [`ErrorKind::Unavailable`] (it was not done) and [`ErrorKind::Timeout`] (it may have been done);
//! [`ErrorKind::Invalid`] only if the stream has settings by which messages could be lost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, PersistenceMode, RetentionPolicy,
    StorageType,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, HeaderMap, Request, RequestErrorKind};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::message::{Entry, Outgoing, Subjects, id_of};
use crate::activities::model::MessageId;
use crate::db::storage::{ErrorKind, StorageError};

/// For the answer to one request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request waits for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
const CONNECT_POLL: Duration = Duration::from_millis(10);
/// Under this name the stream's metadata has its identity, written when it is made: another stream of the
/// same name has another one.
const IDENTITY: &str = "storefront_stream_id";

/// The error of several messages of one key at a time, in a cluster.
const WRONG_LAST_SEQUENCE_CONSTANT: ErrorCode = ErrorCode(10_164);
/// Errors of a message for which there is no room.
const FULL: [ErrorCode; 5] = [
    ErrorCode::STREAM_STORE_FAILED,
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
];

pub(super) struct Stream {
    client: Client,
    context: Context,
    pub(super) subjects: Subjects,
    name: String,
    known: Mutex<Option<Known>>,
}

/// What is known of the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Its identity.
    pub(super) id: Uuid,
    /// The sequence of the last message that it has taken.
    pub(super) last: u64,
    /// The lowest sequence of a message that it has.
    pub(super) first: u64,
    /// Messages that it has, and their bytes with headers.
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// The longest message that it takes, if there is a limit.
    max_message: Option<usize>,
}

/// What became of a message that was published.
#[derive(Debug)]
pub(super) enum Published {
    /// It is stored under this sequence; another try of the same message may have stored it.
    Stored { stream: Uuid, sequence: u64, is_repeat: bool },
    /// Another message has its key, or the one that was expected is gone.
    WrongSequence,
    /// There is no room.
    Full,
    /// It was not stored.
    Refused(StorageError),
    /// It may have been stored.
    Unknown(StorageError),
}

/// Messages that were read from a sequence on.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// The sequence of the last one, also if it is none of this program's; 0 if there is none.
    pub(super) last: u64,
    /// Messages after it.
    pub(super) pending: u64,
}

#[derive(Deserialize)]
struct PublishAck {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<jetstream::Error>,
}

impl Stream {
    pub(super) fn new(client: Client, name: &str) -> Self {
        let context = jetstream::context::ContextBuilder::new().timeout(TIMEOUT);
        Self {
            context: context.build(client.clone()),
            client,
            subjects: Subjects(name.into()),
            name: name.to_owned(),
            known: Mutex::new(None),
        }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Bytes of the longest message with its headers.
    pub(super) fn max_message(&self) -> usize {
        let known = self.lock().and_then(|known| known.max_message);
        self.client.max_payload().min(known.unwrap_or(usize::MAX))
    }

    /// The stream's identity as it was last seen.
    pub(super) async fn id(&self) -> Result<Uuid, StorageError> {
        if let Some(known) = self.lock() {
            return Ok(known.id);
        }
        self.check().await.map(|known| known.id)
    }

    fn lock(&self) -> Option<Known> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Looks at the stream, and makes it if there is none.
    pub(super) async fn check(&self) -> Result<Known, StorageError> {
        let info = self.info().await?;
        let known = known(&self.name, &self.subjects, &info);
        self.note(known.as_ref().ok().copied());
        known.map_err(|why| StorageError::new(ErrorKind::Invalid, why))
    }

    async fn info(&self) -> Result<Info, StorageError> {
        self.connected().await?;
        for _ in 0..3 {
            let error = match self.context.get_stream(&self.name).await {
                Ok(stream) => return Ok(stream.cached_info().clone()),
                Err(error) => error,
            };
            match error.kind() {
                GetStreamErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                _ => return Err(away("the stream cannot be looked at", error)),
            }
            self.note(None);
            match self.context.create_stream(self.config()).await {
                Ok(stream) => {
                    tracing::info!(stream = self.name, "made the stream of the queue");
                    return Ok(stream.cached_info().clone());
                }
                // Another server has made it.
                Err(error) if is_name_taken(&error.kind()) => {}
                Err(error) => return Err(away("the stream cannot be made", error)),
            }
        }
        Err(StorageError::new(
            ErrorKind::Unavailable,
            "the stream is made and removed all the time",
        ))
    }

    fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            description: Some("Messages of activities of one storefront store".to_owned()),
            subjects: vec![self.subjects.all()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            allow_direct: true,
            num_replicas: 1,
            metadata: [(IDENTITY.to_owned(), Uuid::new_v4().to_string())].into(),
            ..Config::default()
        }
    }

    /// Gives the stream a new identity, so that all its messages are looked at again.
    pub(super) async fn renew_id(&self) -> Result<(), StorageError> {
        let mut config = self.info().await?.config;
        config.metadata.insert(IDENTITY.to_owned(), Uuid::new_v4().to_string());
        self.note(None);
        let updated = self.context.update_stream(config).await;
        updated.map(drop).map_err(|error| away("the stream cannot be changed", error))
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Waits a short time for the connection. What is sent without one may be delivered much later.
    async fn connected(&self) -> Result<(), StorageError> {
        let end = Instant::now() + CONNECT_WAIT;
        while !self.is_connected() {
            if Instant::now() >= end {
                let text = "there is no connection to NATS";
                return Err(StorageError::new(ErrorKind::Unavailable, text));
            }
            sleep(CONNECT_POLL).await;
        }
        Ok(())
    }

    /// Publishes a message and waits until the server has stored it.
    pub(super) async fn publish(&self, message: Outgoing) -> Published {
        // Before the first message, and after the stream was found to be gone or to be unsound.
        let stream = match self.id().await {
            Ok(id) => id,
            Err(error) => return Published::Refused(unavailable(error)),
        };
        if let Err(error) = self.connected().await {
            return Published::Refused(error);
        }
        let Outgoing { subject, headers, body } = message;
        let request = Request::new().headers(headers).payload(body).timeout(Some(TIMEOUT));
        let answer = match self.client.send_request(subject, request).await {
            Ok(answer) => answer,
            Err(error) => return self.not_answered(error),
        };
        match serde_json::from_slice::<PublishAck>(&answer.payload) {
            Ok(PublishAck { error: Some(error), .. }) => self.refused(error),
            Ok(PublishAck { seq, duplicate, .. }) => {
                Published::Stored { stream, sequence: seq, is_repeat: duplicate }
            }
            Err(error) => Published::Unknown(unknown("the answer of NATS cannot be read", error)),
        }
    }

    fn not_answered(&self, error: async_nats::RequestError) -> Published {
        match error.kind() {
            RequestErrorKind::NoResponders => {
                self.note(None);
                Published::Refused(away("NATS has no such stream", error))
            }
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                Published::Refused(away("NATS does not take the message", error))
            }
            RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                Published::Unknown(unknown("NATS has not acknowledged the message", error))
            }
        }
    }

    fn refused(&self, error: jetstream::Error) -> Published {
        let code = error.error_code();
        if code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE || code == WRONG_LAST_SEQUENCE_CONSTANT {
            return Published::WrongSequence;
        }
        if FULL.contains(&code) {
            return Published::Full;
        }
        if code == ErrorCode::STREAM_NOT_MATCH {
            self.note(None);
        }
        Published::Refused(away("NATS refuses the message", error))
    }

    /// The last message of a subject, which may have wildcards; from the stream's leader.
    pub(super) async fn last_of(&self, subject: &str) -> Result<Option<Entry>, StorageError> {
        self.connected().await?;
        let stream = self.context.get_stream_no_info(&self.name).await;
        let stream = stream.map_err(|error| away("the stream cannot be read", error))?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(found) => {
                Ok(Entry::read(&found.subject, found.sequence, &found.headers, &found.payload))
            }
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(away("the stream cannot be read", error)),
            },
        }
    }

    /// The message with that id.
    pub(super) async fn find(&self, id: MessageId) -> Result<Option<Entry>, StorageError> {
        for subject in self.subjects.of_message(id) {
            if let Some(found) = self.last_of(&subject).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The messages from a sequence on, in their order, so many at most; the one with which they have so
    /// many bytes is the last.
    pub(super) async fn read(
        &self,
        from: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<Batch, StorageError> {
        self.connected().await?;
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(unreadable)?;
        let request = json!({ "seq": from.max(1), "batch": limit, "max_bytes": bytes }).to_string();
        let subject = format!("$JS.API.DIRECT.GET.{}", self.name);
        let sent = self.client.publish_with_reply(subject, inbox, request.into()).await;
        sent.map_err(unreadable)?;
        let mut batch = Batch::default();
        loop {
            let next = timeout_at(Instant::now() + TIMEOUT, answers.next()).await;
            let next = next.map_err(unreadable)?;
            let answer = next.ok_or_else(|| unreadable("the connection was lost"))?;
            let headers = answer.headers.unwrap_or_default();
            match answer.status.map(|status| status.as_u16()) {
                None => batch.push(&headers, &answer.payload)?,
                // The end of a batch, or nothing at or after the sequence.
                Some(204) => {
                    batch.pending = number(&headers, "Nats-Num-Pending")?;
                    return Ok(batch);
                }
                Some(404) => return Ok(batch),
                Some(status) => {
                    self.note(None);
                    let description = answer.description.unwrap_or_default();
                    return Err(unreadable(format!("status {status} {description}")));
                }
            }
        }
    }

    /// The ids of the messages from a sequence on, without their texts, so many at most.
    pub(super) async fn ids(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<MessageId>, StorageError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            ack_policy: AckPolicy::None,
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            // Of one that is not removed below.
            inactive_threshold: 2 * TIMEOUT,
            ..pull::Config::default()
        };
        let created = self.context.create_consumer_on_stream(config, &self.name).await;
        let consumer = created.map_err(unreadable)?;
        let mut found = Vec::new();
        let fetch = consumer.fetch().max_messages(limit).messages().await;
        let mut messages = fetch.map_err(unreadable)?;
        let end = Instant::now() + TIMEOUT;
        while let Some(message) = timeout_at(end, messages.next()).await.map_err(unreadable)? {
            found.extend(id_of(&message.map_err(unreadable)?.subject));
        }
        let name = &consumer.cached_info().name;
        if let Err(error) = self.context.delete_consumer_from_stream(name, &self.name).await {
            tracing::debug!(%error, "a consumer of the stream ends by itself");
        }
        Ok(found)
    }

    /// Removes all messages before a sequence, or only those of a subject.
    pub(super) async fn purge(
        &self,
        before: u64,
        subject: Option<String>,
    ) -> Result<(), StorageError> {
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(unreadable)?;
        let purge = stream.purge().sequence(before);
        let purge = match subject {
            Some(subject) => purge.filter(subject),
            None => purge,
        };
        purge.await.map(drop).map_err(|error| away("the stream cannot be purged", error))
    }
}

impl Batch {
    fn push(&mut self, headers: &HeaderMap, body: &Bytes) -> Result<(), StorageError> {
        let subject = headers.get("Nats-Subject").map_or("", |value| value.as_str());
        self.last = number(headers, "Nats-Sequence")?;
        match Entry::read(subject, self.last, headers, body) {
            Some(entry) => self.entries.push(entry),
            None => {
                tracing::warn!(subject, sequence = self.last, "the stream has a foreign message");
            }
        }
        Ok(())
    }
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, StorageError> {
    let number = headers.get_last(name).and_then(|value| value.as_str().parse().ok());
    number.ok_or_else(|| unreadable(format!("an answer has no header {name}")))
}

/// What is known by the server's answer, or why the stream must not be used.
fn known(name: &str, subjects: &Subjects, info: &Info) -> Result<Known, String> {
    let Info { config, state, .. } = info;
    if let Some((setting, cure)) = unsound(subjects, config) {
        return Err(format!(
            "the stream {name} of --queue has {setting}, so that messages could be lost or not be read: \
             {cure}, or name another stream"
        ));
    }
    let id = config.metadata.get(IDENTITY).and_then(|id| Uuid::try_parse(id).ok());
    let id = id.ok_or_else(|| {
        format!(
            "the stream {name} of --queue was made by another program: name one that does not exist, \
             which is then made, or add the metadata {IDENTITY} with a new UUID"
        )
    })?;
    let max_message = usize::try_from(config.max_message_size).ok().filter(|size| *size > 0);
    Ok(Known {
        id,
        last: state.last_sequence,
        first: state.first_sequence,
        messages: state.messages,
        bytes: state.bytes,
        max_message,
    })
}

/// A setting by which messages could be lost, and how it is changed.
fn unsound(subjects: &Subjects, config: &Config) -> Option<(&'static str, String)> {
    let edit = |flag: &str| format!("run `nats stream edit {} {flag}`", config.name);
    let recreate = || "remove it when all its messages are applied".to_owned();
    // No others: the stream would have what wakes workers up, too.
    let has_subjects = config.subjects == [subjects.all()];
    Some(if !config.max_age.is_zero() {
        ("a max_age", edit("--max-age=-1"))
    } else if config.discard != DiscardPolicy::New {
        ("discard other than `new`", edit("--discard=new"))
    } else if config.storage != StorageType::File {
        ("memory storage", recreate())
    } else if config.retention != RetentionPolicy::Limits {
        ("retention other than `limits`", recreate())
    } else if config.persist_mode == Some(PersistenceMode::Async) {
        ("persist_mode `async`", recreate())
    } else if config.no_ack {
        ("no_ack", edit("--ack"))
    } else if !has_subjects {
        ("other subjects", edit(&format!("--subjects={}", subjects.all())))
    } else if !config.allow_direct {
        ("no direct access", edit("--allow-direct"))
    } else {
        return None;
    })
}

fn is_name_taken(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(refused)
        if refused.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

type Source = Box<dyn std::error::Error + Send + Sync>;

fn away(text: &'static str, error: impl Into<Source>) -> StorageError {
    StorageError::with_source(ErrorKind::Unavailable, text, error)
}

fn unknown(text: &'static str, error: impl Into<Source>) -> StorageError {
    StorageError::with_source(ErrorKind::Timeout, text, error)
}

fn unreadable(error: impl Into<Source>) -> StorageError {
    away("the stream cannot be read", error)
}

/// The same as an error that may pass: the settings of the stream may be corrected while servers run.
pub(super) fn unavailable(error: StorageError) -> StorageError {
    match error.kind() {
        ErrorKind::Invalid => StorageError::new(ErrorKind::Unavailable, error.to_string()),
        _ => error,
    }
}
