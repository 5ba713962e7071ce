//! Keys of requests: a write under a key takes effect once, although Cassandra cannot change the key
//! and what the write changes in one step.
//!
//! One LWT claims the key before the act, with a `request_id` and, for an act that creates something,
//! with its id. The act's own conditional writes carry the `request_id`: accounts have an operation
//! record of it, orders remember it. A second LWT adds the outcome. A server that stops in between
//! leaves the claim unfinished; a repeat runs the act again under the same `request_id`, and what was
//! done is recognised and not done again. A refusal is not recorded, so a repeat is judged anew.
//!
//! Within this process a repeat waits for the first request; another process runs the act at the same
//! time, which is the same as after a crash.

#[cfg(test)]
mod crash_tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use scylla::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use tokio::time::Instant;
use uuid::Uuid;

use super::connection::{Cluster, StatementKind};
use super::error::shape;
use super::lwt::applied;
use super::query_result::optional_row;
use crate::db::common::keyed_lock::{KeyGuard, KeyedLock};
use crate::db::storage::{ActContext, ErrorKind, IdempotencyKey, Made, Recorded, StorageError};

const CLAIM: &str = "INSERT INTO $.idempotency_keys (key, fingerprint, request_id, new_id, record) \
                     VALUES (?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?";
const FIND: &str = "SELECT fingerprint, request_id, new_id, is_repeated, record \
                    FROM $.idempotency_keys WHERE key = ?";
/// Leaves the `new_id`, which another server that runs the request may have changed.
const RECORD: &str = "UPDATE $.idempotency_keys USING TTL ? SET fingerprint = ?, request_id = ?, \
                      record = ? WHERE key = ? IF request_id = ?";
const CHANGE: &str = "UPDATE $.idempotency_keys USING TTL ? SET fingerprint = ?, request_id = ?, \
                      new_id = ?, is_repeated = ? WHERE key = ? \
                      IF request_id = ? AND new_id = ? AND record = null";
/// The longest TTL that Cassandra takes.
const MAX_TTL: u64 = 20 * 365 * 86_400;
/// How long an unfinished claim may be finished by a repeat. Shorter than operation records and removed
/// orders are kept, which tell whether the act was done, by more than clocks differ.
const FINISHED_WITHIN: Duration = Duration::from_secs(6 * 86_400);

pub(super) struct IdempotencyKeys {
    cluster: Arc<Cluster>,
    locks: KeyedLock<String>,
    claim: PreparedStatement,
    find: PreparedStatement,
    record: PreparedStatement,
    change: PreparedStatement,
}

/// A claimed key, under which an act runs.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    key: IdempotencyKey,
    request_id: Uuid,
    new_id: String,
    is_repeat: bool,
}

/// A key as it is stored.
#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct Row {
    fingerprint: Vec<u8>,
    request_id: Uuid,
    #[scylla(default_when_null)]
    new_id: String,
    #[scylla(default_when_null)]
    is_repeated: bool,
    record: Option<String>,
}

/// What a key says of a request.
enum Found<T> {
    /// The request is to run.
    Claimed(Claim),
    /// It has run, or the key is another request's.
    Outcome(T),
}

