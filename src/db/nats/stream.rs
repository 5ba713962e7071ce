//! The stream: what it must be, and the requests to the server about it.
//!
//! Requests are answered within [`TIMEOUT`] or fail, the time included in which the client takes no command
//! because it cannot send those before. Errors are of the kinds
//! [`ErrorKind::Unavailable`] (it was not done) and [`ErrorKind::Timeout`] (it may have been done);
//! [`ErrorKind::Invalid`] only if the stream has settings by which messages could be lost.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, RawMessageErrorKind, RetentionPolicy,
    StorageType,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, Request, RequestErrorKind};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::batch::{Batch, number};
use super::errors::{away, unavailable, unknown, unreadable};
use super::known::{Connection, IDENTITY, Known, identity, known, led};
use super::message::{Entry, Outgoing, Subjects, id_of};
use super::seen::{End, Seen};
use crate::activities::model::MessageId;
use crate::db::storage::{ErrorKind, StorageError, TransferTarget};

/// For the answer to one request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request waits for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// How long the store is asked up to where the stream was moved, before the stream is used over a new
/// connection. The store may be away.
const POSITION_WAIT: Duration = Duration::from_secs(1);
const CONNECT_POLL: Duration = Duration::from_millis(10);

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

const NO_STREAM: &str = "the stream of --queue can neither be looked at nor be made: NATS needs JetStream, and \
                         the user of --queue an account with it and the right to use its stream";
const NOT_ACKNOWLEDGED: &str = "NATS has not acknowledged the message";
const NOT_LOOKED_AT: &str = "the message is stored, and the stream cannot be looked at";

pub(super) struct Stream {
    client: Client,
    context: Context,
    pub(super) subjects: Subjects,
    name: String,
    target: Arc<dyn TransferTarget>,
    seen: Seen,
}

