//! Operations on accounts, batched: one worker for each account that this process has operations for.
//!
//! The operations that wait for one account become one conditional batch, so many checkouts of one
//! item cost one LWT instead of one each, which would contend. A worker starts from what it expects
//! (the balance that this process wrote last, no record of a new operation), then reads, then reads
//! SERIAL; a refusal needs a SERIAL read. What becomes of each operation is planned in
//! `saga::account_batch`, the statements are in `accounts_table`. A worker ends when nothing waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::accounts_table::{AccountKey, AccountsTable};
use super::balance_cache::BalanceCache;
use super::contention::{BACKOFF, contended};
use super::saga::account_batch::{AccountRequest, Plan, Snapshot, optimistic, plan};
use super::saga::balance::{AccountOp, Expected, OpOutcome};
use crate::db::cassandra::idempotency::Claim;
use crate::db::common::batcher::{Pending, answered, take_expired};
use crate::db::common::retry::{Backoff, is_transient};
use crate::db::storage::{ActContext, CartResult, StorageError};

/// Operations in one batch.
const MAX_BATCH: usize = 100;

type PendingRequest = Pending<AccountRequest, OpOutcome>;
/// Unbounded: the permits of attempts and requests bound what can wait.
type Inbox = mpsc::UnboundedReceiver<PendingRequest>;

pub(super) struct AccountBatchers {
    pub(super) accounts: AccountsTable,
    workers: Mutex<HashMap<AccountKey, mpsc::UnboundedSender<PendingRequest>>>,
    cache: BalanceCache,
}

struct AccountWorker {
    batchers: Arc<AccountBatchers>,
    key: AccountKey,
    inbox: Inbox,
    waiting: Vec<PendingRequest>,
    /// Whether the next read is SERIAL: another server has written, a write may have been done
    /// although its answer was lost, or an operation cannot be decided otherwise.
    needs_serial: bool,
    backoff: Backoff,
    /// The error of a batch that may have been written although its answer was lost.
    unknown_write: Option<StorageError>,
}

impl AccountBatchers {
    pub(super) fn new(accounts: AccountsTable) -> Arc<Self> {
        Arc::new(Self { accounts, workers: Mutex::default(), cache: BalanceCache::default() })
    }

    /// Runs one operation: for a request with a key under its id, so once; else under one of its own,
    /// which makes retries harmless.
    pub(super) async fn apply(
        self: &Arc<Self>,
        context: ActContext,
        claim: Option<Claim>,
        key: AccountKey,
        op: AccountOp,
    ) -> CartResult {
        let op_id = claim.as_ref().map_or_else(Uuid::now_v7, Claim::request_id);
        let repeat = claim.as_ref().filter(|claim| claim.is_repeat());
        if let Some(claim) = repeat
            && self.accounts.read(&key, [op_id], true).await?.was_done(op_id, op)
        {
            claim.found_done();
            return Ok(Ok(()));
        }
        let expected = match op {
            // Another server may be running it, so its record must be read.
            _ if repeat.is_some() => None,
            AccountOp::Create { .. } => Some(Expected::NoAccount),
            _ => Some(Expected::NoRecord),
        };
        let request = AccountRequest { op_id, op, expected };
        match self.submit(key.clone(), context, request).await? {
            OpOutcome::Done { before, .. } => {
                claim.filter(|_| before).inspect(Claim::found_done);
                Ok(Ok(()))
            }
            OpOutcome::Refused(reason) => Ok(Err(key.refusal(reason))),
            OpOutcome::Fenced | OpOutcome::TimedOut => Err(contended()),
        }
    }

    /// Submits an operation and waits for its outcome.
    pub(super) async fn submit(
        self: &Arc<Self>,
        key: AccountKey,
        context: ActContext,
        request: AccountRequest,
    ) -> Result<OpOutcome, StorageError> {
        let (pending, answer) = Pending::new(context, request);
        self.queue(key, pending);
        answered(answer).await
    }

    fn queue(self: &Arc<Self>, key: AccountKey, pending: PendingRequest) {
        // Locked while the worker is found and given the request: `close` cannot come between.
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = match workers.get(&key) {
            Some(worker) => match worker.send(pending) {
                Ok(()) => return,
                // The worker has panicked: a new one takes its place.
                Err(mpsc::error::SendError(pending)) => pending,
            },
            None => pending,
        };
        let (sender, inbox) = mpsc::unbounded_channel();
        workers.insert(key.clone(), sender);
        tokio::spawn(AccountWorker::new(Arc::clone(self), key, inbox, pending).work());
    }

    /// Removes a worker unless a request has arrived; checked under the lock, or it would be lost.
    fn close(&self, key: &AccountKey, inbox: &Inbox) -> bool {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let closes = inbox.is_empty();
        if closes {
            workers.remove(key);
        }
        closes
    }
}

