//! Accepting, retrying and discarding messages.
//!
//! A retry is several writes: it is put into the list of pending ones, the new text is stored, the rejected
//! message is linked with the new one (the commit point: one LWT), the new one is appended, the lists
//! are brought up to date. After a crash the next worker does the rest ([`Gate::finish_pending`]).
//! Nothing is lost if two do it: a message that is appended twice is applied once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::messages::MessageRow;
use super::store::{Store, unknown};
use crate::activities::model::MessageId;
use crate::db::cassandra::idempotency::Claim;
use crate::db::common::retry::Backoff;
use crate::db::storage::{
    Accept, ActContext, Discard, ErrorKind, MessageState, NewMessage, Retry, StorageError,
};

/// The longest text of a message, in bytes: what a step writes for it is recorded in one LWT.
pub(super) const MAX_BODY: usize = 40 * 1_024;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(200));
/// After so many milliseconds no server goes on with a retry or discard that has not reached its commit point.
const ABANDONED_AFTER: i64 = 3_600_000;

pub(super) struct Gate {
    store: Arc<Store>,
}

impl Gate {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store) }
    }

    /// What comes before the claim of a key: so the text of a message whose id was claimed is stored, and a
    /// message without one was queued, applied and pruned.
    pub(super) async fn prepare_accept(&self, message: &NewMessage) -> Result<(), StorageError> {
        is_short(&message.body)?;
        self.store.put(message.id, &message.body, None).await
    }

    pub(super) async fn accept(
        &self,
        context: ActContext,
        claim: Option<Claim>,
        message: NewMessage,
    ) -> Result<Accept, StorageError> {
        let (id, body) = (claimed(claim.as_ref(), message.id)?, &message.body);
        match &claim {
            None => self.prepare_accept(&message).await?,
            Some(claim) if claim.is_repeat() && self.store.was_queued(id).await? => {
                claim.found_done();
                return Ok(Accept::Queued(id));
            }
            Some(_) => {}
        }
        let appended = self.store.append(context, id, body.len()).await;
        if let Err(error) = &appended
            && error.kind() != ErrorKind::Timeout
            && claim.is_none()
        {
            self.store.messages.take_back(id).await;
        }
        appended.map(|()| Accept::Queued(id))
    }

    pub(super) async fn retry(
        &self,
        context: ActContext,
        claim: Option<Claim>,
        id: MessageId,
        new: NewMessage,
    ) -> Result<Retry, StorageError> {
        let new_id = claimed(claim.as_ref(), new.id)?;
        let request_id = claim.as_ref().map_or_else(Uuid::now_v7, Claim::request_id);
        is_short(&new.body)?;
        let (act, mut is_stored) = (Uuid::now_v7(), false);
        let (mut backoff, mut linked_now) = (BACKOFF, false);
        loop {
            let row = self.store.messages.find(id, true).await?;
            let body = match check_retry(row, new_id)? {
                Check::Done => break,
                Check::Outcome(outcome) => {
                    if is_stored && claim.is_none() {
                        self.store.messages.take_back(new_id).await;
                    }
                    return Ok(outcome);
                }
                Check::Go(body) => body,
            };
            if Instant::now() > context.deadline() {
                return Err(contended());
            }
            let text = if new.body.is_empty() { body.as_str() } else { &new.body };
            self.prepare_retry(act, id, new_id, text).await?;
            is_stored = true;
            match self.store.messages.link(id, new_id, request_id).await {
                Ok(linked) => linked_now |= linked,
                Err(error) if error.kind() == ErrorKind::Timeout => linked_now = true,
                Err(error) => return Err(error),
            }
            backoff.wait().await;
        }
        let is_repeat = !linked_now;
        self.complete_retry(context, act, id, new_id, is_repeat).await.map_err(unknown)?;
        claim.filter(|_| is_repeat).inspect(Claim::found_done);
        Ok(Retry::Queued(new_id))
    }

    /// What comes before the commit point of a retry.
    pub(super) async fn prepare_retry(
        &self,
        act: Uuid,
        id: MessageId,
        new_id: MessageId,
        body: &str,
    ) -> Result<(), StorageError> {
        self.store.index.put_pending(act, id).await?;
        self.store.put(new_id, body, Some(id)).await
    }

    /// What comes after it: the message is linked.
    async fn complete_retry(
        &self,
        context: ActContext,
        act: Uuid,
        id: MessageId,
        new_id: MessageId,
        is_repeat: bool,
    ) -> Result<(), StorageError> {
        if !is_repeat || !self.store.was_queued(new_id).await? {
            let found = self.store.messages.find(new_id, false).await?;
            let length = found.and_then(|row| row.body).map_or(0, |body| body.len());
            self.store.append(context, new_id, length).await?;
        }
        self.complete_lists(act, id, "retried").await
    }

    async fn complete_lists(
        &self,
        act: Uuid,
        id: MessageId,
        state: &str,
    ) -> Result<(), StorageError> {
        self.store.index.mark(id, state).await?;
        self.store.index.remove_pending(act).await
    }

    pub(super) async fn discard(
        &self,
        context: ActContext,
        claim: Option<Claim>,
        id: MessageId,
    ) -> Result<Discard, StorageError> {
        let request_id = claim.as_ref().map_or_else(Uuid::now_v7, Claim::request_id);
        let (act, mut backoff, mut tried) = (Uuid::now_v7(), BACKOFF, false);
        loop {
            let row = self.store.messages.find(id, true).await?;
            let Some(row) = row.filter(|row| row.exists() || row.is_discarded()) else {
                return Ok(Discard::Missing);
            };
            if row.is_discarded() && row.request_id == Some(request_id) {
                self.complete_lists(act, id, "discarded").await.map_err(unknown)?;
                claim.filter(|_| !tried).inspect(Claim::found_done);
                return Ok(Discard::Discarded);
            }
            match row.state()? {
                _ if row.is_discarded() => return Ok(Discard::Missing),
                MessageState::Rejected => {}
                state => return Ok(Discard::NotRejected(state)),
            }
            if Instant::now() > context.deadline() {
                return Err(contended());
            }
            self.store.index.put_pending(act, id).await?;
            tried = true;
            // The row tells whether it was done.
            match self.store.messages.discard(id, request_id).await {
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                _ => {}
            }
            backoff.wait().await;
        }
    }

    /// Does what servers that stopped have left of retries and discards.
    pub(super) async fn finish_pending(&self) -> Result<(), StorageError> {
        let now = jiff::Timestamp::now().as_millisecond();
        for (act, id) in self.store.index.pending().await? {
            let row = self.store.messages.find(id, true).await?;
            let state = match &row {
                Some(row) if row.is_discarded() => Some("discarded"),
                Some(row) if row.retried_as().is_some() => Some("retried"),
                _ => None,
            };
            if let Some(new_id) = row.and_then(|row| row.retried_as()) {
                self.complete_retry(ActContext::new(), act, id, new_id, true).await?;
            }
            match state {
                Some(state) => self.complete_lists(act, id, state).await?,
                None if MessageId(act).made_at() < now - ABANDONED_AFTER => {
                    self.store.index.remove_pending(act).await?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// What becomes of a retry, by the message as it is stored.
enum Check {
    /// It is linked with this retry.
    Done,
    Outcome(Retry),
    /// It can be linked; its text.
    Go(String),
}

fn check_retry(row: Option<MessageRow>, new_id: MessageId) -> Result<Check, StorageError> {
    let Some(row) = row else { return Ok(Check::Outcome(Retry::Missing)) };
    if row.retried_as() == Some(new_id) {
        return Ok(Check::Done);
    }
    if !row.exists() {
        return Ok(Check::Outcome(Retry::Missing));
    }
    Ok(match (row.state()?, row.retried_as()) {
        (MessageState::Rejected, None) => Check::Go(row.body.unwrap_or_default()),
        (MessageState::Rejected, Some(other)) => Check::Outcome(Retry::AlreadyRetried(other)),
        (state, _) => Check::Outcome(Retry::NotRejected(state)),
    })
}

/// The id of a new message: that of the request's first try.
fn claimed(claim: Option<&Claim>, id: MessageId) -> Result<MessageId, StorageError> {
    claim.map_or(Ok(id), Claim::new_id)
}

fn is_short(body: &str) -> Result<(), StorageError> {
    if body.len() <= MAX_BODY {
        return Ok(());
    }
    let text = format!("the text of a message is longer than {MAX_BODY} bytes");
    Err(StorageError::new(ErrorKind::Invalid, text))
}

fn contended() -> StorageError {
    StorageError::new(ErrorKind::Timeout, "the message could not be changed in time")
}
