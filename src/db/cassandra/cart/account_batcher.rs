//! One batcher for each account that somebody of this process wants to change.
//!
//! The moves that wait at a batcher become one conditional batch, so that many checkouts of one item
//! cost one round of Paxos and not one each, against each other. A batcher is there while somebody
//! waits. It begins with what it believes (the balance that this process wrote last, no row of a new
//! op_id), then reads, then reads for certain: whoever is refused is refused by what was certain at
//! one moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::accounts_table::{AccountKey, AccountsTable};
use super::backoff::Backoff;
use super::balance_cache::BalanceCache;
use super::saga::account_batch::{AccountRequest, Plan, Snapshot, optimistic, plan};
use super::saga::saga_state::OpOutcome;
use crate::db::storage::{ErrorKind, StorageError};

/// Moves in one batch.
const MOST: usize = 100;

struct PendingRequest {
    request: AccountRequest,
    answer: oneshot::Sender<Result<OpOutcome, StorageError>>,
}

pub(super) struct AccountBatchers {
    accounts: AccountsTable,
    open: Mutex<HashMap<AccountKey, mpsc::UnboundedSender<PendingRequest>>>,
    cache: BalanceCache,
}

/// How sure a batcher is of what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// Somebody else has changed it, or nobody knows.
    Some,
}

struct AccountBatcher {
    batchers: Arc<AccountBatchers>,
    key: AccountKey,
    inbox: mpsc::UnboundedReceiver<PendingRequest>,
    waiting: Vec<PendingRequest>,
    doubt: Doubt,
    backoff: Backoff,
    /// Whether a batch may have been written whose answer is lost.
    unknown: Option<StorageError>,
}

impl AccountBatchers {
    pub(super) fn new(accounts: AccountsTable) -> Arc<Self> {
        Arc::new(Self { accounts, open: Mutex::default(), cache: BalanceCache::default() })
    }

    pub(super) const fn accounts(&self) -> &AccountsTable {
        &self.accounts
    }

    /// Has a move made, or tells why not.
    pub(super) async fn submit(
        self: &Arc<Self>,
        key: AccountKey,
        request: AccountRequest,
    ) -> Result<OpOutcome, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.queue(key, PendingRequest { request, answer });
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn queue(self: &Arc<Self>, key: AccountKey, waiting: PendingRequest) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = match open.get(&key) {
            Some(batcher) => match batcher.send(waiting) {
                Ok(()) => return,
                // Its task has panicked.
                Err(mpsc::error::SendError(waiting)) => waiting,
            },
            None => waiting,
        };
        let (sender, inbox) = mpsc::unbounded_channel();
        open.insert(key.clone(), sender);
        tokio::spawn(AccountBatcher::new(Arc::clone(self), key, inbox, waiting).work());
    }

    /// Closes a batcher, unless somebody has come.
    fn close(&self, key: &AccountKey, inbox: &mpsc::UnboundedReceiver<PendingRequest>) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let closes = inbox.is_empty();
        if closes {
            open.remove(key);
        }
        closes
    }
}

impl AccountBatcher {
    fn new(
        batchers: Arc<AccountBatchers>,
        key: AccountKey,
        inbox: mpsc::UnboundedReceiver<PendingRequest>,
        first: PendingRequest,
    ) -> Self {
        let (waiting, doubt, backoff) = (vec![first], Doubt::None, Backoff::new());
        Self { batchers, key, inbox, waiting, doubt, backoff, unknown: None }
    }

    async fn work(mut self) {
        loop {
            while let Ok(waiting) = self.inbox.try_recv() {
                self.waiting.push(waiting);
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

    /// Whoever has waited too long goes.
    fn answer_expired(&mut self) {
        let now = Instant::now();
        for waiting in self.waiting.extract_if(.., |waiting| waiting.request.deadline <= now) {
            let unknown = self.unknown.as_ref().map(StorageError::shared);
            drop(waiting.answer.send(unknown.map_or(Ok(OpOutcome::TimedOut), Err)));
        }
    }

    async fn round(&mut self) -> Result<(), StorageError> {
        // Stable: first come, first served.
        self.waiting.sort_by_key(|waiting| !waiting.request.op.may_unblock_others());
        let count = self.waiting.len().min(MOST);
        let snapshot = self.snapshot(count).await?;
        let plan = plan(&snapshot, self.waiting[..count].iter().map(|waiting| &waiting.request));
        let waits = plan.outcomes.iter().all(Option::is_none) && !plan.needs_serial;
        match &plan.change {
            Some(change) => {
                if !self.batchers.accounts.write(&self.key, change).await? {
                    self.batchers.cache.mark_contended(&self.key);
                    self.doubt = Doubt::Some;
                    self.backoff.wait().await;
                    return Ok(());
                }
                self.batchers.cache.put(&self.key, change.balance);
                self.settle(&plan);
            }
            None if !snapshot.serial && !plan.already_ended => self.doubt = Doubt::Some,
            None => self.settle(&plan),
        }
        if plan.needs_serial {
            self.doubt = Doubt::Some;
        }
        if waits {
            self.doubt = Doubt::Some;
            self.wait().await;
        }
        Ok(())
    }

    /// What is known, read no more thoroughly than is necessary.
    async fn snapshot(&self, count: usize) -> Result<Snapshot, StorageError> {
        let requests = self.waiting[..count].iter().map(|waiting| &waiting.request);
        let serial = self.doubt == Doubt::Some;
        if !serial
            && let Some(account) = optimistic(self.batchers.cache.get(&self.key), requests.clone())
        {
            return Ok(Snapshot { account, serial });
        }
        let op_ids = requests.map(|request| request.op_id);
        let account = self.batchers.accounts.read(&self.key, op_ids, serial).await?;
        Ok(Snapshot { account, serial })
    }

    /// Answers whoever was decided about.
    fn settle(&mut self, plan: &Plan) {
        (self.doubt, self.backoff, self.unknown) = (Doubt::None, Backoff::new(), None);
        let mut outcomes = plan.outcomes.iter();
        let decided = |_: &mut PendingRequest| outcomes.next().is_some_and(Option::is_some);
        let decided: Vec<_> = self.waiting.extract_if(..plan.outcomes.len(), decided).collect();
        for (waiting, moved) in decided.into_iter().zip(plan.outcomes.iter().flatten()) {
            drop(waiting.answer.send(Ok(*moved)));
        }
    }

    /// Until something may have changed.
    async fn wait(&mut self) {
        let deadline = self.backoff.next();
        if let Ok(Some(waiting)) = timeout_at(deadline, self.inbox.recv()).await {
            self.waiting.push(waiting);
        }
    }

    /// What passes is tried again; everything else is everybody's failure.
    async fn fail(&mut self, error: StorageError) {
        self.doubt = Doubt::Some;
        if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
            self.unknown = Some(error);
            return self.wait().await;
        }
        for waiting in self.waiting.drain(..) {
            drop(waiting.answer.send(Err(error.shared())));
        }
    }
}

fn stopped() -> StorageError {
    StorageError::new(ErrorKind::Internal, "the task that changes an account has stopped")
}