impl IdempotencyKeys {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            cluster: Arc::clone(cluster),
            locks: KeyedLock::default(),
            claim: cluster.prepare(CLAIM, StatementKind::Conditional).await?,
            find: cluster.prepare(FIND, StatementKind::SerialRead).await?,
            record: cluster.prepare(RECORD, StatementKind::Conditional).await?,
            change: cluster.prepare(CHANGE, StatementKind::Conditional).await?,
        }))
    }

    /// Runs an act once for the key of its context; without a key, as it is. `new_id` is what the act
    /// creates, or empty; the claim has that of the first try.
    pub(super) async fn once<T: Recorded, F>(
        &self,
        context: &ActContext,
        new_id: String,
        act: impl FnOnce(Option<Claim>) -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let Some(key) = context.key() else { return act(None).await };
        let deadline = context.deadline();
        let _guard = self.lock(key, deadline).await?;
        let found = self.claim(key, new_id, deadline).await.map_err(not_begun)?;
        self.run(found, act).await
    }

    /// The same for an act on what has no memory of requests. It is refused without a claim where
    /// `check` gives its outcome; else that gives the `new_id`. So of a claim that is unfinished it is
    /// known what was found before it. A repeat is noted before its act, see [`Self::is_shared`].
    pub(super) async fn once_checked<T: Recorded, F>(
        &self,
        context: &ActContext,
        check: impl Future<Output = Result<Result<String, T>, StorageError>>,
        act: impl FnOnce(Option<Claim>) -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let Some(key) = context.key() else { return act(None).await };
        let deadline = context.deadline();
        let _guard = self.lock(key, deadline).await?;
        let found = match self.read(key).await.map_err(not_begun)? {
            Some(row) => row.judge(key)?,
            None => match check.await? {
                Err(refused) => return Ok(refused),
                Ok(new_id) => self.claim(key, new_id, deadline).await.map_err(not_begun)?,
            },
        };
        let found = match found {
            Found::Claimed(claim) if claim.is_repeat => {
                self.note_repeat(claim).await.map_err(not_begun)?
            }
            found => found,
        };
        self.run(found, act).await
    }

    async fn run<T: Recorded, F>(
        &self,
        found: Found<T>,
        act: impl FnOnce(Option<Claim>) -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let claim = match found {
            Found::Outcome(outcome) => return Ok(outcome),
            Found::Claimed(claim) => claim,
        };
        let outcome = match act(Some(claim.clone())).await {
            // Another server may have done the request meanwhile.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                return self.find_outcome(&claim.key).await?.ok_or(error);
            }
            outcome => outcome?,
        };
        if let Some(record) = outcome.record() {
            self.record(&claim, &record).await;
        }
        Ok(outcome)
    }

    /// Waits for an earlier request of this process under the same key.
    async fn lock(
        &self,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<KeyGuard<'_, String>, StorageError> {
        self.locks.lock(&key.text().to_owned(), deadline).await.map_err(|_| {
            let text = "an earlier request under the same Idempotency-Key has not ended in time";
            StorageError::new(ErrorKind::Conflict, text)
        })
    }

    /// Claims a key. After a timeout a SERIAL read tells the outcome; a claim that it does not see is
    /// not made later either.
    async fn claim<T: Recorded>(
        &self,
        key: &IdempotencyKey,
        new_id: String,
        deadline: Instant,
    ) -> Result<Found<T>, StorageError> {
        let claim =
            Claim { key: key.clone(), request_id: Uuid::now_v7(), new_id, is_repeat: false };
        loop {
            let inserted = self.insert(&claim, MaybeUnset::Unset).await;
            match inserted {
                Ok(true) => return Ok(Found::Claimed(claim)),
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                _ => {}
            }
            match (self.read(key).await?, inserted) {
                (Some(row), _) if row.request_id == claim.request_id => {
                    return Ok(Found::Claimed(claim));
                }
                (Some(row), _) => return row.judge(key),
                (None, Err(unknown)) if Instant::now() >= deadline => return Err(unknown),
                // Not claimed, or it has expired since.
                (None, _) => {}
            }
        }
    }

    async fn insert(&self, claim: &Claim, record: MaybeUnset<&str>) -> Result<bool, StorageError> {
        let Claim { key, request_id, new_id, .. } = claim;
        let fingerprint = key.fingerprint();
        let values = (key.text(), &fingerprint[..], request_id, new_id, record, ttl(key));
        applied(self.cluster.execute(&self.claim, values).await?)
    }

    async fn read(&self, key: &IdempotencyKey) -> Result<Option<Row>, StorageError> {
        optional_row(self.cluster.execute(&self.find, (key.text(),)).await?)
    }

    /// Adds the outcome to a claim. Where that fails the claim stays unfinished: the outcome stands,
    /// and a repeat recognises it.
    async fn record(&self, claim: &Claim, record: &str) {
        let Claim { key, request_id, .. } = claim;
        let fingerprint = key.fingerprint();
        let values = (ttl(key), &fingerprint[..], request_id, record, key.text(), request_id);
        if let Err(error) = self.cluster.execute(&self.record, values).await {
            tracing::debug!(%error, "the outcome of a request was not recorded under its key");
        }
    }

    /// Gives a claim another id for what it creates, unless another server that runs the same request
    /// has done so; the claim as it is then.
    pub(super) async fn change_new_id(
        &self,
        claim: &Claim,
        new_id: &str,
    ) -> Result<Claim, StorageError> {
        match self.change(claim, new_id, MaybeUnset::Unset).await {
            Ok(true) => Ok(Claim { new_id: new_id.to_owned(), ..claim.clone() }),
            Err(error) if error.kind() != ErrorKind::Timeout => Err(error),
            _ => self.reload(claim).await.map(|(claim, _)| claim),
        }
    }

    /// Whether another server may be running, or have run, the act of a claim too. What the act was to
    /// make may then be there because of that; of a claim that is not shared it is another request's.
    pub(super) async fn is_shared(&self, claim: &Claim) -> Result<bool, StorageError> {
        Ok(claim.is_repeat || self.reload(claim).await?.1)
    }

    /// Notes that a repeat runs the act of a claim, as the claim is then, unless it has ended.
    async fn note_repeat<T: Recorded>(&self, mut claim: Claim) -> Result<Found<T>, StorageError> {
        while !self.change(&claim, &claim.new_id, MaybeUnset::Set(true)).await? {
            // Its `new_id` has changed since it was read, or it has its record.
            let row = self.read(&claim.key).await?.ok_or_else(expired)?;
            match row.judge(&claim.key)? {
                Found::Claimed(reloaded) => claim = reloaded,
                outcome => return Ok(outcome),
            }
        }
        Ok(Found::Claimed(claim))
    }

    async fn change(
        &self,
        claim: &Claim,
        new_id: &str,
        is_repeated: MaybeUnset<bool>,
    ) -> Result<bool, StorageError> {
        let Claim { key, request_id, new_id: old, .. } = claim;
        let fingerprint = key.fingerprint();
        let (text, ttl) = (key.text(), ttl(key));
        let values =
            (ttl, &fingerprint[..], request_id, new_id, is_repeated, text, request_id, old);
        applied(self.cluster.execute(&self.change, values).await?)
    }

    /// An unfinished claim as it is now, and whether a repeat runs its act.
    async fn reload(&self, claim: &Claim) -> Result<(Claim, bool), StorageError> {
        let row = self.read(&claim.key).await?.filter(|row| row.request_id == claim.request_id);
        let Row { new_id, is_repeated, record, .. } = row.ok_or_else(expired)?;
        if record.is_some() {
            let text = "another server has done the same request: its outcome is known now";
            return Err(StorageError::new(ErrorKind::Conflict, text));
        }
        Ok((Claim { new_id, ..claim.clone() }, is_repeated))
    }

    /// The outcome that is recorded under a key; `None`: nothing, or a claim that is unfinished.
    pub(super) async fn find_outcome<T: Recorded>(
        &self,
        key: &IdempotencyKey,
    ) -> Result<Option<T>, StorageError> {
        let Some(row) = self.read(key).await? else { return Ok(None) };
        Ok(match row.judge(key)? {
            Found::Outcome(outcome) => Some(outcome),
            Found::Claimed(_) => None,
        })
    }

    /// Records the outcome of a request that needs no claim, because it may run twice; the outcome.
    pub(super) async fn record_unclaimed<T: Recorded>(
        &self,
        key: &IdempotencyKey,
        outcome: T,
    ) -> Result<T, StorageError> {
        let Some(record) = outcome.record() else { return Ok(outcome) };
        let (request_id, new_id) = (Uuid::now_v7(), String::new());
        let claim = Claim { key: key.clone(), request_id, new_id, is_repeat: false };
        match self.insert(&claim, MaybeUnset::Set(&record)).await {
            Ok(false) => Ok(self.find_outcome(key).await?.unwrap_or(outcome)),
            Ok(true) => Ok(outcome),
            Err(error) => {
                tracing::debug!(%error, "the outcome of a request was not recorded under its key");
                Ok(outcome)
            }
        }
    }
}