/// What became of a message that was published.
#[derive(Debug)]
pub(super) enum Published {
    /// It is stored; another try of the same message may have stored it.
    Stored { is_repeat: bool },
    /// Another message has its key, or the one that was expected is gone.
    WrongSequence,
    /// There is no room.
    Full,
    /// It was not stored.
    Refused(StorageError),
    /// It may have been stored.
    Unknown(StorageError),
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
    /// `target` knows up to where the stream was moved.
    pub(super) fn new(client: Client, name: &str, target: &Arc<dyn TransferTarget>) -> Self {
        let context = jetstream::context::ContextBuilder::new().timeout(TIMEOUT);
        Self {
            context: context.build(client.clone()),
            client,
            subjects: Subjects(name.into()),
            name: name.to_owned(),
            target: Arc::clone(target),
            seen: Seen::default(),
        }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Bytes of the longest message with its headers.
    pub(super) fn max_message(&self) -> usize {
        let known = self.seen.known().and_then(|known| known.max_message);
        self.client.max_payload().min(known.unwrap_or(usize::MAX))
    }

    /// The stream's identity, if it was looked at since the connection was made.
    fn known_id(&self) -> Option<Uuid> {
        let known = self.seen.known().filter(|known| known.connection == self.connection());
        known.map(|known| known.id)
    }

    /// The stream's identity as it was last seen over this connection.
    pub(super) async fn id(&self) -> Result<Uuid, StorageError> {
        match self.known_id() {
            Some(id) => Ok(id),
            None => self.check().await.map(|known| known.id),
        }
    }

    pub(super) fn connection(&self) -> Connection {
        Connection::of(&self.client)
    }

    /// The stream has, or has had, that sequence.
    pub(super) fn note_sequence(&self, stream: Uuid, sequence: u64) {
        self.seen.raise(stream, sequence);
    }

    /// Looks at the stream, and makes it if there is none. One that has lost messages at its end gets a new
    /// identity, so that it is moved again from its beginning.
    pub(super) async fn check(&self) -> Result<Known, StorageError> {
        if self.known_id().is_none() {
            self.see_position().await?;
        }
        // Before the stream is looked at, so that a message that comes meanwhile is no loss.
        let end = self.seen.end();
        let mut known = self.look().await?;
        if end.is_lost(known.id, known.last) {
            self.renew_id(&known, end).await?;
            known = self.look().await?;
        }
        self.seen.note(&known);
        Ok(known)
    }

    /// Asks the store up to where the stream was moved: other servers may have moved it, or this one before
    /// it was started again.
    async fn see_position(&self) -> Result<(), StorageError> {
        let stream = self.look().await?.id;
        match timeout(POSITION_WAIT, self.target.transferred_to(stream)).await {
            Ok(Ok(position)) => self.seen.see(stream, position),
            Ok(Err(error)) => tracing::debug!(%error, "up to where NATS was moved is unknown"),
            Err(_) => tracing::debug!("up to where NATS was moved is unknown"),
        }
        Ok(())
    }

    async fn look(&self) -> Result<Known, StorageError> {
        // Before the answer, which may come over a newer one.
        let connection = self.connection();
        let info = self.info().await?;
        known(&self.name, &self.subjects, &info, connection).map_err(|why| {
            self.seen.forget();
            StorageError::new(ErrorKind::Invalid, why)
        })
    }

    async fn info(&self) -> Result<Info, StorageError> {
        self.connected().await?;
        for _ in 0..3 {
            let error = match within(self.context.get_stream(&self.name)).await? {
                Ok(stream) => return led(stream.cached_info().clone()),
                Err(error) => error,
            };
            match error.kind() {
                GetStreamErrorKind::JetStream(refused)
                    if refused.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                _ => return Err(away(NO_STREAM, error)),
            }
            self.seen.forget();
            match within(self.context.create_stream(self.config())).await? {
                Ok(stream) => {
                    tracing::info!(stream = self.name, "made the stream of the queue");
                    return Ok(stream.cached_info().clone());
                }
                // Another server has made it.
                Err(error) if is_name_taken(&error.kind()) => {}
                Err(error) => return Err(away(NO_STREAM, error)),
            }
        }
        Err(StorageError::new(
            ErrorKind::Unavailable,
            "the stream of --queue is made and removed all the time",
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

    /// Gives a stream that has lost its end a new identity, unless another server has done so.
    async fn renew_id(&self, lost: &Known, end: End) -> Result<(), StorageError> {
        let mut config = self.info().await?.config;
        if identity(&config) != Some(lost.id) {
            return Ok(());
        }
        tracing::error!(
            last_sequence = lost.last,
            had = end.highest(),
            "the NATS stream has lost messages at its end: set `sync_interval: always` in the server's \
             `jetstream` block; its messages are looked at again from the first one"
        );
        self.seen.forget();
        config.metadata.insert(IDENTITY.to_owned(), Uuid::new_v4().to_string());
        self.is_still(&lost.connection)?;
        let updated = within(self.context.update_stream(config)).await?;
        updated.map(drop).map_err(|error| away("the stream cannot be changed", error))
    }

    /// Fails if the connection is lost or another: what was read over it may be outdated, and what is sent
    /// without one is delivered later.
    fn is_still(&self, connection: &Connection) -> Result<(), StorageError> {
        if self.is_connected() && self.connection() == *connection {
            return Ok(());
        }
        Err(StorageError::new(ErrorKind::Unavailable, "the connection to NATS was lost"))
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

    /// The stream's identity, when there is a connection.
    async fn ready(&self) -> Result<Uuid, StorageError> {
        let id = self.id().await?;
        self.connected().await?;
        Ok(id)
    }

    /// Publishes a message and waits until the server has stored it, no longer than to the deadline.
    pub(super) async fn publish(&self, message: Outgoing, deadline: Instant) -> Published {
        // Before the first message, after each connection, and after the stream was found to be gone or to
        // be unsound.
        let stream = match timeout_at(deadline, self.ready()).await {
            Ok(Ok(id)) => id,
            Ok(Err(error)) => return Published::Refused(unavailable(error)),
            Err(late) => return Published::Refused(away("NATS has not answered in time", late)),
        };
        let before = self.seen.end();
        let Outgoing { subject, headers, body } = message;
        let request = Request::new().headers(headers).payload(body).timeout(Some(TIMEOUT));
        let end = deadline.min(Instant::now() + TIMEOUT);
        let answer = match timeout_at(end, self.client.send_request(subject, request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return self.not_answered(error),
            Err(late) => return Published::Unknown(unknown(NOT_ACKNOWLEDGED, late)),
        };
        match serde_json::from_slice::<PublishAck>(&answer.payload) {
            Ok(PublishAck { error: Some(error), .. }) => self.refused(error),
            Ok(PublishAck { seq, duplicate, .. }) => {
                let stored = self.acknowledged(stream, before, (seq, duplicate));
                let late = |late| Published::Unknown(unknown(NOT_LOOKED_AT, late));
                timeout_at(deadline, stored).await.unwrap_or_else(late)
            }
            Err(error) => Published::Unknown(unknown("the answer of NATS cannot be read", error)),
        }
    }

    /// The message is stored; looks at the stream if it may have lost messages since it was last looked at,
    /// because the new message would be passed over then.
    async fn acknowledged(
        &self,
        stream: Uuid,
        before: End,
        (sequence, is_repeat): (u64, bool),
    ) -> Published {
        if !is_repeat && before.had(stream, sequence) {
            self.seen.note_lost(stream);
        } else if !is_repeat {
            self.seen.raise(stream, sequence);
        }
        if self.known_id().is_none()
            && let Err(error) = self.check().await
        {
            return Published::Unknown(unknown(NOT_LOOKED_AT, error));
        }
        Published::Stored { is_repeat }
    }

    /// Tells workers that a message was stored: of the message itself they would hear before it is. A worker
    /// that does not hear of it looks again soon, so nobody waits until the client has taken the command.
    pub(super) fn wake_workers(&self) {
        let (client, subject) = (self.client.clone(), self.subjects.wakeup());
        tokio::spawn(async move { timeout(TIMEOUT, client.publish(subject, Bytes::new())).await });
    }

    fn not_answered(&self, error: async_nats::RequestError) -> Published {
        match error.kind() {
            RequestErrorKind::NoResponders => {
                self.seen.forget();
                Published::Refused(away("NATS has no such stream", error))
            }
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                Published::Refused(away("NATS does not take the message", error))
            }
            RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                Published::Unknown(unknown(NOT_ACKNOWLEDGED, error))
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
            self.seen.forget();
        }
        Published::Refused(away("NATS refuses the message", error))
    }

    /// The last message of a subject, which may have wildcards; from the stream's leader.
    /// Its sequence, and the message, `None` if it is none of this program's.
    pub(super) async fn last_of(
        &self,
        subject: &str,
    ) -> Result<Option<(u64, Option<Entry>)>, StorageError> {
        self.connected().await?;
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(unreadable)?;
        match within(stream.get_last_raw_message_by_subject(subject)).await? {
            Ok(found) => {
                let sequence = found.sequence;
                let entry = Entry::read(&found.subject, sequence, &found.headers, &found.payload);
                Ok(Some((sequence, entry)))
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

    /// Whether there is no message after a sequence; from the stream's leader.
    pub(super) async fn is_end(&self, sequence: u64) -> Result<bool, StorageError> {
        self.connected().await?;
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(unreadable)?;
        let next = stream.raw_message_builder().sequence(sequence + 1).next_by_subject(">");
        match within(next.send()).await? {
            Ok(_) => Ok(false),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(true),
                _ => Err(unreadable(error)),
            },
        }
    }

    /// The message with that id.
    pub(super) async fn find(&self, id: MessageId) -> Result<Option<Entry>, StorageError> {
        for subject in self.subjects.of_message(id) {
            if let Some((_, Some(found))) = self.last_of(&subject).await? {
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
        // One limit for all its messages.
        within(self.read_batch(from, limit, bytes)).await?
    }

    async fn read_batch(
        &self,
        from: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<Batch, StorageError> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(unreadable)?;
        let request = json!({ "seq": from.max(1), "batch": limit, "max_bytes": bytes }).to_string();
        let subject = format!("$JS.API.DIRECT.GET.{}", self.name);
        let sent = self.client.publish_with_reply(subject, inbox, request.into()).await;
        sent.map_err(unreadable)?;
        let mut batch = Batch::default();
        loop {
            let answer = answers.next().await;
            let answer = answer.ok_or_else(|| unreadable("the connection was lost"))?;
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
                    self.seen.forget();
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
        self.connected().await?;
        within(self.ids_of_consumer(from, limit)).await?
    }

    async fn ids_of_consumer(
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
        while let Some(message) = messages.next().await {
            found.extend(id_of(&message.map_err(unreadable)?.subject));
        }
        let name = &consumer.cached_info().name;
        if let Err(error) = self.context.delete_consumer_from_stream(name, &self.name).await {
            tracing::debug!(%error, "a consumer of the stream ends by itself");
        }
        Ok(found)
    }

    /// Removes all messages before a sequence, or only those of a subject, unless the connection is another
    /// than that over which the stream was looked at: it may have lost messages since, and new ones have
    /// those sequences.
    pub(super) async fn purge(
        &self,
        looked_at: &Known,
        before: u64,
        subject: Option<String>,
    ) -> Result<(), StorageError> {
        let stream = self.context.get_stream_no_info(&self.name).await.map_err(unreadable)?;
        let purge = stream.purge().sequence(before);
        let purge = match subject {
            Some(subject) => purge.filter(subject),
            None => purge,
        };
        self.is_still(&looked_at.connection)?;
        let purged = within(purge.into_future()).await?;
        purged.map(drop).map_err(|error| away("the stream cannot be purged", error))
    }
}

/// Ends what is waited for after [`TIMEOUT`]. The client's own limits begin later, when it has taken the
/// command.
async fn within<T>(work: impl Future<Output = T>) -> Result<T, StorageError> {
    let text = "NATS has not answered in time";
    timeout(TIMEOUT, work).await.map_err(|late| away(text, late))
}

fn is_name_taken(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(refused)
        if refused.error_code() == ErrorCode::STREAM_NAME_EXIST)
}