impl AccountWorker {
    fn new(
        batchers: Arc<AccountBatchers>,
        key: AccountKey,
        inbox: Inbox,
        first: PendingRequest,
    ) -> Self {
        let waiting = vec![first];
        let (needs_serial, unknown_write) = (false, None);
        Self { batchers, key, inbox, waiting, needs_serial, backoff: BACKOFF, unknown_write }
    }

    async fn work(mut self) {
        loop {
            while let Ok(pending) = self.inbox.try_recv() {
                self.waiting.push(pending);
            }
            self.answer_expired();
            if self.waiting.is_empty() {
                if self.batchers.close(&self.key, &self.inbox) {
                    return;
                }
            } else if let Err(error) = self.round().await {
                self.fail(error).await;
            }
        }
    }

    /// Answers operations whose deadline has passed: not done, or, after a write whose answer was
    /// lost, unknown.
    fn answer_expired(&mut self) {
        for pending in take_expired(&mut self.waiting) {
            let unknown = self.unknown_write.as_ref().map(StorageError::shared);
            pending.answer(unknown.map_or(Ok(OpOutcome::TimedOut), Err));
        }
    }

    /// One batch: decide from a snapshot, write, answer.
    async fn round(&mut self) -> Result<(), StorageError> {
        // What gives something back comes first, so that others in the batch can have it; the sort
        // is stable, so the rest stays in the order of arrival.
        self.waiting.sort_by_key(|pending| !pending.request.op.may_unblock_others());
        let count = self.waiting.len().min(MAX_BATCH);
        let snapshot = self.snapshot(count).await?;
        let plan = plan(&snapshot, self.waiting[..count].iter().map(|pending| &pending.request));
        let all_wait = plan.outcomes.iter().all(Option::is_none) && !plan.needs_serial;
        match &plan.change {
            Some(change) => {
                if !self.batchers.accounts.write(&self.key, change).await? {
                    // Another server has changed the account: its balance is read from now on.
                    self.batchers.cache.mark_contended(&self.key);
                    self.needs_serial = true;
                    self.backoff.wait().await;
                    return Ok(());
                }
                self.batchers.cache.put(&self.key, change.balance);
                self.answer(&plan);
            }
            None if !snapshot.serial && !plan.already_ended => self.needs_serial = true,
            None => self.answer(&plan),
        }
        self.needs_serial |= plan.needs_serial || all_wait;
        if all_wait {
            self.wait().await;
        }
        Ok(())
    }

    /// The account, read no more strongly than necessary.
    async fn snapshot(&self, count: usize) -> Result<Snapshot, StorageError> {
        let requests = self.waiting[..count].iter().map(|pending| &pending.request);
        let serial = self.needs_serial;
        if !serial
            && let Some(account) = optimistic(self.batchers.cache.get(&self.key), requests.clone())
        {
            return Ok(Snapshot { account, serial });
        }
        let op_ids = requests.map(|request| request.op_id);
        let account = self.batchers.accounts.read(&self.key, op_ids, serial).await?;
        Ok(Snapshot { account, serial })
    }

    /// Answers the operations that were decided.
    fn answer(&mut self, plan: &Plan) {
        // What was done before may have been done by the write whose answer was lost.
        let is_known = self.unknown_write.take().is_none();
        (self.needs_serial, self.backoff) = (false, BACKOFF);
        let mut outcomes = plan.outcomes.iter();
        let is_decided = |_: &mut PendingRequest| outcomes.next().is_some_and(Option::is_some);
        let decided: Vec<_> = self.waiting.extract_if(..plan.outcomes.len(), is_decided).collect();
        for (pending, outcome) in decided.into_iter().zip(plan.outcomes.iter().flatten()) {
            pending.answer(Ok(match *outcome {
                OpOutcome::Done { epoch, before } => {
                    OpOutcome::Done { epoch, before: before && is_known }
                }
                outcome => outcome,
            }));
        }
    }

    /// Waits for the backoff, or for another operation, which may be the release waited for.
    async fn wait(&mut self) {
        let pause_end = self.backoff.next();
        if let Ok(Some(pending)) = timeout_at(pause_end, self.inbox.recv()).await {
            self.waiting.push(pending);
        }
    }

    /// After a transient error everything is tried again from a SERIAL read: the batch may have been
    /// written, and the records tell. Any other error is that of all operations.
    async fn fail(&mut self, error: StorageError) {
        self.needs_serial = true;
        if is_transient(&error) {
            self.unknown_write = Some(error);
            return self.wait().await;
        }
        for pending in self.waiting.drain(..) {
            pending.answer(Err(error.shared()));
        }
    }
}
