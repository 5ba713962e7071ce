//! One desk for each account that somebody of this process wants to change.
//!
//! The moves that wait at a desk become one conditional batch, so that many checkouts of one item
//! cost one round of Paxos and not one each, against each other. A desk is there while somebody
//! waits. It begins with what it believes (the head that this process wrote last, no row of a new
//! act), then reads, then reads for certain: whoever is refused is refused by what was certain at
//! one moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::accounts::{Accounts, Key};
use super::pause::Pause;
use super::plan::{Ask, Plan, View, believed, plan};
use super::saga::Moved;
use super::seen::Seen;
use crate::db::storage::{Kind, StorageError};

/// Moves in one batch.
const MOST: usize = 100;

struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Result<Moved, StorageError>>,
}

pub(super) struct Desks {
    accounts: Accounts,
    open: Mutex<HashMap<Key, mpsc::UnboundedSender<Waiting>>>,
    seen: Seen,
}

/// How sure a desk is of what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// Somebody else has changed it, or nobody knows.
    Some,
}

struct Desk {
    desks: Arc<Desks>,
    key: Key,
    inbox: mpsc::UnboundedReceiver<Waiting>,
    waiting: Vec<Waiting>,
    doubt: Doubt,
    pause: Pause,
    /// Whether a batch may have been written whose answer is lost.
    lost: Option<StorageError>,
}

impl Desks {
    pub(super) fn new(accounts: Accounts) -> Arc<Self> {
        Arc::new(Self { accounts, open: Mutex::default(), seen: Seen::default() })
    }

    pub(super) const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Has a move made, or tells why not.
    pub(super) async fn ask(self: &Arc<Self>, key: Key, ask: Ask) -> Result<Moved, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.queue(key, Waiting { ask, answer });
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn queue(self: &Arc<Self>, key: Key, waiting: Waiting) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = match open.get(&key) {
            Some(desk) => match desk.send(waiting) {
                Ok(()) => return,
                // Its task has panicked.
                Err(mpsc::error::SendError(waiting)) => waiting,
            },
            None => waiting,
        };
        let (sender, inbox) = mpsc::unbounded_channel();
        open.insert(key.clone(), sender);
        tokio::spawn(Desk::new(Arc::clone(self), key, inbox, waiting).work());
    }

    /// Closes a desk, unless somebody has come.
    fn close(&self, key: &Key, inbox: &mpsc::UnboundedReceiver<Waiting>) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let closes = inbox.is_empty();
        if closes {
            open.remove(key);
        }
        closes
    }
}

impl Desk {
    fn new(
        desks: Arc<Desks>,
        key: Key,
        inbox: mpsc::UnboundedReceiver<Waiting>,
        first: Waiting,
    ) -> Self {
        let (waiting, doubt, pause) = (vec![first], Doubt::None, Pause::new());
        Self { desks, key, inbox, waiting, doubt, pause, lost: None }
    }

    async fn work(mut self) {
        loop {
            while let Ok(waiting) = self.inbox.try_recv() {
                self.waiting.push(waiting);
            }
            self.turn_away();
            if self.waiting.is_empty() {
                if self.desks.close(&self.key, &self.inbox) {
                    return;
                }
            } else if let Err(error) = self.round().await {
                self.fail(error).await;
            }
        }
    }

    /// Whoever has waited too long goes.
    fn turn_away(&mut self) {
        let now = Instant::now();
        for waiting in self.waiting.extract_if(.., |waiting| waiting.ask.until <= now) {
            let lost = self.lost.as_ref().map(StorageError::shared);
            drop(waiting.answer.send(lost.map_or(Ok(Moved::GaveUp), Err)));
        }
    }

    async fn round(&mut self) -> Result<(), StorageError> {
        // Stable: first come, first served.
        self.waiting.sort_by_key(|waiting| !waiting.ask.wanted.gives());
        let count = self.waiting.len().min(MOST);
        let view = self.view(count).await?;
        let plan = plan(&view, self.waiting[..count].iter().map(|waiting| &waiting.ask));
        let waits = plan.outcomes.iter().all(Option::is_none) && !plan.in_doubt;
        match &plan.change {
            Some(change) => {
                if !self.desks.accounts.write(&self.key, change).await? {
                    self.desks.seen.is_contested(&self.key);
                    self.doubt = Doubt::Some;
                    self.pause.wait().await;
                    return Ok(());
                }
                self.desks.seen.head(&self.key, change.head);
                self.settle(&plan);
            }
            None if !view.certain && !plan.ended => self.doubt = Doubt::Some,
            None => self.settle(&plan),
        }
        if plan.in_doubt {
            self.doubt = Doubt::Some;
        }
        if waits {
            self.doubt = Doubt::Some;
            self.wait().await;
        }
        Ok(())
    }

    /// What is known, read no more thoroughly than is necessary.
    async fn view(&self, count: usize) -> Result<View, StorageError> {
        let asks = self.waiting[..count].iter().map(|waiting| &waiting.ask);
        let certain = self.doubt == Doubt::Some;
        if !certain && let Some(page) = believed(self.desks.seen.get(&self.key), asks.clone()) {
            return Ok(View { page, certain });
        }
        let acts = asks.map(|ask| ask.act);
        let page = self.desks.accounts.read(&self.key, acts, certain).await?;
        Ok(View { page, certain })
    }

    /// Answers whoever was decided about.
    fn settle(&mut self, plan: &Plan) {
        (self.doubt, self.pause, self.lost) = (Doubt::None, Pause::new(), None);
        let mut outcomes = plan.outcomes.iter();
        let decided = |_: &mut Waiting| outcomes.next().is_some_and(Option::is_some);
        let decided: Vec<_> = self.waiting.extract_if(..plan.outcomes.len(), decided).collect();
        for (waiting, moved) in decided.into_iter().zip(plan.outcomes.iter().flatten()) {
            drop(waiting.answer.send(Ok(*moved)));
        }
    }

    /// Until something may have changed.
    async fn wait(&mut self) {
        let until = self.pause.next();
        if let Ok(Some(waiting)) = timeout_at(until, self.inbox.recv()).await {
            self.waiting.push(waiting);
        }
    }

    /// What passes is tried again; everything else is everybody's failure.
    async fn fail(&mut self, error: StorageError) {
        self.doubt = Doubt::Some;
        if matches!(error.kind(), Kind::Unavailable | Kind::Timeout) {
            self.lost = Some(error);
            return self.wait().await;
        }
        for waiting in self.waiting.drain(..) {
            drop(waiting.answer.send(Err(error.shared())));
        }
    }
}

fn stopped() -> StorageError {
    StorageError::new(Kind::Internal, "the task that changes an account has stopped")
}