impl Row {
    fn judge<T: Recorded>(self, key: &IdempotencyKey) -> Result<Found<T>, StorageError> {
        if self.fingerprint != key.fingerprint() {
            return Ok(Found::Outcome(T::key_reused()));
        }
        let Some(record) = self.record else {
            let Self { request_id, new_id, .. } = self;
            let claim = Claim { key: key.clone(), request_id, new_id, is_repeat: true };
            return if claim.is_too_old() { Err(expired()) } else { Ok(Found::Claimed(claim)) };
        };
        let outcome = T::replay(&record)
            .ok_or_else(|| shape(format!("`{record}` is no outcome of the request of this key")))?;
        key.set_replayed();
        Ok(Found::Outcome(outcome))
    }
}

impl Claim {
    /// What the changes of the request are made under, in its first try and in every repeat.
    pub(super) const fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// Whether an earlier request has claimed the key, so that the act may have been done.
    pub(super) const fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    /// The id of what the request creates.
    pub(super) fn new_id<M: Made>(&self) -> Result<M, StorageError> {
        M::from_record(&self.new_id).ok_or_else(|| shape("a claimed id cannot be read"))
    }

    /// The same as text.
    pub(super) fn new_id_text(&self) -> &str {
        &self.new_id
    }

    /// Notes that the act was found done, and not by this try.
    pub(super) fn found_done(&self) {
        self.key.set_replayed();
    }

    /// Whether what tells if the act was done may have expired.
    fn is_too_old(&self) -> bool {
        let (seconds, _) = self.request_id.get_timestamp().map_or((0, 0), |t| t.to_unix());
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        begun.elapsed().is_ok_and(|age| age > FINISHED_WITHIN)
    }
}

/// Whole seconds, not less than the key is to be kept.
fn ttl(key: &IdempotencyKey) -> i32 {
    let seconds = key.kept_for().as_millis().div_ceil(1_000);
    u64::try_from(seconds).unwrap_or(MAX_TTL).clamp(1, MAX_TTL) as i32
}

/// A failure before the act began: nothing has changed, so it is no timeout.
fn not_begun(error: StorageError) -> StorageError {
    let kind =
        if error.kind() == ErrorKind::Timeout { ErrorKind::Unavailable } else { error.kind() };
    StorageError::with_source(kind, "the request was not begun", error)
}

fn expired() -> StorageError {
    let text =
        "whether an earlier request under the same Idempotency-Key was done is not known any more";
    StorageError::new(ErrorKind::Timeout, text)
}
